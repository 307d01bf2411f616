//! The page in a real Chromium: two pages chat, the log follows or stays, the connection comes back.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::browser::{Browser, Page};
use crate::common::{Server, fanfare};
use crate::proxy::Proxy;
use serde_json::json;
use tungstenite::Message;

const CONNECTED: &str = "document.getElementById('state').dataset.state === 'open'";
const LOST: &str = "document.getElementById('state').dataset.state !== 'open'";
const AT_BOTTOM: &str = "(log => log.scrollHeight - log.scrollTop - log.clientHeight < 4)\
                         (document.getElementById('log'))";
const LINES_MAX: u32 = 2000;

/// A clock made by hand: what the page wants to do later is done when a test says so, except for drawing.
const CLOCK: &str = "
    const setRealTimeout = window.setTimeout;
    const clearRealTimeout = window.clearTimeout;
    const timers = new Map();
    let now = Date.now();
    Date.now = () => now;
    window.waits = [];
    window.setTimeout = (call, wait) => {
      if (wait < 20) return setRealTimeout(call, wait);
      const id = -1 - waits.push(wait);
      timers.set(id, { call, due: now + wait });
      return id;
    };
    window.clearTimeout = (id) => timers.delete(id) || clearRealTimeout(id);
    AbortSignal.timeout = (wait) => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(), wait);
      return controller.signal;
    };
    window.elapse = (time) => {
      const end = now + time;
      for (;;) {
        const due = [...timers].filter(([, timer]) => timer.due <= end);
        if (due.length === 0) break;
        const [id, timer] = due.reduce((one, two) => (two[1].due < one[1].due ? two : one));
        timers.delete(id);
        now = Math.max(now, timer.due);
        timer.call();
      }
      now = end;
    };
    // What is due meanwhile is done late, at the next step.
    window.sleep = (time) => (now += time);
";

/// Connections that stand and fall as a test says, and chance that alternates between its two ends.
const SOCKETS: &str = "
    window.sockets = [];
    window.WebSocket = class {
      static OPEN = 1;
      constructor() { sockets.push(this); }
      open() { this.readyState = 1; this.onopen(); }
      send() {}
      close() { this.readyState = 2; }
      fall() { this.readyState = 3; this.onclose?.({ code: 1006, wasClean: false }); }
      receive(data) { this.onmessage?.({ data }); }
    };
    let chance = 1;
    Math.random = () => (chance = 1 - chance);
";

/// No chance, a count of what was asked of the server and answered, the true connections with what they received, a page that is
/// hidden at will, and its return to the screen.
const WATCH: &str = "
    const realFetch = window.fetch;
    window.asked = 0;
    window.answered = 0;
    window.fetch = (...it) => (asked++, realFetch(...it).then((response) => (answered++, response)));
    Math.random = () => 0;
    window.made = [];
    window.WebSocket = class extends WebSocket {
      received = 0;
      constructor(url) {
        super(url);
        made.push(this);
        this.addEventListener('message', () => this.received++);
      }
    };
    window.isHidden = false;
    Object.defineProperty(document, 'hidden', { get: () => isHidden });
    window.comeBack = () => document.dispatchEvent(new Event('visibilitychange'));
";

/// Keeps the page from asking anything but its WebSocket.
const NO_FETCH: &str = "window.fetch = () => Promise.reject(new TypeError('blocked'));";

/// True once the page has noticed what was scrolled.
const SCROLL_NOTED: &str = "new Promise((done) => \
     requestAnimationFrame(() => requestAnimationFrame(() => done(true))))";

const LINES: &str = "[...log.children].map((line) => line.className || line.textContent)";

/// The browser, which the tests share and use one after the other: its start costs more than most tests.
/// The last of those that wait for it ends it. `None` where there is no browser.
struct Turn(MutexGuard<'static, Option<Browser>>);

static BROWSER: Mutex<Option<Browser>> = Mutex::new(None);
static WAITING: AtomicUsize = AtomicUsize::new(0);

fn turn() -> Option<Turn> {
    WAITING.fetch_add(1, Ordering::Relaxed);
    let mut turn = Turn(BROWSER.lock().unwrap_or_else(PoisonError::into_inner));
    if turn.0.is_none() {
        *turn.0 = Browser::start();
    }
    turn.0.is_some().then_some(turn)
}

impl Deref for Turn {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        self.0.as_ref().expect("a turn is not given without one")
    }
}

