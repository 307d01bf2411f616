//! What is installed beside the binary: generated files are those that this version generates, and the units are
//! valid and tight where systemd is there to say so.
//!
//! `UPDATE_PACKAGING=1 cargo test --test packaging` writes the generated files anew.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use clap::CommandFactory;
use clap_complete::Shell;
use fanfare::config::{Config, DEFAULT_ADDR, settings_template};
use serde_json::{Value, json};

/// What clap does not know of the program.
const MANUAL: &str = r#".SH "SIGNALS"
.TP
\fBSIGTERM\fR, \fBSIGINT\fR
End. Clients get what is queued for them and a close frame, spread over the time of \fB\-\-drain\fR. A second one ends
the program at once.
.TP
\fBSIGHUP\fR
Read the settings file, and the files of tokens and keys, anew. What is wrong is logged, and the old stays.
.SH "EXIT STATUS"
.TP
0
The program was told to end, or did what it was asked for.
.TP
1
It cannot listen, or has too few descriptors.
.TP
2
A setting makes no sense.
.SH "FILES"
.TP
\fI/etc/fanfare.toml\fR
The settings that the service reads.
"#;

/// How exposed systemd may find the service, in tenths: 0 is not at all, 100 fully.
const EXPOSURE_MAX: u32 = 15;

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging")
}

#[test]
fn generated_files_are_those_of_this_version() {
    let mut stale = Vec::new();
    for (name, text) in generated() {
        let path = packaging().join(name);
        if fs::read(&path).is_ok_and(|found| found == text) {
            continue;
        }
        if env::var_os("UPDATE_PACKAGING").is_some() {
            fs::write(&path, text).expect("it can be written");
        } else {
            stale.push(name);
        }
    }
    assert!(
        stale.is_empty(),
        "stale: {stale:?}; UPDATE_PACKAGING=1 cargo test --test packaging"
    );
}

fn generated() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("fanfare.1", manual()),
        ("fanfare.toml", settings_template().into_bytes()),
        ("completions/fanfare.bash", completions(Shell::Bash)),
        ("completions/_fanfare", completions(Shell::Zsh)),
        ("completions/fanfare.fish", completions(Shell::Fish)),
    ]
}

fn manual() -> Vec<u8> {
    let command = Config::command();
    let has_subcommands = command.has_subcommands();
    let man = clap_mangen::Man::new(command);
    let mut text = Vec::new();
    let rendered = man
        .render_title(&mut text)
        .and_then(|()| man.render_name_section(&mut text))
        .and_then(|()| man.render_synopsis_section(&mut text))
        .and_then(|()| man.render_options_section(&mut text))
        .and_then(|()| match has_subcommands {
            true => man.render_subcommands_section(&mut text),
            false => Ok(()),
        })
        .and_then(|()| man.render_extra_section(&mut text));
    rendered.expect("memory takes it");
    text.extend(MANUAL.as_bytes());
    text
}

fn completions(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Config::command(), "fanfare", &mut text);
    text
}

/// What a settings file says, without where it comes from.
fn printed_settings(file: Option<&Path>) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    command.env_clear().arg("--print-config");
    if let Some(file) = file {
        command.arg("--config").arg(file);
    }
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("it is UTF-8");
    let settings = text.lines().filter_map(|line| line.split(" # ").next());
    settings.map(ToOwned::to_owned).collect()
}

#[test]
fn the_installed_settings_file_says_the_defaults() {
    let installed = packaging().join("fanfare.toml");
    let defaults = printed_settings(None);
    assert_eq!(printed_settings(Some(&installed)), defaults);
    // Without their comment signs the settings mean the same, but for those that have no default.
    let text = fs::read_to_string(installed).expect("it is there");
    let is_setting = |line: &&str| line.contains(" = ") && !line.contains(" = <");
    let lines = text.lines().filter_map(|line| line.strip_prefix('#'));
    let lines = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    let settings: Vec<_> = lines.filter(is_setting).collect();
    assert!(settings.len() > 15, "{settings:?}");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("uncommented.toml");
    fs::write(&path, settings.join("\n")).expect("it can be written");
    assert_eq!(printed_settings(Some(&path)), defaults);
}

#[test]
fn the_commands_of_the_readme_that_ask_about_settings_work() {
    let readme = include_str!("../README.md").lines();
    let commands = readme.filter_map(|line| line.strip_prefix("    fanfare --config"));
    let commands: Vec<_> = commands.collect();
    assert!(commands.len() >= 2, "{commands:?}");
    for arguments in commands {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        command.arg("--config").args(arguments.split_whitespace());
        command.current_dir(env!("CARGO_MANIFEST_DIR")).env_clear();
        let output = command.output().expect("the program starts");
        assert!(output.status.success(), "{arguments}: {output:?}");
    }
}

