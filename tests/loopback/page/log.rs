//! The log: it follows or stays, and shows the last lines.

use super::*;

#[test]
fn messages_that_come_joined_become_a_line_each() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open(&mut browser, &server);
    fill(&server, 100);
    browser.wait_for(&page, &line_count_is(100));
    browser.wait_for(&page, &last_line_is("line 99"));
}

#[test]
fn the_log_follows_at_the_bottom_and_stays_put_when_scrolled_up() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_full(&mut browser, &server, 100);

    browser.evaluate(&page, "document.getElementById('log').scrollTop = 40");
    fill(&server, 50);
    browser.wait_for(&page, &line_count_is(150));
    assert_eq!(
        browser.evaluate(&page, "document.getElementById('log').scrollTop"),
        40
    );
    browser.wait_for(&page, "!document.getElementById('latest').hidden");

    // The focus does not go with the button.
    browser.evaluate(&page, "latest.focus(); log.scrollTop = log.scrollHeight");
    browser.wait_for(&page, "latest.hidden && document.activeElement === log");

    browser.evaluate(&page, "log.scrollTop = 40");
    browser.wait_for(&page, SCROLL_NOTED);
    browser.evaluate(&page, "document.getElementById('latest').click()");
    browser.wait_for(&page, AT_BOTTOM);
    browser.wait_for(&page, "document.activeElement === msg");
    fill(&server, 50);
    browser.wait_for(&page, &line_count_is(200));
    browser.wait_for(&page, AT_BOTTOM);
}

#[test]
fn what_the_reader_looks_at_stays_put_while_old_lines_are_trimmed() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&["--send-queue", "10000"]);
    let page = open_full(&mut browser, &server, LINES_MAX);

    // A reader of the oldest lines keeps them for a while.
    browser.evaluate(&page, "log.scrollTop = 0");
    fill(&server, LINES_MAX);
    browser.wait_for(&page, &line_count_is(2 * LINES_MAX));

    browser.evaluate(
        &page,
        "window.seen = log.children[1900]; seen.scrollIntoView()",
    );
    let place = "Math.round(seen.getBoundingClientRect().top)";
    let before = browser.evaluate(&page, place);
    fill(&server, LINES_MAX / 2);
    browser.wait_for(&page, &last_line_is(&format!("line {}", LINES_MAX / 2 - 1)));
    let trimmed = browser.evaluate(&page, "log.childElementCount");
    assert!(
        trimmed.as_u64() <= Some(u64::from(2 * LINES_MAX)),
        "{trimmed}"
    );
    assert_eq!(browser.evaluate(&page, "seen.textContent"), "line 1900");
    assert_eq!(browser.evaluate(&page, place), before);
}

#[test]
fn the_log_follows_through_a_resize() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_full(&mut browser, &server, 100);
    // The log may look where its reader is before its observer knows of the new size.
    browser.evaluate(
        &page,
        "window.addEventListener('resize', () => log.dispatchEvent(new Event('scroll')))",
    );
    for (width, height) in [(390, 844), (390, 400), (844, 390), (320, 200)] {
        browser.emulate(&page, "light", width, height);
        browser.wait_for(&page, &format!("innerHeight === {height} && {AT_BOTTOM}"));
        let height = browser.evaluate(&page, "log.clientHeight");
        assert!(height.as_u64() >= Some(80), "a log of {height} pixels");
    }
    fill(&server, 50);
    browser.wait_for(&page, &line_count_is(150));
    browser.wait_for(&page, AT_BOTTOM);
}

#[test]
fn long_words_wrap() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open(&mut browser, &server);
    let word = "long".repeat(100);
    say(&mut browser, &page, &word);
    browser.wait_for(&page, &last_line_is(&word));
    let fits = browser.evaluate(&page, "log.scrollWidth <= log.clientWidth");
    assert_eq!(fits, true);
}

#[test]
fn thousands_of_lines_are_cut_to_the_last_ones() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&["--send-queue", "10000"]);
    let page = open(&mut browser, &server);
    fill(&server, 5 * LINES_MAX);
    browser.wait_for(&page, &last_line_is(&format!("line {}", 5 * LINES_MAX - 1)));
    let count = browser.evaluate(&page, "document.getElementById('log').childElementCount");
    assert!(
        count
            .as_u64()
            .is_some_and(|count| count <= LINES_MAX.into()),
        "{count}"
    );
    browser.wait_for(&page, AT_BOTTOM);
}

#[test]
fn a_burst_of_frames_is_drawn_at_once() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_with_sockets(&mut browser, &server);
    let burst = "sockets[0].begin(':fresh a-0'); \
                 for (let i = 0; i < 10_000; i++) sockets[0].receive(`a-${i + 1} line ${i}`); \
                 log.childElementCount";
    assert_eq!(browser.evaluate(&page, burst), 0, "nothing is drawn yet");
    browser.wait_for(&page, &line_count_is(LINES_MAX));
    browser.wait_for(&page, &last_line_is("line 9999"));
}
