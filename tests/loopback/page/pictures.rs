//! Pictures of the page.

use std::path::Path;

use super::*;

#[test]
fn pictures_are_taken_for_a_person_to_look_at() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let (one, two) = (open(&mut browser, &server), open(&mut browser, &server));
    let talk = [
        "Is this thing on?",
        "Loud and clear.",
        "How many of us are here?",
        "Ten thousand, and nobody noticed.",
        "<b>Bold</b> words are just words here.",
        "Grüße aus Köln",
        "The server was restarted a minute ago, did you see?",
        "The page said so, and came back by itself.",
    ];
    for (i, text) in talk.iter().enumerate() {
        say(&mut browser, if i % 2 == 0 { &one } else { &two }, text);
        browser.wait_for(&one, &last_line_is(text));
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    for (name, scheme, width, height) in [
        ("chat.png", "light", 800, 520),
        ("chat-dark.png", "dark", 800, 520),
        ("chat-phone.png", "light", 360, 740),
    ] {
        browser.emulate(&one, scheme, width, height);
        browser.screenshot(&one, &folder.join(name));
    }
    browser.evaluate(&one, "msg.value = ''; msg.focus()");
    browser.type_text(&one, &"A line that is far too long. ".repeat(20));
    browser.wait_for(&one, "!count.hidden");
    for (name, scheme, width, height) in [
        ("too-long.png", "light", 800, 520),
        ("too-long-phone.png", "dark", 390, 700),
    ] {
        browser.emulate(&one, scheme, width, height);
        browser.wait_for(&one, AT_BOTTOM);
        browser.screenshot(&one, &folder.join(name));
    }
}

#[test]
fn pictures_are_taken_of_what_went_wrong() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = open_with_sockets(&mut browser, &server);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    browser.evaluate(&page, "location.hash = 'lobby'");
    browser.wait_for(&page, "sockets.length === 2");
    browser.evaluate(
        &page,
        "sockets[1].begin(':fresh a-0\\na-1 Is this thing on?\\na-2 Loud and clear.')",
    );
    say(&mut browser, &page, "Did you hear that too?");
    browser.evaluate(&page, "elapse(1_000)");
    browser.emulate(&page, "light", 800, 520);
    browser.screenshot(&page, &folder.join("waiting.png"));
    say(
        &mut browser,
        &page,
        "This line is a little longer, and so it takes more than one line.",
    );
    browser.evaluate(
        &page,
        "sockets[1].fall(); elapse(500); sockets[2].begin(':gap a-14 12\\na-15 What did I miss?')",
    );
    browser.wait_for(&page, &format!("{UNSENT}.length === 2"));
    browser.evaluate(&page, "sockets[2].fall(); elapse(1_000)");
    browser.evaluate(
        &page,
        "answer = { status: 503, type: 'text/plain', reason: 'too many clients are connected (--max-clients)' }; \
         fail()",
    );
    say(&mut browser, &page, "Kept");
    browser.evaluate(&page, "room.focus(); room.select()");
    browser.type_text(&page, "no such/room");
    browser.press_enter(&page);
    for (name, scheme, width, height) in [
        ("trouble.png", "light", 800, 520),
        ("trouble-phone.png", "light", 360, 740),
        ("trouble-dark.png", "dark", 360, 740),
    ] {
        browser.emulate(&page, scheme, width, height);
        browser.wait_for(&page, "document.documentElement.scrollWidth <= innerWidth");
        browser.screenshot(&page, &folder.join(name));
    }
}