impl DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut Browser {
        self.0.as_mut().expect("a turn is not given without one")
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let is_last = WAITING.fetch_sub(1, Ordering::Relaxed) == 1;
        if is_last || thread::panicking() {
            *self.0 = None;
        } else if let Some(browser) = &mut *self.0 {
            browser.close_pages();
        }
    }
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

/// A page whose log is longer than it shows, with the reader at the bottom.
fn open_full(browser: &mut Browser, server: &Server, lines: u32) -> Page {
    let page = open(browser, server);
    fill(server, lines);
    browser.wait_for(&page, &line_count_is(lines));
    browser.wait_for(&page, AT_BOTTOM);
    page
}

/// A page that reaches the server through a proxy, with its clock in the test's hand.
fn open_through_proxy(browser: &mut Browser, server: &Server) -> (Proxy, Page) {
    let proxy = Proxy::start(server.addr);
    let url = format!("http://{}/", proxy.addr);
    let page = browser.open_after(&url, &format!("{CLOCK}{WATCH}"));
    browser.wait_for(&page, CONNECTED);
    browser.wait_for(&page, "answered === 1");
    (proxy, page)
}

/// Publishes a message from outside, and waits until the page shows it.
fn publish(browser: &mut Browser, page: &Page, server: &Server, text: &str) {
    let mut client = server.polite("/ws");
    client.send(Message::text(text)).expect("the server reads");
    browser.wait_for(page, &last_line_is(text));
}

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
    let page = browser.open_after(&format!("http://{}/", server.addr), SOCKETS);
    let burst = "sockets[0].open(); \
                 for (let i = 0; i < 10_000; i++) sockets[0].receive(`line ${i}`); \
                 log.childElementCount";
    assert_eq!(browser.evaluate(&page, burst), 0, "nothing is drawn yet");
    browser.wait_for(&page, &line_count_is(LINES_MAX));
    browser.wait_for(&page, &last_line_is("line 9999"));
}

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
    assert_eq!(browser.evaluate(&page, "hint.hidden"), false);

    let mut command = fanfare();
    command.args(["--addr", &addr]);
    let _server = Server::spawn(command);
    browser.wait_for(&page, CONNECTED);
    assert_eq!(browser.evaluate(&page, "hint.hidden"), true);
    browser.press_enter(&page);
    browser.wait_for(&page, &last_line_is("said while alone"));
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
fn a_lone_surrogate_is_recognized_when_it_comes_back() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = browser.open_after(&format!("http://{}/", server.addr), CLOCK);
    browser.wait_for(&page, CONNECTED);
    browser.evaluate(
        &page,
        "msg.value = '\\ufeff\\ud800 and \\udc00'; form.requestSubmit()",
    );
    browser.wait_for(
        &page,
        "log.lastElementChild?.textContent === '\\ufeff\\ufffd and \\ufffd'",
    );
    browser.evaluate(&page, "elapse(10_000)");
    let shown = browser.evaluate(&page, "[state.dataset.state, msg.value]");
    assert_eq!(shown, json!(["open", ""]));
}

#[test]
fn a_dead_connection_gives_back_what_did_not_come_back() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let page = browser.open_after(&format!("http://{}/", server.addr), CLOCK);
    browser.wait_for(&page, CONNECTED);
    say(&mut browser, &page, "  heard ");
    browser.wait_for(&page, &last_line_is("heard"));
    browser.evaluate(&page, "elapse(10_000)");
    assert_eq!(browser.evaluate(&page, CONNECTED), true);

    server.signal("STOP");
    say(&mut browser, &page, "not");
    browser.evaluate(&page, "elapse(9_999)");
    say(&mut browser, &page, "heard");
    browser.type_text(&page, "half writ");
    assert_eq!(browser.evaluate(&page, CONNECTED), true);
    browser.evaluate(&page, "elapse(1)");
    assert_eq!(browser.evaluate(&page, LOST), true);
    let kept = browser.evaluate(&page, "msg.value");
    assert_eq!(kept, "not heard half writ");
    browser.wait_for(&page, "!hint.hidden");

    server.signal("CONT");
    browser.evaluate(&page, "elapse(500)");
    browser.wait_for(&page, CONNECTED);
    browser.wait_for(&page, "log.lastElementChild.className === 'gap'");
    browser.press_enter(&page);
    browser.wait_for(&page, &last_line_is("not heard half writ"));
}

