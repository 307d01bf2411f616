//! Two pages chat; what is typed, and what the page cannot do.

use serde_json::json;

use super::*;

#[test]
fn two_pages_chat_and_what_looks_like_html_stays_text() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let (one, two) = (open(&mut browser, &server), open(&mut browser, &server));
    say(&mut browser, &one, "hello from one");
    for page in [&one, &two] {
        browser.wait_for(page, &last_line_is("hello from one"));
    }
    let input = browser.evaluate(&one, "document.getElementById('msg').value");
    assert_eq!(input, "", "the line was sent, so the input is empty");

    let html = "<img src=x onerror=\"document.title='broken into'\"><b>bold</b>";
    say(&mut browser, &two, html);
    for page in [&one, &two] {
        browser.wait_for(page, &last_line_is(html));
        let elements =
            browser.evaluate(page, "document.querySelectorAll('#log img, #log b').length");
        assert_eq!(elements, 0);
        assert_eq!(browser.evaluate(page, "document.title"), "fanfare");
    }
}

#[test]
fn a_line_that_is_too_long_is_marked_while_it_is_typed_and_not_sent() {
    let Some(mut browser) = turn() else { return };
    for limit in [100, 512] {
        let server = Server::start(&["--max-message", &format!("{limit}B")]);
        let page = browser.open_after(&format!("http://{}/", server.addr), WATCH);
        browser.wait_for(&page, CONNECTED);
        let fitting = format!(" {}  x", "é".repeat(limit / 2 - 2));
        browser.type_text(&page, &format!("{fitting}é"));
        let count = format!("{} of {limit} bytes", limit + 2);
        browser.wait_for(
            &page,
            &format!("!count.hidden && count.textContent === {count:?}"),
        );
        browser.press_enter(&page);
        let shown = "!hint.hidden && hint.textContent.includes('too long') && msg.value.length";
        assert_eq!(browser.evaluate(&page, shown), limit / 2 + 3);

        browser.press_backspace(&page);
        browser.wait_for(&page, "hint.hidden && count.hidden");
        browser.press_enter(&page);
        browser.wait_for(&page, &last_line_is(fitting.trim()));
        assert_eq!(browser.evaluate(&page, "made.length"), 1);
    }
}

#[test]
fn a_page_that_cannot_learn_the_limit_gives_a_line_back_that_the_server_refused() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = browser.open_after(&format!("http://{}/", server.addr), NO_FETCH);
    browser.wait_for(&page, CONNECTED);
    say(&mut browser, &page, "short");
    browser.wait_for(&page, &last_line_is("short"));
    let long = "long ".repeat(200);
    say(&mut browser, &page, &long);
    browser.wait_for(
        &page,
        "hint.textContent.includes('too long') && !hint.hidden",
    );
    assert_eq!(browser.evaluate(&page, "msg.value"), long);
    browser.wait_for(&page, CONNECTED);
}

#[test]
fn what_the_server_changes_is_recognized_when_it_comes_back() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = browser.open_after(&format!("http://{}/", server.addr), CLOCK);
    browser.wait_for(&page, CONNECTED);
    for (typed, shown) in [
        // Lone surrogates are none of Unicode's characters. JavaScript trims U+FEFF, and the server does not.
        ("\\ufeff\\ud800 and \\udc00", "\\ufeff\\ufffd and \\ufffd"),
        // The server trims U+0085, and JavaScript does not.
        ("\\u0085\\u00a0one\\u0085two\\u2003\\u0085", "one\\u0085two"),
    ] {
        browser.evaluate(
            &page,
            &format!("msg.value = '{typed}'; form.requestSubmit()"),
        );
        browser.wait_for(
            &page,
            &format!("log.lastElementChild?.textContent === '{shown}'"),
        );
        browser.evaluate(&page, "elapse(10_000)");
        let shown = browser.evaluate(&page, "[state.dataset.state, msg.value]");
        assert_eq!(shown, json!(["open", ""]));
    }
}

#[test]
fn the_page_works_under_a_path_prefix() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let proxy = Proxy::start_under(server.addr, "/some/chat");
    let page = browser.open(&format!("http://{}/some/chat/?from=here#there", proxy.addr));
    browser.wait_for(&page, CONNECTED);
    // The limits are found as well.
    browser.evaluate(&page, "msg.focus()");
    browser.type_text(&page, &"é".repeat(300));
    browser.wait_for(&page, "count.textContent === '600 of 512 bytes'");
    browser.evaluate(&page, "msg.value = ''");
    say(&mut browser, &page, "hello");
    browser.wait_for(&page, &last_line_is("hello"));
    let is_styled = "getComputedStyle(document.body).display === 'flex'";
    assert_eq!(browser.evaluate(&page, is_styled), true);
    proxy.wait_for_requests("/some/chat/icon.svg", 1);
    for target in proxy.all_requests() {
        assert!(target.starts_with("/some/chat/"), "{target}");
    }
}

#[test]
fn a_browser_without_websocket_is_told_so() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let url = format!("http://{}/", server.addr);
    let page = browser.open_after(&url, "delete window.WebSocket");
    let told = browser.evaluate(&page, "state.textContent");
    assert_eq!(told, "This browser has no WebSocket, so it cannot chat.");
    let disabled = "[...form.elements].every((control) => control.disabled)";
    assert_eq!(browser.evaluate(&page, disabled), true);
}