#[test]
fn the_manual_can_be_shown() {
    let page = packaging().join("fanfare.1");
    let Some(output) = run(Command::new("man").arg("--warnings").arg("-l").arg(page)) else {
        return;
    };
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    for word in ["max-clients", "SIGHUP", "EXIT STATUS"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
}

#[test]
fn shells_take_the_completions() {
    for (shell, file) in [
        ("bash", "completions/fanfare.bash"),
        ("zsh", "completions/_fanfare"),
        ("fish", "completions/fanfare.fish"),
    ] {
        let path = packaging().join(file);
        if let Some(output) = run(Command::new(shell).arg("-n").arg(path)) {
            assert!(output.status.success(), "{shell}: {output:?}");
        }
    }
}

// What the files say of each other.

/// The value of a line of one of the files.
fn value(file: &str, name: &str) -> String {
    let text = fs::read_to_string(packaging().join(file)).expect("it is there");
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
    let value = values.next().expect(name).to_owned();
    assert!(values.next().is_none(), "{name} stands twice in {file}");
    value
}

#[test]
fn the_ports_of_the_files_are_those_of_the_server_and_the_documents() {
    let default = format!(":{}", value("fanfare.socket", "ListenStream="));
    assert_eq!(default, DEFAULT_ADDR);
    assert_eq!(format!(":{}", value("Dockerfile", "EXPOSE ")), DEFAULT_ADDR);
    let admin = value("fanfare-admin.socket", "ListenStream=");
    assert!(include_str!("../README.md").contains(&format!("`{admin}`")));
    let target = admin.replace("127.0.0.1", "localhost");
    let document = include_str!("../docs/operating.md");
    assert!(document.contains(&format!("targets: [\"{target}\"]")));
}

#[test]
fn the_image_is_checked_by_the_program_in_it() {
    let program = value("Dockerfile", "ENTRYPOINT [\"/");
    let program = program.strip_suffix("\"]").expect("it has no arguments");
    assert_eq!(program, Config::command().get_name());
    let check = value("Dockerfile", "HEALTHCHECK ");
    let (_, command) = check.split_once("CMD ").expect("a command");
    assert_eq!(command, format!("[\"/{program}\", \"health\"]"));
}

#[test]
fn the_debian_package_has_all_that_is_installed() {
    let manifest = include_str!("../Cargo.toml");
    let (_, deb) = manifest
        .split_once("[package.metadata.deb]")
        .expect("it is there");
    let (deb, _) = deb.split_once("\n\n").expect("another table follows");
    let mut installed = 0;
    for folder in [packaging(), packaging().join("completions")] {
        for entry in fs::read_dir(folder).expect("it is there") {
            let path = entry.expect("it can be read").path();
            let file = path.strip_prefix(env!("CARGO_MANIFEST_DIR"));
            let file = file.expect("it is in there").to_str().expect("a name");
            // The package's own metadata names these two units; the others are no part of an installation.
            let is_left_out = path.is_dir()
                || [
                    "fanfare.service",
                    "fanfare.socket",
                    "Dockerfile",
                    "compose.yml",
                    "alerts.test.yml",
                ]
                .iter()
                .any(|name| file.ends_with(&format!("/{name}")));
            let is_there = deb.contains(&format!("[\"{file}\","));
            assert_ne!(is_there, is_left_out, "{file}");
            installed += usize::from(is_there);
        }
    }
    assert_eq!(installed, 10);
}

/// The output of a program; `None`, with a word, if it is not there.
fn run(command: &mut Command) -> Option<Output> {
    let output = command.env("LC_ALL", "C.UTF-8").output();
    if output.is_err() {
        eprintln!("skipped: {command:?} is not there");
    }
    output.ok()
}

// systemd.

const UNITS: [&str; 3] = ["fanfare.service", "fanfare.socket", "fanfare-admin.socket"];

/// The units in a folder of their own, with the binary under test in place of the installed one.
fn units(folder: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    fs::create_dir_all(&folder).expect("it can be made");
    for unit in UNITS {
        let text = fs::read_to_string(packaging().join(unit)).expect("it is there");
        // No such manual is installed here.
        let text = text
            .replace("Documentation=man:fanfare(1)\n", "")
            .replace("/usr/bin/fanfare", env!("CARGO_BIN_EXE_fanfare"));
        fs::write(folder.join(unit), text).expect("it can be written");
    }
    folder
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let units = units("verify");
    let mut command = Command::new("systemd-analyze");
    command
        .arg("verify")
        .args(UNITS.map(|unit| units.join(unit)));
    let Some(output) = run(&mut command) else {
        return;
    };
    let told = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = told
        .lines()
        .filter(|line| line.contains("fanfare"))
        .collect();
    assert!(output.status.success() && ours.is_empty(), "{told}");
}

#[test]
fn systemd_finds_the_service_hardly_exposed() {
    let units = units("security");
    let mut command = Command::new("systemd-analyze");
    command
        .args(["security", "--offline=true", "--no-pager"])
        .arg(format!("--threshold={EXPOSURE_MAX}"))
        .arg(units.join("fanfare.service"));
    let Some(output) = run(&mut command) else {
        return;
    };
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{output:?}");
    assert!(told.contains("Overall exposure level"), "{told}");
}

// Several nodes.

/// Reads YAML, and prints it as JSON.
const YAML_TO_JSON: &str = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))";

