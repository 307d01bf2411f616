//! The room: by the fragment, by the field, with what was said before and how many listen.

use serde_json::json;

use super::*;

fn open_room(browser: &mut Browser, server: &Server, room: &str) -> Page {
    let page = browser.open(&format!("http://{}/#{room}", server.addr));
    browser.wait_for(&page, CONNECTED);
    page
}

#[test]
fn the_fragment_names_the_room() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let name = "A.long~room_name".repeat(4);
    let pages = ["", "lobby", &name].map(|room| open_room(&mut browser, &server, room));
    for (page, text) in pages
        .iter()
        .zip(["to all", "to the lobby", "to the long one"])
    {
        say(&mut browser, page, text);
        browser.wait_for(page, &last_line_is(text));
    }
    for (page, text) in pages
        .iter()
        .zip(["to all", "to the lobby", "to the long one"])
    {
        assert_eq!(browser.evaluate(page, LINES), json!([text]));
    }
    let shown = "[room.value, document.title, log.ariaLabel]";
    let expected = json!(["", "fanfare", "Messages"]);
    assert_eq!(browser.evaluate(&pages[0], shown), expected);
    let expected = json!(["lobby", "lobby – fanfare", "Messages in lobby"]);
    assert_eq!(browser.evaluate(&pages[1], shown), expected);
}

#[test]
fn the_field_and_the_history_change_the_room() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    publish_unseen(&server, "/ws", &["in the default room"]);
    publish_unseen(&server, "/ws/one", &["in one"]);
    publish_unseen(&server, "/ws/two", &["in two"]);
    let page = open(&mut browser, &server);
    browser.wait_for(&page, &last_line_is("in the default room"));
    for (room, line) in [("one", "in one"), ("two", "in two")] {
        browser.evaluate(&page, "room.focus(); room.select()");
        browser.type_text(&page, room);
        browser.press_enter(&page);
        browser.wait_for(&page, &last_line_is(line));
        browser.wait_for(&page, CONNECTED);
        assert_eq!(browser.evaluate(&page, "location.hash"), format!("#{room}"));
        assert_eq!(browser.evaluate(&page, "document.activeElement.id"), "msg");
        assert_eq!(browser.evaluate(&page, LINES), json!([line]));
    }
    browser.evaluate(&page, "history.back()");
    browser.wait_for(&page, &last_line_is("in one"));
    assert_eq!(browser.evaluate(&page, "room.value"), "one");
    // What is left behind is not listened to.
    browser.wait_for(&page, "here.textContent === '1 here'");
    publish_unseen(&server, "/ws/two", &["more in two"]);
    publish_unseen(&server, "/ws/one", &["more in one"]);
    browser.wait_for(&page, &last_line_is("more in one"));
    assert_eq!(
        browser.evaluate(&page, LINES),
        json!(["in one", "more in one"])
    );
}

#[test]
fn a_name_that_no_room_can_have_is_explained() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open(&mut browser, &server);
    let too_long = "x".repeat(65);
    // By the field, which leaves the room as it is.
    for name in ["a b", "a/b", "..", ".", "café"] {
        browser.evaluate(&page, "room.focus(); room.select()");
        browser.type_text(&page, name);
        browser.press_enter(&page);
        browser.wait_for(&page, "!document.getElementById('room-hint').hidden");
        let shown = browser.evaluate(
            &page,
            "[room.ariaInvalid, room.value, location.hash, state.dataset.state]",
        );
        assert_eq!(shown, json!(["true", name, "", "open"]));
        browser.press_backspace(&page);
        browser.wait_for(&page, "document.getElementById('room-hint').hidden");
    }
    // By the fragment.
    for (hash, shown_as) in [
        ("a%20b", "a b"),
        ("a/b", "a/b"),
        ("..", ".."),
        (&too_long, &too_long),
    ] {
        browser.evaluate(&page, &format!("location.hash = '{hash}'"));
        browser.wait_for(&page, &format!("room.value === '{shown_as}'"));
        browser.wait_for(&page, "!document.getElementById('room-hint').hidden");
        let state = browser.evaluate(&page, "state.textContent");
        assert_eq!(state, "There is no such room.");
        say(&mut browser, &page, "to nobody");
        browser.wait_for(&page, "!hint.hidden && msg.value === 'to nobody'");
        browser.evaluate(&page, "msg.value = ''");
    }
    browser.evaluate(&page, "location.hash = 'lobby'");
    browser.wait_for(&page, CONNECTED);
    let hidden = "document.getElementById('room-hint').hidden && room.ariaInvalid === 'false'";
    assert_eq!(browser.evaluate(&page, hidden), true);
}

#[test]
fn a_newcomer_sees_the_last_fifty_messages_and_where_the_log_ends() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let texts: Vec<String> = (0..60).map(|count| format!("line {count}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    publish_unseen(&server, "/ws/lobby", &texts);
    let page = open_room(&mut browser, &server, "lobby");
    browser.wait_for(&page, &last_line_is("line 59"));
    assert_eq!(browser.evaluate(&page, LINES), json!(texts[10..]));
    browser.wait_for(&page, AT_BOTTOM);
}

#[test]
fn the_page_shows_how_many_are_here() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_room(&mut browser, &server, "lobby");
    browser.wait_for(&page, "here.textContent === '1 here' && !here.hidden");
    let others = [server.polite("/ws/lobby"), server.polite("/ws/lobby")];
    let _elsewhere = server.polite("/ws");
    browser.wait_for(&page, "here.textContent === '3 here'");
    drop(others);
    browser.wait_for(&page, "here.textContent === '1 here'");
    server.signal("KILL");
    browser.wait_for(&page, LOST);
    assert_eq!(browser.evaluate(&page, "here.hidden"), true);
}
