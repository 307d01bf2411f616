//! The connection comes back, and the log goes on as if it had never gone.

use serde_json::json;

use super::*;
use crate::common::fanfare;

#[test]
fn a_lost_connection_is_shown_comes_back_and_costs_no_unsent_line() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let addr = server.addr.to_string();
    let page = open(&mut browser, &server);
    server.signal("KILL");
    drop(server);
    browser.wait_for(&page, LOST);
    say(&mut browser, &page, "said while alone");
    let kept = browser.evaluate(&page, "document.getElementById('msg').value");
    assert_eq!(kept, "said while alone");
    browser.wait_for(&page, "!hint.hidden");

    let mut command = fanfare();
    command.args(["--addr", &addr]);
    let _server = Server::spawn(command);
    browser.wait_for(&page, CONNECTED);
    assert_eq!(browser.evaluate(&page, "hint.hidden"), true);
    browser.press_enter(&page);
    browser.wait_for(&page, &last_line_is("said while alone"));
    // The server remembers nothing of what was before.
    let lines = browser.evaluate(&page, LINES);
    let gap = "Messages may be missing here.";
    assert_eq!(lines, json!([gap, "said while alone"]));
}

#[test]
fn what_was_published_while_a_connection_was_cut_comes_with_the_next_one() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let (proxy, page) = open_through_proxy(&mut browser, &server);
    let mut published = Vec::new();
    for round in 0..5 {
        let before = format!("before {round}");
        publish(&mut browser, &page, &server, &before);
        proxy.cut();
        browser.wait_for(&page, LOST);
        let missed = [format!("missed {round}"), format!("missed too {round}")];
        publish_unseen(&server, "/ws", &missed.each_ref().map(String::as_str));
        browser.evaluate(&page, "hasten()");
        browser.wait_for(&page, CONNECTED);
        published.push(before);
        published.extend(missed);
    }
    publish(&mut browser, &page, &server, "last");
    published.push("last".to_owned());
    assert_eq!(browser.evaluate(&page, LINES), json!(published));
}

#[test]
fn a_gap_is_shown_in_its_place_with_its_count() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&["--history", "5"]);
    let (proxy, page) = open_through_proxy(&mut browser, &server);
    publish(&mut browser, &page, &server, "before");
    for (missed, gap) in [
        (8, "3 messages are missing here."),
        (6, "1 message is missing here."),
    ] {
        proxy.cut();
        browser.wait_for(&page, LOST);
        let texts: Vec<String> = (0..missed).map(|count| format!("missed {count}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        publish_unseen(&server, "/ws", &texts);
        browser.evaluate(&page, "hasten()");
        browser.wait_for(&page, &last_line_is(&format!("missed {}", missed - 1)));
        let lines = browser.evaluate(&page, &format!("{LINES}.slice(-6)"));
        let mut expected = vec![gap];
        expected.extend(&texts[texts.len() - 5..]);
        assert_eq!(lines, json!(expected));
        let class = "log.children[log.childElementCount - 6].className";
        assert_eq!(browser.evaluate(&page, class), "gap");
    }
}

#[test]
fn a_path_that_went_silent_is_noticed_and_nothing_is_lost() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let (proxy, page) = open_through_proxy(&mut browser, &server);
    publish(&mut browser, &page, &server, "before");
    proxy.silence();
    publish_unseen(&server, "/ws", &["meanwhile"]);
    browser.evaluate(&page, "elapse(60_000)");
    browser.wait_for(&page, LOST);

    proxy.restore();
    browser.evaluate(&page, "elapse(500)");
    browser.wait_for(&page, CONNECTED);
    publish(&mut browser, &page, &server, "after");
    let lines = browser.evaluate(&page, LINES);
    assert_eq!(lines, json!(["before", "meanwhile", "after"]));
}

#[test]
fn a_forgotten_connection_is_replaced_when_the_page_comes_back() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let (proxy, page) = open_through_proxy(&mut browser, &server);
    publish(&mut browser, &page, &server, "before");
    proxy.forget_websockets();
    publish_unseen(&server, "/ws", &["meanwhile"]);
    // As after a sleep: what was due is done late.
    browser.evaluate(&page, "sleep(30_000); comeBack()");
    browser.wait_for(&page, CONNECTED);
    publish(&mut browser, &page, &server, "after");
    let lines = browser.evaluate(&page, LINES);
    assert_eq!(lines, json!(["before", "meanwhile", "after"]));
    assert_eq!(browser.evaluate(&page, "made.length"), 2);
}

#[test]
fn a_connection_with_signs_of_life_is_left_alone_and_one_without_is_not() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_with_sockets(&mut browser, &server);
    browser.evaluate(&page, "sockets[0].begin(':fresh aaaaaaaa-0')");
    for sign in [":here 1", "aaaaaaaa-1 hello", ":unknown line"] {
        browser.evaluate(
            &page,
            &format!("elapse(59_999); sockets[0].receive('{sign}')"),
        );
    }
    let shown = "[state.dataset.state, sockets.length]";
    browser.evaluate(&page, "elapse(59_999)");
    assert_eq!(browser.evaluate(&page, shown), json!(["open", 1]));
    browser.evaluate(&page, "elapse(1)");
    assert_eq!(browser.evaluate(&page, LOST), true);
    browser.evaluate(&page, "elapse(500)");
    let query = "[sockets[1].query, sockets[1].protocol]";
    let expected = json!(["here 1 since aaaaaaaa-1", "fanfare.v1"]);
    assert_eq!(browser.evaluate(&page, query), expected);
    // What the first still has to say was said to nobody.
    browser.evaluate(&page, "sockets[0].receive('aaaaaaaa-2 late')");
    browser.evaluate(&page, "sockets[1].begin(':resumed aaaaaaaa-1')");
    assert_eq!(browser.evaluate(&page, CONNECTED), true);
    browser.wait_for(&page, &last_line_is("hello"));
}

