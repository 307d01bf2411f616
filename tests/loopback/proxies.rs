//! The proxy configurations of the README, each run as it stands there: in front of a real server, on a port
//! that is none of the usual ones, with a raw client that names the origin of a browser, and with a browser.

#![allow(clippy::print_stderr, reason = "a failed test shows the proxy's log")]

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::browser::Browser;
use crate::common::program::{find_program, free_port};
use crate::common::wire::{request, upgrade_with};
use crate::common::{PATIENCE, Peer, Server, eventually};

const README: &str = include_str!("../../README.md");
/// The ports in the README: the server's and, where the configuration names it, the proxy's.
const README_SERVER_PORT: &str = ":8080";
const README_PROXY_PORT: &str = "bind :80\n";
const README_CADDY_SITE: &str = "chat.example.com {";
/// How often a port is picked again that somebody else has taken before the proxy had it.
const START_ATTEMPTS: usize = 5;

/// A configuration out of the README.
pub(crate) struct Recipe {
    pub(crate) program: &'static str,
    pub(crate) text: String,
    /// The path under which the server's own paths are found.
    pub(crate) prefix: String,
    /// nginx has workers, which it can replace, and tells of it.
    pub(crate) has_workers: bool,
}

impl Recipe {
    /// `None` for a block of a document that is about something else.
    pub(crate) fn parse(block: &str) -> Option<Self> {
        if block.contains("proxy_pass") {
            let prefix = block.strip_prefix("location ")?.split(' ').next()?;
            return Some(Self::new("nginx", block, prefix));
        }
        if block.contains("reverse_proxy") {
            return Some(Self::new("caddy", block, "/"));
        }
        let is_haproxy = block.contains("backend");
        is_haproxy.then(|| Self::new("haproxy", block, "/"))
    }

    fn new(program: &'static str, block: &str, prefix: &str) -> Self {
        Self {
            program,
            text: block.to_owned(),
            prefix: prefix.to_owned(),
            has_workers: false,
        }
    }

    /// Whether the proxy passes on connections, each behind a PROXY header.
    pub(crate) fn has_proxy_header(&self) -> bool {
        self.text.contains("send-proxy")
    }

    /// The server that the README has behind this proxy, which trusts it alone.
    pub(crate) fn start_server(&self) -> Server {
        self.start_server_with(&[])
    }

    /// The same with more flags.
    pub(crate) fn start_server_with(&self, flags: &[&str]) -> Server {
        let mut flags = [flags, &["--trusted-proxy", "127.0.0.1"]].concat();
        if self.has_proxy_header() {
            flags.push("--proxy-protocol");
        }
        Server::start(&flags)
    }

    /// A client that comes to the server without the proxy.
    fn join_directly(&self, server: &Server) -> Peer {
        let mut peer = server.connect();
        if self.has_proxy_header() {
            peer.send("PROXY UNKNOWN\r\n");
        }
        peer.upgraded("/ws")
    }

    /// The README's lines with ports that are free, and around them what a program needs that neither runs
    /// as a service nor owns the machine's folders.
    fn config(&self, server: SocketAddr, port: u16, folder: &Path) -> String {
        assert!(self.text.contains(README_SERVER_PORT), "{}", self.text);
        let text = self
            .text
            .replace(README_SERVER_PORT, &format!(":{}", server.port()));
        if self.program == "haproxy" {
            assert!(text.contains(README_PROXY_PORT), "{text}");
            return text.replace(README_PROXY_PORT, &format!("bind 127.0.0.1:{port}\n"));
        }
        if self.program == "caddy" {
            assert!(text.contains(README_CADDY_SITE), "{text}");
            let site = text.replace(README_CADDY_SITE, &format!("http://:{port} {{"));
            return format!("{{\nadmin off\n}}\n{site}");
        }
        let folder = folder.display();
        let temp_paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
            .concat();
        let (master, level) = match self.has_workers {
            true => ("on", "notice"),
            false => ("off", "error"),
        };
        format!(
            "daemon off;\nmaster_process {master};\npid {folder}/pid;\nerror_log stderr {level};\nevents {{}}\n\
             http {{\naccess_log off;\n{temp_paths}\
             server {{\nlisten 127.0.0.1:{port};\n{text}\n}}\n}}\n"
        )
    }
}

