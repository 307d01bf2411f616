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
        ("chat-phone.png", "light", 390, 844),
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
