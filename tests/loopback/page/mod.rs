//! The page in a real Chromium, and its client of a room. Here is what these tests share.

mod chat;
mod client;
mod connection;
mod event_source;
mod log;
mod pictures;
mod refusals;
mod rooms;
mod unsent;

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::browser::{Browser, Page};
use crate::common::Server;
use crate::proxy::Proxy;
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
    // What was scheduled last is done now.
    window.hasten = () => elapse(waits.at(-1));
    // What is due meanwhile is done late, at the next step.
    window.sleep = (time) => (now += time);
";

/// Connections that stand and fall as a test says, chance that alternates between a half and all, and a server that
/// answers the question why as a test says.
const SOCKETS: &str = "
    window.sockets = [];
    window.WebSocket = class {
      static OPEN = 1;
      readyState = 0;
      sent = [];
      constructor(url, protocol) {
        this.path = new URL(url).pathname;
        this.query = [...new URL(url).searchParams].flat().join(' ');
        this.protocol = protocol;
        sockets.push(this);
      }
      open() { this.readyState = 1; this.onopen(); }
      begin(lines) { this.open(); this.receive(lines + '\\n:here 1'); }
      send(text) { this.sent.push(text); }
      close() { this.readyState = 2; }
      fall(code = 1006, reason = '') { this.readyState = 3; this.onclose?.({ code, reason }); }
      receive(data) { this.onmessage?.({ data }); }
    };
    let chance = 1;
    Math.random = () => (chance = 1.5 - chance);
    window.answer = { status: 503, type: 'text/plain; charset=utf-8', reason: 'no seat' };
    const fetchPage = window.fetch;
    window.fetch = async (url, options) => {
      const { pathname, search } = new URL(url, location);
      if (!pathname.startsWith('/ws')) return fetchPage(url, options);
      window.question = pathname + search;
      const { status, type, reason } = answer;
      if (status === 0) throw new TypeError('no answer');
      const headers = new Headers({ 'Content-Type': type });
      return { status, statusText: 'Status', headers, text: async () => reason + '\\n' };
    };
    window.fail = async () => {
      const socket = sockets.at(-1);
      socket.fall();
      // Until it is given up.
      while (socket.readyState === 3) await null;
    };
";

/// No chance, a count of what was asked of the server and answered, the true connections, a page that is hidden at
/// will, and its return to the screen.
const WATCH: &str = "
    const realFetch = window.fetch;
    window.asked = 0;
    window.answered = 0;
    window.fetch = (...it) => (asked++, realFetch(...it).then((response) => (answered++, response)));
    Math.random = () => 1;
    window.made = [];
    window.WebSocket = class extends WebSocket {
      constructor(...it) {
        super(...it);
        made.push(this);
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

/// The texts of the log.
const LINES: &str = "[...log.children].map((line) => line.textContent)";

/// What is offered to be sent again.
const UNSENT: &str = "[...unsent.children].map((line) => line.querySelector('span').textContent)";

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

/// Publishes messages from outside to a room of its path, and waits until the server has published them.
fn publish_unseen(server: &Server, path: &str, texts: &[&str]) {
    let mut client = server.polite(path);
    for text in texts {
        client.send(Message::text(*text)).expect("the server reads");
        let received = client.read().expect("the server echoes");
        assert_eq!(received.to_text().expect("text"), *text);
    }
}

/// A page with connections and a clock made by hand, on which nothing has happened.
fn open_with_sockets(browser: &mut Browser, server: &Server) -> Page {
    let script = format!("{CLOCK}{WATCH}{SOCKETS}");
    let page = browser.open_after(&format!("http://{}/", server.addr), &script);
    browser.wait_for(&page, "sockets.length === 1");
    page
}
