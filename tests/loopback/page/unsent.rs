//! A line that was sent and did not come back: it is found in the replay, or offered to be sent again.

use serde_json::json;

use super::*;

/// The texts of the log, and what is offered to be sent again.
fn shown(browser: &mut Browser, page: &Page) -> serde_json::Value {
    browser.evaluate(page, &format!("[{LINES}, {UNSENT}]"))
}

const BUTTONS: &str = "[...unsent.querySelectorAll('button')]";
/// What is said of each line that did not come back.
const NOTES: &str = "[...unsent.querySelectorAll('small')].map((note) => note.textContent)";

#[test]
fn a_line_whose_echo_was_lost_is_found_in_the_replay() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let (proxy, page) = open_through_proxy(&mut browser, &server);
    let mut outside = server.polite("/ws");
    proxy.hold_answers();
    say(&mut browser, &page, "  mine ");
    let heard = outside.read().expect("the server publishes");
    assert_eq!(heard.to_text().expect("text"), "mine");
    proxy.cut();
    proxy.restore();
    browser.wait_for(&page, LOST);
    browser.evaluate(&page, "elapse(500)");
    browser.wait_for(&page, CONNECTED);
    browser.wait_for(&page, &last_line_is("mine"));
    assert_eq!(shown(&mut browser, &page), json!([["mine"], []]));
    // It is not waited for any longer.
    browser.evaluate(&page, "elapse(10_000)");
    assert_eq!(browser.evaluate(&page, CONNECTED), true);
}

#[test]
fn a_line_that_never_arrived_is_offered_and_sent_by_a_click() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let (proxy, page) = open_through_proxy(&mut browser, &server);
    proxy.silence();
    say(&mut browser, &page, "mine");
    proxy.cut();
    browser.wait_for(&page, LOST);
    proxy.restore();
    browser.type_text(&page, "half writ");
    browser.evaluate(&page, "hasten()");
    browser.wait_for(&page, CONNECTED);
    browser.wait_for(&page, &format!("{UNSENT}.length === 1"));
    assert_eq!(shown(&mut browser, &page), json!([[], ["mine"]]));
    let note = browser.evaluate(&page, "unsent.querySelector('small').textContent");
    assert_eq!(note, "Not sent");

    browser.evaluate(&page, &format!("{BUTTONS}[0].click()"));
    browser.wait_for(&page, &last_line_is("mine"));
    assert_eq!(shown(&mut browser, &page), json!([["mine"], []]));
    let input = browser.evaluate(&page, "[msg.value, document.activeElement.id]");
    assert_eq!(input, json!(["half writ", "msg"]));
}

#[test]
fn a_server_that_answers_late_has_published_and_nothing_is_offered() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = browser.open_after(
        &format!("http://{}/", server.addr),
        &format!("{CLOCK}{WATCH}"),
    );
    browser.wait_for(&page, CONNECTED);
    say(&mut browser, &page, "  heard ");
    browser.wait_for(&page, &last_line_is("heard"));
    browser.evaluate(&page, "elapse(10_000)");
    assert_eq!(browser.evaluate(&page, CONNECTED), true);

    server.signal("STOP");
    say(&mut browser, &page, "late");
    browser.evaluate(&page, "elapse(9_999)");
    say(&mut browser, &page, "later");
    assert_eq!(browser.evaluate(&page, CONNECTED), true);
    browser.evaluate(&page, "elapse(1)");
    assert_eq!(browser.evaluate(&page, LOST), true);

    server.signal("CONT");
    browser.evaluate(&page, "elapse(500)");
    browser.wait_for(&page, CONNECTED);
    browser.wait_for(&page, &last_line_is("later"));
    let expected = json!([["heard", "late", "later"], []]);
    assert_eq!(shown(&mut browser, &page), expected);
}