#[test]
fn the_clock_of_the_echo_starts_again_when_something_of_ours_comes_back() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let script = format!("{CLOCK}{SOCKETS}");
    let page = browser.open_after(&format!("http://{}/", server.addr), &script);
    browser.evaluate(&page, "sockets[0].open()");
    for text in ["  ", "one", "two", " three"] {
        say(&mut browser, &page, text);
    }
    for received in ["foreign\\none", "foreign", "two\\nthree"] {
        let script = format!("elapse(3_334); sockets[0].receive('{received}')");
        browser.evaluate(&page, &script);
        assert_eq!(browser.evaluate(&page, CONNECTED), true, "{received}");
    }
    browser.evaluate(&page, "elapse(10_000)");
    assert_eq!(browser.evaluate(&page, CONNECTED), true);
}

#[test]
fn waits_grow_are_jittered_and_start_over_after_a_connection_that_held() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let script = format!("{CLOCK}{SOCKETS}");
    let page = browser.open_after(&format!("http://{}/", server.addr), &script);
    let fall = "fall = () => { sockets.at(-1).fall(); const wait = waits.at(-1); elapse(wait); return wait; }";
    browser.evaluate(&page, fall);
    // Twice as long each time, at most 30 s, and anything between half of that and all of it.
    assert_eq!(
        browser.evaluate(&page, "Array.from({ length: 8 }, fall)"),
        json!([250, 1000, 1000, 4000, 4000, 16_000, 15_000, 30_000])
    );

    for (held, wait) in [(4_999, 30_000), (5_000, 500)] {
        let script = format!("sockets.at(-1).open(); elapse({held}); fall()");
        assert_eq!(browser.evaluate(&page, &script), wait, "held for {held} ms");
    }
}

#[test]
fn a_hidden_page_retries_slowly_and_an_event_or_a_message_ends_the_wait() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let script = format!("{CLOCK}{WATCH}{SOCKETS}");
    let page = browser.open_after(&format!("http://{}/", server.addr), &script);
    browser.evaluate(&page, "isHidden = true");
    for (wait, count) in [(30_000, 1), (60_000, 2)] {
        let before = format!("sockets.at(-1).fall(); elapse({wait} - 1); sockets.length");
        assert_eq!(browser.evaluate(&page, &before), count);
        assert_eq!(
            browser.evaluate(&page, "elapse(1); sockets.length"),
            count + 1
        );
    }
    // The message that ends the gap is counted in the title of the hidden page.
    browser.evaluate(
        &page,
        "sockets[2].open(); sockets[2].receive('news'); elapse(250)",
    );
    assert_eq!(browser.evaluate(&page, "document.title"), "(1) fanfare");

    // What the browser closed without a word is noticed when the page comes back.
    browser.evaluate(&page, "sockets[2].readyState = 3; isHidden = false");
    assert_eq!(browser.evaluate(&page, "comeBack(); sockets.length"), 4);

    // The network's return ends a wait rather than adding a second attempt to it, and so does somebody
    // who looks, or sends.
    let events = "window.dispatchEvent(new Event('online')); comeBack(); \
                  window.dispatchEvent(new Event('pageshow')); sockets.length";
    browser.evaluate(&page, "sockets[3].fall()");
    assert_eq!(browser.evaluate(&page, events), 5);
    browser.evaluate(&page, "sockets[4].fall()");
    say(&mut browser, &page, "hello");
    browser.evaluate(&page, "elapse(9_999)");
    assert_eq!(browser.evaluate(&page, "sockets.length"), 6);
}

#[test]
fn an_attempt_that_is_never_answered_is_given_up() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let (proxy, page) = open_through_proxy(&mut browser, &server);
    proxy.silence();
    proxy.cut();
    browser.wait_for(&page, LOST);
    browser.evaluate(&page, "elapse(250)");
    proxy.wait_for_requests("/ws", 2);
    browser.evaluate(&page, "elapse(9_999)");
    assert_eq!(browser.evaluate(&page, "made[1].readyState"), 0);
    browser.evaluate(&page, "elapse(1)");
    assert_ne!(browser.evaluate(&page, "made[1].readyState"), 0);
    proxy.restore();
    browser.evaluate(&page, "elapse(1_000)");
    browser.wait_for(&page, CONNECTED);
    assert_eq!(browser.evaluate(&page, "made.length"), 3);
}

