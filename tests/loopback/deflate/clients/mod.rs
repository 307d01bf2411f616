//! Real clients that compress, in a room with others that do not: npm's `ws`, PyPI's `websockets` and Chromium. All get
//! the same texts in the same order, and what they send is compressed as well.

use std::env;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use super::{join_deflated, listen_deflated, server, smooth};
use crate::browser::{Browser, Page};
use crate::common::Server;
use crate::common::deflate::{DEFLATED_TEXT, deflated_text};
use crate::common::program::Program;
use crate::common::rooms::Listener;

/// How many rounds are played; in each one every client says something.
const ROUNDS: usize = 5;

/// What passes between clients and the server, on its way.
struct Tap {
    addr: SocketAddr,
    /// For each connection what its client sent, and what it was sent.
    seen: Arc<Mutex<Vec<[Vec<u8>; 2]>>>,
}

impl Tap {
    fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let seen = Arc::<Mutex<Vec<[Vec<u8>; 2]>>>::default();
        let taps = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let upstream = TcpStream::connect(server).expect("the server accepts");
                let mut connections = taps.lock().expect("no thread panics");
                let number = connections.len();
                connections.push(Default::default());
                let second = |stream: &TcpStream| stream.try_clone().expect("a second handle");
                for (direction, from, to) in [
                    (0, second(&client), second(&upstream)),
                    (1, upstream, client),
                ] {
                    let taps = Arc::clone(&taps);
                    thread::spawn(move || {
                        pass(from, to, |bytes| {
                            let mut connections = taps.lock().expect("no thread panics");
                            connections[number][direction].extend(bytes);
                        });
                    });
                }
            }
        });
        Self { addr, seen }
    }

    /// The first bytes of all long frames, of each WebSocket and direction.
    fn long_frames(&self) -> Vec<[Vec<u8>; 2]> {
        let connections = self.seen.lock().expect("no thread panics");
        let of_both = |seen: &[Vec<u8>; 2]| [long_frames(&seen[0]), long_frames(&seen[1])];
        let is_websocket = |seen: &&[Vec<u8>; 2]| seen[0].starts_with(b"GET /ws");
        connections
            .iter()
            .filter(is_websocket)
            .map(of_both)
            .collect()
    }
}

/// Passes all bytes on, after a look at them.
fn pass(mut from: TcpStream, mut to: TcpStream, mut look: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        look(&buffer[..len]);
        if to.write_all(&buffer[..len]).is_err() {
            return;
        }
    }
}

/// The first bytes of the frames of one direction, behind the handshake, that have no short payload.
fn long_frames(bytes: &[u8]) -> Vec<u8> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return Vec::new();
    };
    let mut rest = &bytes[end + 4..];
    let mut first_bytes = Vec::new();
    while let [first, second, behind @ ..] = rest {
        let key_len = if second & 0x80 == 0 { 0 } else { 4 };
        let (len, header_len) = match (second & 0x7f, behind) {
            (126, [high, low, ..]) => (usize::from(u16::from_be_bytes([*high, *low])), 4),
            (126.., _) => break,
            (len, _) => (usize::from(len), 2),
        };
        // Pings and what is short say nothing.
        if len >= 30 {
            first_bytes.push(*first);
        }
        rest = rest.get(header_len + key_len + len..).unwrap_or_default();
    }
    first_bytes
}