#[test]
fn the_wait_for_a_line_of_ours_starts_again_when_another_came_back() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_with_sockets(&mut browser, &server);
    browser.evaluate(&page, "sockets[0].begin(':fresh a-0')");
    for text in ["  ", "one", "two", " three"] {
        say(&mut browser, &page, text);
    }
    for received in [
        "a-1 foreign\\na-2 one",
        "a-3 foreign",
        "a-4 two\\na-5 three",
    ] {
        let script = format!("elapse(3_334); sockets[0].receive('{received}')");
        browser.evaluate(&page, &script);
        assert_eq!(browser.evaluate(&page, CONNECTED), true, "{received}");
    }
    browser.evaluate(&page, "elapse(10_000)");
    assert_eq!(browser.evaluate(&page, CONNECTED), true);
    let sent = browser.evaluate(&page, "sockets[0].sent");
    assert_eq!(sent, json!(["  one", "two", " three"]));
}

#[test]
fn what_is_not_in_the_replay_is_offered_at_its_end_and_what_is_there_is_not() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_with_sockets(&mut browser, &server);
    browser.evaluate(&page, "sockets[0].begin(':fresh a-0')");
    for text in ["one", "same", "same"] {
        say(&mut browser, &page, text);
    }
    browser.evaluate(
        &page,
        "sockets[0].receive('a-1 same\\na-2 one'); sockets[0].fall()",
    );
    browser.evaluate(&page, "elapse(500); sockets[1].open()");
    browser.evaluate(&page, "sockets[1].receive(':resumed a-2\\na-3 same')");
    // What somebody else said before counts for none of ours, and the replay may go on.
    browser.wait_for(&page, &last_line_is("same"));
    let expected = json!([["same", "one", "same"], []]);
    assert_eq!(shown(&mut browser, &page), expected);
    assert_eq!(browser.evaluate(&page, CONNECTED), false);
    browser.evaluate(&page, "sockets[1].receive('a-4 other\\n:here 2')");
    browser.wait_for(&page, &last_line_is("other"));
    let expected = json!([["same", "one", "same", "other"], ["same"]]);
    assert_eq!(shown(&mut browser, &page), expected);
    let sent = browser.evaluate(&page, "sockets[1].sent");
    assert_eq!(sent, json!([]), "nothing is sent again by itself");

    browser.evaluate(&page, &format!("{BUTTONS}[1].click()"));
    let expected = json!([["same", "one", "same", "other"], []]);
    assert_eq!(shown(&mut browser, &page), expected);
    assert_eq!(browser.evaluate(&page, "sockets[1].sent"), json!([]));
}

#[test]
fn what_may_be_among_missing_messages_is_offered_as_perhaps_not_sent() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_with_sockets(&mut browser, &server);
    browser.evaluate(&page, "sockets[0].begin(':fresh a-0')");
    for text in ["one", "two", "three"] {
        say(&mut browser, &page, text);
    }
    browser.evaluate(
        &page,
        "sockets[0].fall(); elapse(500); sockets[1].begin(':gap a-1 1\\na-2 two')",
    );
    browser.wait_for(&page, &format!("{UNSENT}.length === 2"));
    browser.wait_for(&page, &last_line_is("two"));
    let expected = json!([["1 message is missing here.", "two"], ["one", "three"]]);
    assert_eq!(shown(&mut browser, &page), expected);
    let expected = json!(["Perhaps not sent", "Perhaps not sent"]);
    assert_eq!(browser.evaluate(&page, NOTES), expected);

    // A gap that was before is none of a later line's business.
    say(&mut browser, &page, "four");
    browser.evaluate(
        &page,
        "sockets[1].fall(); elapse(1_000); sockets[2].begin(':resumed a-2')",
    );
    browser.wait_for(&page, &format!("{UNSENT}.length === 3"));
    assert_eq!(browser.evaluate(&page, &format!("{NOTES}[2]")), "Not sent");

    // It goes on behind a gap too.
    browser.evaluate(
        &page,
        "sockets[2].receive(':gap a-9 7'); sockets[2].fall(); elapse(30_000)",
    );
    let query = browser.evaluate(&page, "sockets[3].query");
    assert_eq!(query, "here 1 since a-9");
}

