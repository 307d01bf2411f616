//! A headless Chromium, driven through its DevTools protocol over one WebSocket.

use std::env;
use std::fs;
use std::io::Write;
use std::mem;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::common::{PATIENCE, eventually};

/// A running browser, killed when the test is over.
pub(crate) struct Browser {
    child: Child,
    profile: PathBuf,
    socket: WebSocket<TcpStream>,
    calls: u64,
    /// The targets of the open pages.
    targets: Vec<Value>,
}

/// An open page.
#[derive(Clone)]
pub(crate) struct Page {
    session: String,
}

impl Browser {
    /// Starts the browser; `None` where there is none, which is an error if one is required.
    pub(crate) fn start() -> Option<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let Some(program) = find_program() else {
            let is_required = env::var_os("FANFARE_REQUIRE_CHROMIUM").is_some_and(|it| it == "1");
            assert!(!is_required, "a Chromium is required and there is none");
            // Past the test harness, which would keep it to itself.
            let _ = std::io::stderr().write_all(
                b"\n*** NO CHROMIUM FOUND: the page is NOT tested. Install one, or name it in CHROMIUM.\n\n",
            );
            return None;
        };
        let started = STARTED.fetch_add(1, Ordering::Relaxed);
        let profile =
            env::temp_dir().join(format!("fanfare-browser-{}-{started}", std::process::id()));
        fs::create_dir_all(&profile).expect("a folder for the browser");
        let child = Command::new(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
                "--remote-debugging-port=0",
                "--window-size=800,560",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser starts");
        let (port, path) = eventually("the browser listens", || read_port(&profile));
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the browser accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let url = format!("ws://127.0.0.1:{port}{path}");
        let (socket, _) = tungstenite::client(url, stream).expect("the browser upgrades");
        Some(Self {
            child,
            profile,
            socket,
            calls: 0,
            targets: Vec::new(),
        })
    }

    /// Opens a page of its own window, so that it is not hidden behind another.
    pub(crate) fn open(&mut self, url: &str) -> Page {
        self.open_after(url, "")
    }

    /// Opens a page whose own scripts find the world as `script` leaves it.
    pub(crate) fn open_after(&mut self, url: &str, script: &str) -> Page {
        let target = self.call(
            None,
            "Target.createTarget",
            &json!({"url": "about:blank", "newWindow": true}),
        );
        let attached = self.call(
            None,
            "Target.attachToTarget",
            &json!({"targetId": target["targetId"], "flatten": true}),
        );
        self.targets.push(target["targetId"].clone());
        let page = Page {
            session: attached["sessionId"]
                .as_str()
                .expect("a session")
                .to_owned(),
        };
        self.call(Some(&page), "Page.enable", &json!({}));
        self.call(
            Some(&page),
            "Page.addScriptToEvaluateOnNewDocument",
            &json!({"source": script}),
        );
        self.call(Some(&page), "Page.navigate", &json!({"url": url}));
        self.wait_for(&page, "document.readyState === 'complete'");
        page
    }

    /// Closes what was opened.
    pub(crate) fn close_pages(&mut self) {
        for target in mem::take(&mut self.targets) {
            self.call(None, "Target.closeTarget", &json!({"targetId": target}));
        }
    }

    /// The value of a JavaScript expression in the page.
    pub(crate) fn evaluate(&mut self, page: &Page, expression: &str) -> Value {
        let result = self.call(
            Some(page),
            "Runtime.evaluate",
            &json!({"expression": expression, "returnByValue": true, "awaitPromise": true}),
        );
        assert!(
            result["exceptionDetails"].is_null(),
            "{expression}: {result}"
        );
        result["result"]["value"].clone()
    }

    /// Waits until the expression is true.
    pub(crate) fn wait_for(&mut self, page: &Page, expression: &str) {
        eventually(expression, || {
            (self.evaluate(page, expression) == true).then_some(())
        });
    }

    /// Types into whatever has the focus, as a person would.
    pub(crate) fn type_text(&mut self, page: &Page, text: &str) {
        self.call(Some(page), "Input.insertText", &json!({"text": text}));
    }

    /// Presses and releases Enter.
    pub(crate) fn press_enter(&mut self, page: &Page) {
        self.press(page, "Enter", 13, "\r");
    }

    /// Presses and releases Backspace.
    pub(crate) fn press_backspace(&mut self, page: &Page) {
        self.press(page, "Backspace", 8, "");
    }

    fn press(&mut self, page: &Page, name: &str, code: u32, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let key = json!({
                "type": kind, "key": name, "code": name,
                "windowsVirtualKeyCode": code, "text": if kind == "keyDown" { text } else { "" },
            });
            self.call(Some(page), "Input.dispatchKeyEvent", &key);
        }
    }

    /// Pretends a colour scheme and a window size.
    pub(crate) fn emulate(&mut self, page: &Page, scheme: &str, width: u32, height: u32) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call(Some(page), "Emulation.setEmulatedMedia", &features);
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 2, "mobile": width < 600});
        self.call(Some(page), "Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Writes a picture of the page for a person to look at.
    pub(crate) fn screenshot(&mut self, page: &Page, file: &Path) {
        let shot = self.call(
            Some(page),
            "Page.captureScreenshot",
            &json!({"format": "png"}),
        );
        let png = STANDARD
            .decode(shot["data"].as_str().expect("a picture"))
            .expect("base64");
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder for the pictures");
        fs::write(file, png).expect("the picture is written");
    }

    fn call(&mut self, page: Option<&Page>, method: &str, params: &Value) -> Value {
        self.calls += 1;
        let mut call = json!({"id": self.calls, "method": method, "params": params});
        if let Some(page) = page {
            call["sessionId"] = json!(page.session);
        }
        self.socket
            .send(Message::text(call.to_string()))
            .expect("the browser listens");
        loop {
            let message = self.socket.read().expect("the browser answers");
            let Ok(answer) = serde_json::from_slice::<Value>(&message.into_data()) else {
                continue;
            };
            // Everything else is an event that nobody asked for.
            if answer["id"] == self.calls {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have died; what it leaves behind is in the folder for temporary files.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

fn find_program() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .flat_map(|folder| ["chromium", "google-chrome"].map(|name| folder.join(name)))
        .chain(["/usr/bin/chromium".into()])
        .find(|program| program.is_file())
}

/// The browser writes its port and the path of its socket into its profile.
fn read_port(profile: &Path) -> Option<(u16, String)> {
    let text = fs::read_to_string(profile.join("DevToolsActivePort")).ok()?;
    let (port, path) = text.split_once('\n')?;
    Some((port.parse().ok()?, path.trim().to_owned())).filter(|(_, path)| !path.is_empty())
}