/// Where `.ci/run` installs what these tests need. Where it is not there, they say so and test nothing, unless it must
/// be.
fn installed(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target")
        .join(path);
    let is_required = env::var_os("FANFARE_REQUIRE_CLIENTS").is_some_and(|it| it == "1");
    assert!(
        path.exists() || !is_required,
        "{} is required",
        path.display()
    );
    if !path.exists() {
        // Past the test harness, which would keep it to itself.
        let line = format!("\n*** NO {} FOUND: it is NOT tested.\n\n", path.display());
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    path.exists().then_some(path)
}

fn script(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/loopback/deflate/clients");
    folder.join(name)
}

/// npm's client: `None` where it is not installed.
fn ws() -> Option<Command> {
    let modules = installed("ci-node/node_modules/ws")?;
    let mut command = Command::new("node");
    command
        .env("NODE_PATH", modules.parent().expect("a folder"))
        .arg(script("ws.js"));
    Some(command)
}

/// PyPI's client: `None` where it is not installed.
fn websockets() -> Option<Command> {
    installed("ci-venv/bin/websockets")?;
    let mut command = Command::new(installed("ci-venv/bin/python")?);
    command.arg(script("websockets_client.py"));
    Some(command)
}

/// A client of the room, which runs by itself.
struct Client {
    program: Program,
    deflates: bool,
    has_ids: bool,
    /// How many lines of it were read.
    read: usize,
}

impl Client {
    fn start(mut command: Command, addr: SocketAddr, deflates: bool, has_ids: bool) -> Self {
        command.arg(format!("ws://{addr}/ws/a"));
        command.arg(if deflates { "yes" } else { "no" });
        if has_ids {
            command.arg("fanfare.v1");
        }
        let mut client = Self {
            program: Program::spawn(command),
            deflates,
            has_ids,
            read: 0,
        };
        let agreed = client.line();
        let has_agreed = agreed.contains("permessage-deflate");
        assert!(agreed.starts_with("agreed: "), "{agreed}");
        assert_eq!(has_agreed, deflates, "{agreed}");
        if has_ids {
            assert!(client.line().starts_with(":fresh "));
        }
        client
    }

    fn line(&mut self) -> String {
        let line = self.program.line(self.read).expect("a line");
        self.read += 1;
        line
    }

    /// The next text of the room.
    fn hear(&mut self) -> String {
        let line = self.line();
        match (self.has_ids, line.split_once(' ')) {
            (false, _) => line,
            (true, Some((_, text))) => text.to_owned(),
            (true, None) => unreachable!("no id: {line}"),
        }
    }
}

/// The browser's own WebSocket in a page of the server's.
fn open_page(browser: &mut Browser, addr: SocketAddr, query: &str) -> Page {
    let page = browser.open(&format!("http://{addr}/limits.json"));
    let script = format!(
        "window.heard = []; window.socket = new WebSocket('ws://{addr}/ws/a{query}'); \
         socket.onmessage = (event) => heard.push(...event.data.split('\\n')); undefined"
    );
    browser.evaluate(&page, &script);
    browser.wait_for(&page, "socket.readyState === 1");
    page
}

/// A text of its own, which compresses well.
fn text(speaker: &str, round: usize) -> String {
    format!("{speaker} {round} {}", smooth(1_500))
}

#[test]
fn npm_and_pypi_clients_get_what_all_get_and_send_compressed() {
    let commands: Vec<fn() -> Option<Command>> = [ws as fn() -> _, websockets]
        .into_iter()
        .filter(|command| command().is_some())
        .collect();
    let server = server(&["--max-message", "4KiB"]);
    let tap = Tap::start(server.addr);
    let mut clients = Vec::new();
    for command in commands {
        for (deflates, has_ids) in [(true, false), (true, true), (false, false), (false, true)] {
            let command = command().expect("it was there");
            clients.push(Client::start(command, tap.addr, deflates, has_ids));
        }
    }
    let mut raw = [
        server.connect().upgraded("/ws/a"),
        join_deflated(&server, "/ws/a"),
    ];
    let mut numbered = [
        server.listen_v1("/ws/a"),
        server.listen_sse("/room/a"),
        listen_deflated(&server, "/ws/a"),
    ];
    let start = numbered.each_mut().map(Listener::expect_fresh)[0].clone();
    let mut seq = start.seq;
    for round in 0..ROUNDS {
        for speaker in 0..=clients.len() {
            let text = text(&format!("client {speaker}"), round);
            match clients.get_mut(speaker) {
                Some(client) => client.program.say(&text),
                None => raw[1].send(deflated_text(&text)),
            }
            seq += 1;
            clients
                .iter_mut()
                .for_each(|it| assert_eq!(it.hear(), text));
            raw.iter_mut().for_each(|it| assert_eq!(it.hear(), text));
            let line = format!("{} {text}", start.at(seq));
            numbered
                .iter_mut()
                .for_each(|it| it.expect(std::slice::from_ref(&line)));
        }
    }
    for (client, [sent, received]) in clients.iter().zip(tap.long_frames()) {
        let first = if client.deflates { DEFLATED_TEXT } else { 0x81 };
        assert_eq!(sent, [first; ROUNDS], "what it sent");
        let texts = received.iter().filter(|it| **it == first).count();
        assert_eq!(texts, seq as usize, "{received:x?}, what it received");
    }
}

#[test]
fn a_browser_gets_what_all_get_and_sends_compressed() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let server = server(&["--max-message", "4KiB"]);
    let tap = Tap::start(server.addr);
    let mut pages = Vec::new();
    for query in ["", "?deflate=0"] {
        pages.push(open_page(&mut browser, tap.addr, query));
    }
    let extensions = "socket.extensions.includes('permessage-deflate')";
    assert_eq!(browser.evaluate(&pages[0], extensions), true);
    assert_eq!(browser.evaluate(&pages[1], extensions), false);
    let mut raw = [
        server.connect().upgraded("/ws/a"),
        join_deflated(&server, "/ws/a"),
    ];
    let mut texts = Vec::new();
    for round in 0..ROUNDS {
        for (speaker, page) in pages.iter().enumerate() {
            texts.push(text(&format!("page {speaker}"), round));
            let said = format!("socket.send({:?})", texts[texts.len() - 1]);
            browser.evaluate(page, &said);
            raw.iter_mut()
                .for_each(|it| assert_eq!(it.hear(), texts[texts.len() - 1]));
        }
        texts.push(text("raw", round));
        raw[1].send(deflated_text(&texts[texts.len() - 1]));
        raw.iter_mut()
            .for_each(|it| assert_eq!(it.hear(), texts[texts.len() - 1]));
    }
    for page in &pages {
        browser.wait_for(page, &format!("heard.length === {}", texts.len()));
        assert_eq!(browser.evaluate(page, "heard"), serde_json::json!(texts));
    }
    for ([sent, received], first) in tap.long_frames().into_iter().zip([DEFLATED_TEXT, 0x81]) {
        assert_eq!(sent, [first; ROUNDS], "what it sent");
        assert_eq!(received, vec![first; texts.len()], "what it received");
    }
}

#[test]
fn the_page_itself_chats_compressed() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let server: Server = server(&["--max-message", "4KiB"]);
    let page = browser.open(&format!("http://{}/#a", server.addr));
    let state = "document.getElementById('state').dataset.state === 'open'";
    browser.wait_for(&page, state);
    let mut raw = join_deflated(&server, "/ws/a");
    let long = text("raw", 0);
    raw.send(deflated_text(&long));
    assert_eq!(raw.hear(), long);
    let last = "document.getElementById('log').lastElementChild?.textContent";
    browser.wait_for(&page, &format!("{last} === {long:?}"));
    browser.evaluate(&page, "document.getElementById('msg').focus()");
    browser.type_text(&page, "from the page");
    browser.press_enter(&page);
    assert_eq!(raw.hear(), "from the page");
}