// What a page that only listens notices.

#[test]
fn a_path_that_went_silent_is_noticed() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let (proxy, page) = open_through_proxy(&mut browser, &server);
    publish(&mut browser, &page, &server, "before");
    proxy.silence();
    browser.evaluate(&page, "elapse(30_000)");
    assert_eq!(browser.evaluate(&page, "asked"), 2);
    browser.evaluate(&page, "elapse(9_999)");
    assert_eq!(browser.evaluate(&page, CONNECTED), true);
    browser.evaluate(&page, "elapse(1)");
    browser.wait_for(&page, LOST);

    proxy.restore();
    browser.evaluate(&page, "elapse(500)");
    browser.wait_for(&page, CONNECTED);
    publish(&mut browser, &page, &server, "after");
    let lines = browser.evaluate(&page, LINES);
    assert_eq!(lines, json!(["before", "gap", "after"]));
}

#[test]
fn a_quiet_connection_whose_server_answers_is_left_alone() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let (_proxy, page) = open_through_proxy(&mut browser, &server);
    for asked in 2..5 {
        browser.evaluate(&page, "elapse(29_999)");
        assert_eq!(browser.evaluate(&page, "asked"), asked - 1);
        browser.evaluate(&page, "elapse(1)");
        assert_eq!(browser.evaluate(&page, "asked"), asked);
        // The next wait begins with the answer.
        let waits = format!("waits.filter((wait) => wait === 30_000).length === {asked}");
        browser.wait_for(&page, &waits);
    }
    let state = browser.evaluate(&page, "[state.dataset.state, made.length]");
    assert_eq!(state, json!(["open", 1]));
}

#[test]
fn a_quiet_connection_is_probed_at_once_when_the_network_or_the_page_comes_back() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    for event in [
        "comeBack()",
        "window.dispatchEvent(new Event('online'))",
        "window.dispatchEvent(new Event('pageshow'))",
    ] {
        let (proxy, page) = open_through_proxy(&mut browser, &server);
        proxy.silence();
        // A connection that received something just now is fine.
        let ask = format!("{event}; asked");
        browser.evaluate(&page, "elapse(4_999)");
        assert_eq!(browser.evaluate(&page, &ask), 1, "{event}");
        browser.evaluate(&page, "elapse(1)");
        assert_eq!(browser.evaluate(&page, &ask), 2, "{event}");
        assert_eq!(browser.evaluate(&page, &ask), 2, "{event}: one at a time");
        browser.evaluate(&page, "elapse(10_000)");
        browser.wait_for(&page, LOST);
    }
}

#[test]
fn a_forgotten_connection_is_relieved_though_its_server_answers() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let (proxy, page) = open_through_proxy(&mut browser, &server);
    publish(&mut browser, &page, &server, "before");
    proxy.forget_websockets();
    browser.evaluate(&page, "elapse(5_000); comeBack()");
    browser.wait_for(&page, "made[1]?.readyState === 1");
    fill(&server, 2);
    browser.wait_for(&page, "made[1].received > 0");
    assert_eq!(browser.evaluate(&page, LINES), json!(["before"]));
    browser.evaluate(&page, "elapse(10_000)");
    browser.wait_for(&page, &line_count_is(4));
    say(&mut browser, &page, "after");
    browser.wait_for(&page, &last_line_is("after"));
    let lines = browser.evaluate(&page, LINES);
    assert_eq!(lines, json!(["before", "gap", "line 0", "line 1", "after"]));
    assert_eq!(browser.evaluate(&page, "made.length"), 2);
}

#[test]
fn a_living_connection_sends_its_relief_away_and_nothing_is_shown_twice() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let (_proxy, page) = open_through_proxy(&mut browser, &server);
    browser.evaluate(&page, "elapse(5_000); comeBack()");
    browser.wait_for(&page, "made[1]?.readyState === 1");
    publish(&mut browser, &page, &server, "one");
    browser.wait_for(&page, "made[1].readyState === 3");
    browser.evaluate(&page, "elapse(10_000)");
    publish(&mut browser, &page, &server, "two");
    assert_eq!(browser.evaluate(&page, LINES), json!(["one", "two"]));
    assert_eq!(browser.evaluate(&page, "made[0].readyState"), 1);
}