#[test]
fn a_line_that_takes_long_is_shown_as_waiting_until_it_comes_back() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_with_sockets(&mut browser, &server);
    browser.evaluate(&page, "sockets[0].begin(':fresh a-0')");
    for text in ["one", "two"] {
        say(&mut browser, &page, text);
    }
    browser.evaluate(&page, "elapse(999)");
    assert_eq!(shown(&mut browser, &page), json!([[], []]));
    browser.evaluate(&page, "elapse(1)");
    assert_eq!(shown(&mut browser, &page), json!([[], ["one", "two"]]));
    let notes = browser.evaluate(&page, NOTES);
    assert_eq!(notes, json!(["Waiting …", "Waiting …"]));
    let buttons = browser.evaluate(&page, &format!("{BUTTONS}.length"));
    assert_eq!(buttons, 0, "it may still be published");
    browser.evaluate(&page, "sockets[0].receive('a-1 one')");
    browser.wait_for(&page, &last_line_is("one"));
    assert_eq!(shown(&mut browser, &page), json!([["one"], ["two"]]));

    // A connection that falls tells nothing of it yet.
    browser.evaluate(&page, "sockets[0].fall()");
    assert_eq!(browser.evaluate(&page, NOTES), json!(["Waiting …"]));
    browser.evaluate(
        &page,
        "elapse(500); sockets[1].begin(':resumed a-1\\na-2 two')",
    );
    browser.wait_for(&page, &last_line_is("two"));
    assert_eq!(shown(&mut browser, &page), json!([["one", "two"], []]));
}

#[test]
fn what_waited_when_the_broker_was_away_is_offered_as_perhaps_not_sent() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_with_sockets(&mut browser, &server);
    browser.evaluate(&page, "sockets[0].begin(':fresh a-0')");
    for text in ["dropped", "passed on", "on its way"] {
        say(&mut browser, &page, text);
    }
    browser.evaluate(
        &page,
        "elapse(5_000); sockets[0].fall(1013, 'what was said could not be passed on; try again')",
    );
    let state = browser.evaluate(&page, "state.textContent");
    let reason = "Not connected: what was said could not be passed on; try again. Trying again …";
    assert_eq!(state, reason);
    // How the next attempt ends says nothing of them.
    browser.evaluate(
        &page,
        "elapse(500); sockets[1].open(); sockets[1].fall(); elapse(1_000)",
    );
    browser.evaluate(&page, "sockets[2].begin(':resumed a-0\\na-1 passed on')");
    browser.wait_for(&page, &format!("{BUTTONS}.length === 4"));
    browser.wait_for(&page, &last_line_is("passed on"));
    let expected = json!([["passed on"], ["dropped", "on its way"]]);
    assert_eq!(shown(&mut browser, &page), expected);
    let expected = json!(["Perhaps not sent", "Perhaps not sent"]);
    assert_eq!(browser.evaluate(&page, NOTES), expected);

    // What is said later is another matter.
    say(&mut browser, &page, "later");
    browser.evaluate(
        &page,
        "sockets[2].fall(); elapse(2_000); sockets[3].begin(':resumed a-1')",
    );
    browser.wait_for(&page, &format!("{BUTTONS}.length === 6"));
    assert_eq!(browser.evaluate(&page, &format!("{NOTES}[2]")), "Not sent");
}

#[test]
fn an_offer_belongs_to_its_room_and_waits_for_a_connection() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_with_sockets(&mut browser, &server);
    browser.evaluate(&page, "sockets[0].begin(':fresh a-0')");
    say(&mut browser, &page, "to all");
    browser.evaluate(&page, "location.hash = 'other'");
    browser.wait_for(&page, "sockets.length === 2");
    browser.evaluate(&page, "sockets[1].begin(':fresh b-0')");
    assert_eq!(shown(&mut browser, &page), json!([[], []]));
    browser.evaluate(&page, "location.hash = ''");
    browser.wait_for(&page, &format!("{UNSENT}.length === 1"));
    browser.evaluate(&page, &format!("{BUTTONS}[0].click()"));
    assert_eq!(shown(&mut browser, &page), json!([[], ["to all"]]));
    assert_eq!(browser.evaluate(&page, "hint.hidden"), false);
    browser.evaluate(&page, "sockets[2].begin(':fresh a-0')");
    browser.evaluate(&page, &format!("{BUTTONS}[0].click()"));
    assert_eq!(
        browser.evaluate(&page, "sockets[2].sent"),
        json!(["to all"])
    );
    assert_eq!(shown(&mut browser, &page), json!([[], []]));
}