#[test]
fn a_sign_of_life_is_awaited_less_long_when_the_network_or_the_page_comes_back() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    for event in [
        "comeBack()",
        "window.dispatchEvent(new Event('online'))",
        "window.dispatchEvent(new Event('pageshow'))",
    ] {
        let page = open_with_sockets(&mut browser, &server);
        browser.evaluate(&page, "sockets[0].begin(':fresh aaaaaaaa-0')");
        // One that heard something since is fine.
        browser.evaluate(
            &page,
            &format!("elapse(10_000); {event}; elapse(19_999); sockets[0].receive(':here 1')"),
        );
        browser.evaluate(&page, &format!("elapse(29_900); {event}; elapse(99)"));
        let count = browser.evaluate(&page, "sockets.length");
        assert_eq!(count, 1, "{event}");
        browser.evaluate(&page, "elapse(1)");
        assert_eq!(browser.evaluate(&page, LOST), true, "{event}");
        // One that was silent for long is not waited for.
        browser.evaluate(
            &page,
            "elapse(500); sockets[1].begin(':resumed aaaaaaaa-0')",
        );
        browser.evaluate(&page, &format!("elapse(30_000); {event}"));
        let count = browser.evaluate(&page, "sockets.length");
        assert_eq!(count, 3, "{event}");
    }
}

#[test]
fn waits_grow_are_jittered_and_start_over_after_a_connection_that_held() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_with_sockets(&mut browser, &server);
    let fall = "fall = async () => { await fail(); const wait = waits.at(-1); elapse(wait); return wait; }; 0";
    browser.evaluate(&page, fall);
    // Twice as long each time, at most 30 s, and anything between nothing and all of that.
    let falls = "(async () => { const all = []; while (all.length < 8) all.push(await fall()); return all; })()";
    assert_eq!(
        browser.evaluate(&page, falls),
        json!([250, 1000, 1000, 4000, 4000, 16_000, 15_000, 30_000])
    );
    for (held, wait) in [(4_999, 15_000), (5_000, 500)] {
        let script = format!("sockets.at(-1).open(); elapse({held}); fall()");
        assert_eq!(browser.evaluate(&page, &script), wait, "held for {held} ms");
    }
}

#[test]
fn a_hidden_page_retries_slowly_and_an_event_or_a_message_ends_the_wait() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_with_sockets(&mut browser, &server);
    browser.evaluate(&page, "isHidden = true");
    for (wait, count) in [(30_000, 1), (60_000, 2)] {
        let before = format!("fail().then(() => (elapse({wait} - 1), sockets.length))");
        assert_eq!(browser.evaluate(&page, &before), count);
        assert_eq!(
            browser.evaluate(&page, "elapse(1); sockets.length"),
            count + 1
        );
    }
    // What is news is counted in the title of the hidden page, and history is not.
    browser.evaluate(
        &page,
        "sockets[2].begin(':fresh aaaaaaaa-8\\naaaaaaaa-9 old'); \
         sockets[2].receive('aaaaaaaa-10 news'); elapse(250)",
    );
    assert_eq!(browser.evaluate(&page, "document.title"), "(1) fanfare");

    // What the browser closed without a word is noticed when the page comes back.
    browser.evaluate(&page, "sockets[2].readyState = 3; isHidden = false");
    assert_eq!(browser.evaluate(&page, "comeBack(); sockets.length"), 4);
    assert_eq!(browser.evaluate(&page, "document.title"), "fanfare");

    // The network's return ends a wait rather than adding a second attempt to it, and so does somebody
    // who looks, or sends.
    let events = "window.dispatchEvent(new Event('online')); comeBack(); \
                  window.dispatchEvent(new Event('pageshow')); sockets.length";
    browser.evaluate(&page, "fail()");
    assert_eq!(browser.evaluate(&page, events), 5);
    browser.evaluate(&page, "fail()");
    say(&mut browser, &page, "hello");
    browser.evaluate(&page, "elapse(9_999)");
    assert_eq!(browser.evaluate(&page, "sockets.length"), 6);
    assert_eq!(browser.evaluate(&page, "msg.value"), "hello");
}

#[test]
fn an_attempt_that_is_never_answered_is_given_up() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let (proxy, page) = open_through_proxy(&mut browser, &server);
    proxy.silence();
    proxy.cut();
    browser.wait_for(&page, LOST);
    browser.evaluate(&page, "elapse(500)");
    browser.wait_for(&page, "made.length === 2");
    browser.evaluate(&page, "elapse(9_999)");
    assert_eq!(browser.evaluate(&page, "made[1].readyState"), 0);
    browser.evaluate(&page, "elapse(1)");
    assert_ne!(browser.evaluate(&page, "made[1].readyState"), 0);
    proxy.restore();
    browser.evaluate(&page, "elapse(1_000)");
    browser.wait_for(&page, CONNECTED);
    assert_eq!(browser.evaluate(&page, "made.length"), 3);
}
