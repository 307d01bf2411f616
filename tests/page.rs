//! The page in a real Chromium: two pages chat, the log follows or stays, the connection comes back.

mod browser;
mod common;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use browser::{Browser, Page};
use common::{Server, fanfare};
use tungstenite::Message;

const CONNECTED: &str = "document.getElementById('state').dataset.state === 'open'";
const LOST: &str = "document.getElementById('state').dataset.state !== 'open'";
const AT_BOTTOM: &str = "(log => log.scrollHeight - log.scrollTop - log.clientHeight < 4)\
                         (document.getElementById('log'))";
const LINES_MAX: u32 = 2000;

/// One browser at a time: each wants a core of its own.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(browser: &mut Browser, server: &Server) -> Page {
    let page = browser.open(&format!("http://{}/", server.addr));
    browser.wait_for(&page, CONNECTED);
    page
}

fn say(browser: &mut Browser, page: &Page, text: &str) {
    browser.evaluate(page, "document.getElementById('msg').focus()");
    browser.type_text(page, text);
    browser.press_enter(page);
}

/// Whether the last line of the log is `text`.
fn last_line_is(text: &str) -> String {
    format!("document.getElementById('log').lastElementChild?.textContent === {text:?}")
}

fn line_count_is(count: u32) -> String {
    format!("document.getElementById('log').childElementCount === {count}")
}

/// Fills the log from outside, in one burst.
fn fill(server: &Server, lines: u32) {
    let mut client = server.polite("/ws");
    for line in 0..lines {
        client
            .write(Message::text(format!("line {line}")))
            .expect("the server reads");
    }
    client.flush().expect("the server reads");
    let last = format!("line {}", lines - 1);
    loop {
        let heard = client.read().expect("the server echoes");
        if heard.to_text().is_ok_and(|text| text.ends_with(&last)) {
            return;
        }
    }
}

#[test]
fn two_pages_chat_and_what_looks_like_html_stays_text() {
    let _turn = turn();
    let Some(mut browser) = Browser::start() else {
        return;
    };
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
fn messages_that_come_joined_become_a_line_each() {
    let _turn = turn();
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let server = Server::start(&[]);
    let page = open(&mut browser, &server);
    fill(&server, 100);
    browser.wait_for(&page, &line_count_is(100));
    browser.wait_for(&page, &last_line_is("line 99"));
}

#[test]
fn the_log_follows_at_the_bottom_and_stays_put_when_scrolled_up() {
    let _turn = turn();
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let server = Server::start(&[]);
    let page = open(&mut browser, &server);
    fill(&server, 100);
    browser.wait_for(&page, &line_count_is(100));
    browser.wait_for(&page, AT_BOTTOM);

    browser.evaluate(&page, "document.getElementById('log').scrollTop = 40");
    fill(&server, 50);
    browser.wait_for(&page, &line_count_is(150));
    assert_eq!(
        browser.evaluate(&page, "document.getElementById('log').scrollTop"),
        40
    );
    browser.wait_for(&page, "!document.getElementById('latest').hidden");

    browser.evaluate(&page, "document.getElementById('latest').click()");
    browser.wait_for(&page, AT_BOTTOM);
    fill(&server, 50);
    browser.wait_for(&page, &line_count_is(200));
    browser.wait_for(&page, AT_BOTTOM);
}

#[test]
fn thousands_of_lines_are_cut_to_the_last_ones() {
    let _turn = turn();
    let Some(mut browser) = Browser::start() else {
        return;
    };
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
fn a_lost_connection_is_shown_comes_back_and_costs_no_unsent_line() {
    let _turn = turn();
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let server = Server::start(&[]);
    let addr = server.addr.to_string();
    let page = open(&mut browser, &server);
    server.signal("KILL");
    drop(server);
    browser.wait_for(&page, LOST);
    say(&mut browser, &page, "said while alone");
    let kept = browser.evaluate(&page, "document.getElementById('msg').value");
    assert_eq!(kept, "said while alone");

    let mut command = fanfare();
    command.args(["--addr", &addr]);
    let _server = Server::spawn(command);
    browser.wait_for(&page, CONNECTED);
    browser.press_enter(&page);
    browser.wait_for(&page, &last_line_is("said while alone"));
}

#[test]
fn a_line_that_is_too_long_is_given_back_with_a_hint() {
    let _turn = turn();
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let server = Server::start(&[]);
    let page = open(&mut browser, &server);
    let long = "long ".repeat(200);
    say(&mut browser, &page, &long);
    browser.wait_for(&page, "!document.getElementById('hint').hidden");
    let kept = browser.evaluate(&page, "document.getElementById('msg').value");
    assert_eq!(kept, long);
    browser.wait_for(&page, CONNECTED);
}

#[test]
fn pictures_are_taken_for_a_person_to_look_at() {
    let _turn = turn();
    let Some(mut browser) = Browser::start() else {
        return;
    };
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
        ("chat-phone.png", "light", 390, 700),
    ] {
        browser.emulate(&one, scheme, width, height);
        browser.screenshot(&one, &folder.join(name));
    }
}