/// The compose file; `None` where Python cannot read it.
fn compose() -> Option<Value> {
    let file = fs::File::open(packaging().join("compose.yml")).expect("it is there");
    let mut python = Command::new("python3");
    let output = run(python.args(["-c", YAML_TO_JSON]).stdin(file))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if told.contains("No module named 'yaml'") {
        eprintln!("skipped: Python has no yaml here");
        return None;
    }
    assert!(output.status.success(), "{told}");
    Some(serde_json::from_slice(&output.stdout).expect("it is JSON"))
}

#[test]
fn the_services_of_the_compose_file_find_each_other() {
    let Some(compose) = compose() else {
        return;
    };
    let services = &compose["services"];
    let address = |service: &str| {
        let address = services[service]["networks"]["public"]["ipv4_address"].as_str();
        address.expect(service).to_owned()
    };
    let trusted = format!("--trusted-proxy={}", address("haproxy"));
    for (service, variable) in [("a", "FANFARE_A"), ("b", "FANFARE_B")] {
        let target = &services["haproxy"]["environment"][variable];
        assert_eq!(*target, format!("{}{DEFAULT_ADDR}", address(service)));
        let command = services[service]["command"].as_array().expect("flags");
        let has = |flag: &str| command.iter().any(|it| *it == *flag);
        assert!(has(&trusted), "{command:?}");
        assert!(has("--backplane=redis://valkey:6379"), "{command:?}");
        let networks = &services[service]["networks"];
        assert!(networks.get("broker").is_some(), "{networks}");
        let known = Config::command();
        for flag in command.iter().filter_map(Value::as_str) {
            let name = flag.trim_start_matches('-').split('=').next();
            let mut arguments = known.get_arguments();
            let is_known = arguments.any(|it| it.get_long() == name);
            assert!(is_known, "{flag}");
        }
    }
    assert_eq!(services["valkey"]["networks"], json!(["broker"]));
    assert_eq!(compose["networks"]["broker"]["internal"], true);
    let volume = services["haproxy"]["volumes"][0].as_str().expect("one");
    let file = volume.split(':').next().expect("a path");
    assert!(packaging().join(file).is_file(), "{file}");
}

/// A broker with the users of the access list, on a Unix socket; ended with the test.
struct Broker {
    server: Child,
    socket: PathBuf,
}

impl Broker {
    /// `None` where there is no `redis-server`.
    fn start() -> Option<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("broker");
        fs::create_dir_all(&folder).expect("it can be made");
        let socket = folder.join("socket");
        // One that a killed test left behind.
        let _ = fs::remove_file(&socket);
        let mut command = Command::new("redis-server");
        command
            .args(["--port", "0", "--save", "", "--dir"])
            .arg(&folder)
            .arg("--unixsocket")
            .arg(&socket)
            .arg("--aclfile")
            .arg(packaging().join("valkey.acl"))
            .stdout(Stdio::null());
        let Ok(server) = command.spawn() else {
            eprintln!("skipped: redis-server is not there");
            return None;
        };
        let mut broker = Self { server, socket };
        while !broker.socket.exists() {
            let ended = broker.server.try_wait().expect("it is our child");
            assert!(ended.is_none(), "the access list is not understood");
            thread::sleep(Duration::from_millis(5));
        }
        Some(broker)
    }

    /// What a command of the nodes' user is answered.
    fn ask(&self, command: &str) -> String {
        let mut client = Command::new("redis-cli");
        let user = ["--user", "fanfare", "--pass", "change-me"];
        client.arg("-s").arg(&self.socket).args(user);
        let output = client.arg("--no-auth-warning").args(command.split(' '));
        let output = output.output().expect("it comes with the server");
        String::from_utf8(output.stdout).expect("it is text")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn the_user_of_the_nodes_may_do_what_they_do_and_nothing_else() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let is_refused = |command: &str| broker.ask(command).starts_with("NOPERM ");
    for command in [
        "INFO server",
        "SELECT 0",
        "CONFIG GET appendfsync",
        "SCRIPT LOAD return",
        "XADD {fanfare}:stream MAXLEN ~ 1000 * p x",
        "XREAD COUNT 1 STREAMS {fanfare}:stream 0-0",
        "XREVRANGE {fanfare}:stream + - COUNT 1",
        "XINFO STREAM {fanfare}:stream",
        "XDEL {fanfare}:stream 1-1",
        "HSET {fanfare}:room:a head 1",
        "HMGET {fanfare}:room:a head",
        "EXPIRE {fanfare}:room:a 10",
        "SET {fanfare}:key:a:b x EX 300",
        "ZADD {fanfare}:nodes 1 x",
        "DEL {fanfare}:here:x",
        "TIME",
    ] {
        assert!(!is_refused(command), "{command}");
    }
    for command in [
        "FLUSHALL",
        "CONFIG SET maxmemory 1",
        "KEYS *",
        "EVAL return 0",
        "SCRIPT FLUSH",
        "XTRIM {fanfare}:stream MAXLEN 0",
        "XADD fanfare:stream * p x",
        "GET other",
        "PUBLISH a b",
    ] {
        assert!(is_refused(command), "{command}");
    }
}