/// All proxy configurations of the README.
pub(crate) fn recipes() -> Vec<Recipe> {
    let blocks = blocks(README);
    let recipes: Vec<_> = blocks
        .iter()
        .filter_map(|block| Recipe::parse(block))
        .collect();
    let count = README.matches("127.0.0.1:8080").count();
    assert_eq!(recipes.len(), count, "a configuration is not understood");
    recipes
}

/// The indented blocks of a Markdown text, without their indentation.
pub(crate) fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.lines() {
        let is_in_block = blocks.last().is_some_and(|block| !block.is_empty());
        let block = blocks.last_mut().expect("there is always one");
        match line.strip_prefix("    ") {
            Some(line) => *block += &format!("{line}\n"),
            None if line.is_empty() && is_in_block => *block += "\n",
            None if is_in_block => blocks.push(String::new()),
            None => {}
        }
    }
    blocks
}

/// A running proxy, killed when the test is over.
pub(crate) struct Proxy {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Proxy {
    /// Starts the proxy of a recipe in front of `server`; `None` where its program is not installed, which is
    /// an error if it is required.
    pub(crate) fn start(recipe: &Recipe, server: &Server) -> Option<Self> {
        let Some(program) = find_program(recipe.program) else {
            let is_required = env::var_os("FANFARE_REQUIRE_PROXIES").is_some_and(|it| it == "1");
            assert!(!is_required, "{} is required and missing", recipe.program);
            // Past the test harness, which would keep it to itself.
            let line = format!(
                "\n*** NO {} FOUND: its configuration in the README is NOT tested.\n\n",
                recipe.program
            );
            let _ = std::io::stderr().write_all(line.as_bytes());
            return None;
        };
        let proxy = (0..START_ATTEMPTS).find_map(|_| Self::try_start(&program, recipe, server));
        Some(proxy.expect("the proxy starts"))
    }

    /// `None` if the proxy ends instead of listening.
    fn try_start(program: &Path, recipe: &Recipe, server: &Server) -> Option<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let started = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("fanfare-proxy-{}-{started}", std::process::id());
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder for the proxy");
        let port = free_port();
        let file = folder.join("config");
        fs::write(&file, recipe.config(server.addr, port, &folder)).expect("it can be written");
        let log = File::create(folder.join("log")).expect("it can be written");
        let mut command = Command::new(program);
        match recipe.program {
            "nginx" => command.args(["-e", "stderr", "-p"]).arg(&folder).arg("-c"),
            "caddy" => command.args(["run", "--adapter", "caddyfile", "--config"]),
            _ => command.args(["-db", "-f"]),
        };
        let child = command
            .arg(&file)
            .env("XDG_DATA_HOME", &folder)
            .env("XDG_CONFIG_HOME", &folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the proxy starts");
        let mut proxy = Self {
            child,
            folder,
            port,
        };
        eventually("the proxy listens or ends", || proxy.is_listening()).then_some(proxy)
    }

    /// Whether it does, as soon as that is known.
    fn is_listening(&mut self) -> Option<bool> {
        let has_ended = self.child.try_wait().expect("it is our child").is_some();
        let connects = || TcpStream::connect(self.addr()).is_ok();
        match has_ended {
            true => Some(false),
            false => connects().then_some(true),
        }
    }

    /// Sends the upgrade of a page of this origin.
    fn ask(&self, recipe: &Recipe, origin: &str) -> Peer {
        self.ask_from(Ipv4Addr::LOCALHOST, recipe, origin)
    }

    /// The same from another address.
    pub(crate) fn ask_from(&self, from: Ipv4Addr, recipe: &Recipe, origin: &str) -> Peer {
        let mut peer = self.connect_from(from);
        let host = format!("Host: localhost:{}", self.port);
        let upgrade = upgrade_with(&[&host, &format!("Origin: {origin}")]);
        let path = format!(" {}ws ", recipe.prefix);
        peer.send(upgrade.replacen(" /ws ", &path, 1));
        peer
    }