#[test]
fn a_connection_that_is_quiet_for_minutes_is_relieved_without_a_gap() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let (_proxy, page) = open_through_proxy(&mut browser, &server);
    publish(&mut browser, &page, &server, "before");
    // As after a sleep: what was due is done late.
    browser.evaluate(&page, "sleep(300_000); elapse(0)");
    browser.wait_for(&page, "made[1]?.readyState === 1");
    browser.evaluate(&page, "elapse(10_000)");
    browser.wait_for(&page, "made[0].readyState === 3");
    publish(&mut browser, &page, &server, "after");
    browser.evaluate(&page, "elapse(10_000)");
    publish(&mut browser, &page, &server, "later");
    let lines = browser.evaluate(&page, LINES);
    assert_eq!(lines, json!(["before", "after", "later"]));
    assert_eq!(browser.evaluate(&page, "made[1].received"), 2);
}

#[test]
fn a_relief_that_is_refused_changes_nothing_and_one_that_stands_is_used() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let script = format!("{CLOCK}{WATCH}{SOCKETS}");
    let page = browser.open_after(&format!("http://{}/", server.addr), &script);
    browser.evaluate(&page, "sockets[0].open(); sockets[0].receive('before')");
    let call = |browser: &mut Browser, count: usize| {
        browser.evaluate(&page, "elapse(5_000); comeBack()");
        browser.wait_for(&page, &format!("sockets.length === {count}"));
    };
    call(&mut browser, 2);
    browser.evaluate(&page, "sockets[1].fall()");
    call(&mut browser, 3);
    // Never answered.
    browser.evaluate(&page, "elapse(10_000)");
    assert_eq!(browser.evaluate(&page, "sockets[2].readyState"), 2);
    assert_eq!(browser.evaluate(&page, CONNECTED), true);

    call(&mut browser, 4);
    say(&mut browser, &page, "mine");
    say(&mut browser, &page, "lost");
    browser.evaluate(
        &page,
        "sockets[3].open(); sockets[3].receive('foreign\\nmine'); sockets[0].fall(); \
         sockets[0].receive('late')",
    );
    browser.wait_for(&page, &line_count_is(4));
    let lines = browser.evaluate(&page, LINES);
    assert_eq!(lines, json!(["before", "gap", "foreign", "mine"]));
    let shown = browser.evaluate(&page, "[state.dataset.state, msg.value, sockets.length]");
    assert_eq!(shown, json!(["open", "lost", 4]));

    // A quiet one that was relieved and does not close cleanly, or at all, may have missed something.
    for (count, end) in [(5, "sockets[3].fall()"), (6, "elapse(10_000)")] {
        call(&mut browser, count);
        let relieve = "sockets.at(-1).open(); elapse(10_000)";
        let next = format!("sockets.at(-1).receive('next {count}')");
        browser.evaluate(&page, &format!("{relieve}; {end}; {next}"));
        browser.wait_for(&page, &last_line_is(&format!("next {count}")));
    }
    // It is reported once.
    browser.evaluate(&page, "sockets[4].fall(); sockets[5].receive('last')");
    browser.wait_for(&page, &last_line_is("last"));
    let lines = browser.evaluate(&page, &format!("{LINES}.slice(4)"));
    assert_eq!(lines, json!(["gap", "next 5", "gap", "next 6", "last"]));

    // One that is known to be dead has nothing more to report.
    call(&mut browser, 7);
    browser.evaluate(
        &page,
        "sockets[6].open(); sockets[6].receive('kept'); elapse(10_000); sockets[5].fall()",
    );
    browser.wait_for(&page, &last_line_is("kept"));
    assert_eq!(browser.evaluate(&page, CONNECTED), true);
}

#[test]
fn requests_that_are_blocked_do_not_count_against_the_connection() {
    let Some(mut browser) = turn() else { return };
    let server = Server::start(&[]);
    let script = format!("{CLOCK}{NO_FETCH}{WATCH}{SOCKETS}");
    let page = browser.open_after(&format!("http://{}/", server.addr), &script);
    browser.evaluate(&page, "sockets[0].open(); elapse(40_000)");
    // Those who grow quiet together do not ask together.
    let waits = "waits.filter((wait) => wait > 20_000).join() === '30000,40000'";
    browser.wait_for(&page, waits);
    let shown = browser.evaluate(&page, "[state.dataset.state, sockets.length, asked]");
    assert_eq!(shown, json!(["open", 1, 2]));
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