    pub(crate) fn connect_from(&self, from: Ipv4Addr) -> Peer {
        Peer::connect_from(from.into(), self.addr())
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process"), signal).expect("it is ours");
    }

    /// Waits for a line of the proxy's own log.
    pub(crate) fn wait_for_log(&self, part: &str) {
        eventually(part, || {
            let log = fs::read_to_string(self.folder.join("log"));
            log.is_ok_and(|log| log.contains(part)).then_some(())
        });
    }

    /// What a browser calls it.
    pub(crate) fn origin(&self) -> String {
        format!("http://localhost:{}", self.port)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // One with workers ends them itself, when it is asked to end. It may have ended already, which is as well.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal(Signal::TERM);
        }
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            thread::sleep(Duration::from_millis(1));
        }
        if thread::panicking() {
            let log = fs::read_to_string(self.folder.join("log"));
            eprintln!("the proxy's log:\n{}", log.unwrap_or_default());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn the_readme_has_a_configuration_of_each_kind() {
    let recipes = recipes();
    let has = |program, prefix| {
        let is_it = |recipe: &Recipe| recipe.program == program && recipe.prefix == prefix;
        recipes.iter().any(is_it)
    };
    assert!(has("nginx", "/"));
    assert!(has("nginx", "/chat/"));
    for has_proxy_header in [false, true] {
        let is_it =
            |it: &Recipe| it.program == "haproxy" && it.has_proxy_header() == has_proxy_header;
        assert!(recipes.iter().any(is_it));
    }
    assert!(has("caddy", "/"));
}

#[test]
fn a_client_behind_each_proxy_chats_with_one_that_is_not() {
    for recipe in recipes() {
        let server = recipe.start_server();
        let Some(proxy) = Proxy::start(&recipe, &server) else {
            continue;
        };
        let mut near = recipe.join_directly(&server);
        let mut far = proxy.ask(&recipe, &proxy.origin());
        far.expect_upgrade();
        for (text, is_from_far) in [("from afar", true), ("from near", false)] {
            match is_from_far {
                true => far.say(text),
                false => near.say(text),
            }
            assert_eq!(near.hear(), text, "{}", recipe.text);
            assert_eq!(far.hear(), text, "{}", recipe.text);
        }
    }
}

#[test]
fn a_page_of_another_origin_is_refused_behind_each_proxy() {
    for recipe in recipes() {
        let server = recipe.start_server();
        let Some(proxy) = Proxy::start(&recipe, &server) else {
            continue;
        };
        for origin in [
            "http://elsewhere.example".to_owned(),
            "http://localhost".to_owned(),
            format!("http://localhost:{}", server.addr.port()),
        ] {
            let response = proxy.ask(&recipe, &origin).response();
            assert_eq!(response.status, 403, "{origin} {}", recipe.text);
        }
    }
}

#[test]
fn a_path_outside_the_prefix_is_not_the_servers() {
    let outside = recipes().into_iter().find(|recipe| recipe.prefix != "/");
    let recipe = outside.expect("the README has one");
    let server = recipe.start_server();
    let Some(proxy) = Proxy::start(&recipe, &server) else {
        return;
    };
    let mut peer = Peer::connect(proxy.addr());
    peer.send(request("GET /ws HTTP/1.1", &["Host: localhost"]));
    assert_eq!(peer.response().status, 404);
}

#[test]
fn the_page_chats_behind_each_proxy() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    for recipe in recipes() {
        let server = recipe.start_server();
        let Some(proxy) = Proxy::start(&recipe, &server) else {
            continue;
        };
        let mut near = recipe.join_directly(&server);
        let page = browser.open(&format!("{}{}", proxy.origin(), recipe.prefix));
        browser.wait_for(
            &page,
            "document.getElementById('state').dataset.state === 'open'",
        );
        browser.evaluate(&page, "document.getElementById('msg').focus()");
        browser.type_text(&page, "from the page");
        browser.press_enter(&page);
        assert_eq!(near.hear(), "from the page", "{}", recipe.text);
        near.say("to the page");
        let last_line = "document.getElementById('log').lastElementChild?.textContent";
        browser.wait_for(&page, &format!("{last_line} === 'to the page'"));
    }
}
