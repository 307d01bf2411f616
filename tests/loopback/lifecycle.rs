//! How the real server starts, what it says while it runs, and how it ends.

#![allow(clippy::print_stderr, reason = "a test that is left out says so")]

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::common::wire::{CLOSE, TEXT, close, frame, get, text, upgrade, upgrade_with};
use crate::common::{Peer, Server, assert_fails, eventually, fanfare, run};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message};

/// The program on a free port of the loopback interface.
pub(crate) fn on_free_port() -> Command {
    let mut command = fanfare();
    command.args(["--addr", "127.0.0.1:0"]);
    command
}

fn assert_hello(server: &Server) {
    let mut peer = server.join();
    peer.say("hello");
    peer.expect_frame(TEXT, b"hello");
}

/// A member that never reads, and is owed more than the kernel holds.
fn member_that_never_reads(server: &Server) -> Peer {
    const LEN: usize = 128 * 1024;
    let silent = server.join_with_small_buffer();
    let mut speaker = server.join();
    for _ in 0..150 {
        speaker.say(&"x".repeat(LEN));
        assert_eq!(speaker.hear().len(), LEN);
    }
    silent
}

// Settings.

#[test]
fn nonsense_is_refused_in_one_line() {
    for flags in [
        &["--no-such-flag"][..],
        &["no-such-argument"],
        &["--max-message"],
        &["--send-queue", "0"],
        &["--send-queue", "-1"],
        &["--send-queue", "many"],
        &["--max-clients", "0"],
        &["--max-clients", "1.5"],
        &["--max-message", "0"],
        &["--max-message", "512 apples"],
        &["--pong-wait", "0s"],
        &["--pong-wait", "99ms"],
        &["--ping-period", "1ms"],
        &["--pong-wait", "10"],
        &["--pong-wait", "soon"],
        &["--write-wait", "0s"],
        &["--request-timeout", "-1s"],
        &["--drain", "x"],
        &["--ping-period", "60s"],
        &["--ping-period", "61s"],
        &["--pong-wait", "10s", "--ping-period", "10s"],
        &["--allow-origin", "elsewhere.example"],
        &["--allow-origin", "https://a.*.elsewhere.example"],
        &["--max-queued", "2047B"],
        &["--max-message", "65MiB"],
        &["--log-format", "xml"],
        &["--log", "[["],
        &["--log", "inof"],
        &["--log", ""],
        &["--log", "info,"],
        &["--log", "fanfare=debug,inof"],
        &["--echo=perhaps"],
        &["--backplane", ""],
        &["--backplane", "localhost:6379"],
        &["--backplane", "rediss://localhost"],
        &["--backplane-prefix", "a:b"],
        &["--backplane-prefix", ""],
        &["--backplane-wait", "99ms"],
        &["--backplane-wait", "61min"],
        &["--backplane-entries", "999"],
        &["--backplane-entries", "100000001"],
    ] {
        let mut command = on_free_port();
        command.args(flags);
        let line = assert_fails(command, 2);
        assert!(line.len() > 10, "{flags:?}: {line}");
    }
}

#[test]
fn a_refusal_names_the_setting_that_is_wrong() {
    for (flag, value) in [
        ("--send-queue", "0"),
        ("--max-message", "huge"),
        ("--ping-period", "60s"),
        ("--drain", "x"),
        ("--allow-origin", "elsewhere.example"),
        ("--log", "[["),
        ("--backplane", "localhost:6379"),
        ("--backplane-prefix", "a:b"),
        ("--backplane-wait", "5"),
        ("--backplane-entries", "0"),
    ] {
        let mut command = on_free_port();
        command.args([flag, value]);
        let line = assert_fails(command, 2);
        assert!(line.contains(flag), "{line}");
    }
}

#[test]
fn a_slip_in_a_flag_is_told_in_one_line_with_the_flag_that_may_be_meant() {
    let mut command = fanfare();
    command.args(["--adr", "127.0.0.1:0"]);
    let line = assert_fails(command, 2);
    assert!(line.contains("'--addr'"), "{line}");
    assert!(line.ends_with("; see --help"), "{line}");
}

#[test]
fn a_ping_period_just_below_the_pong_wait_is_accepted() {
    assert_hello(&Server::start(&[
        "--pong-wait",
        "10s",
        "--ping-period",
        "9999ms",
    ]));
}

#[test]
fn an_address_that_is_none_is_nonsense() {
    for addr in [
        "nowhere",
        "127.0.0.1",
        "127.0.0.1:http",
        "127.0.0.1:65536",
        ":",
    ] {
        let mut command = fanfare();
        command.args(["--addr", addr]);
        let line = assert_fails(command, 2);
        assert!(line.contains("--addr"), "{line}");
    }
}

#[test]
fn nonsense_in_the_environment_is_refused_like_a_flag() {
    for (name, value) in [
        ("FANFARE_SEND_QUEUE", "0"),
        ("FANFARE_PONG_WAIT", "soon"),
        ("FANFARE_ECHO", "perhaps"),
        ("FANFARE_LOG_FORMAT", "xml"),
    ] {
        let mut command = on_free_port();
        command.env(name, value);
        assert_fails(command, 2);
    }
}

#[test]
fn the_environment_sets_what_no_flag_says() {
    let mut command = fanfare();
    command.envs([
        ("FANFARE_ADDR", "127.0.0.1:0"),
        ("FANFARE_ECHO", "true"),
        ("FANFARE_MAX_MESSAGE", "16B"),
        ("FANFARE_ALLOW_ORIGIN", "http://one.example"),
    ]);
    let server = Server::spawn(command);
    assert!(server.addr.ip().is_loopback());
    let mut peer = server.echo();
    peer.send(text("sixteen bytes ok"));
    peer.expect_frame(TEXT, b"sixteen bytes ok");
    peer.send(text("seventeen bytes??"));
    peer.expect_close(1009);
    let mut peer = server.connect();
    peer.send(upgrade_with(&["Origin: http://one.example"]));
    peer.expect_upgrade();
}

#[test]
fn echo_is_switched_in_the_environment_by_every_usual_word() {
    for (word, status) in [
        ("1", 101),
        ("yes", 101),
        ("ON", 101),
        ("0", 404),
        ("no", 404),
        ("off", 404),
    ] {
        let mut command = on_free_port();
        command.env("FANFARE_ECHO", word);
        let server = Server::spawn(command);
        let mut peer = server.connect();
        peer.send(upgrade("/echo"));
        assert_eq!(peer.response_without_body().status, status, "{word}");
    }
}

#[test]
fn an_empty_variable_counts_as_none() {
    let mut command = on_free_port();
    for name in [
        "ECHO",
        "MAX_CLIENTS",
        "ALLOW_ORIGIN",
        "PONG_WAIT",
        "LOG",
        "LOG_FORMAT",
    ] {
        command.env(format!("FANFARE_{name}"), "");
    }
    let server = Server::spawn(command);
    assert_hello(&server);
    server.wait_for_log(&["ready"]);
}

#[test]
fn an_origin_is_allowed_with_the_port_that_its_scheme_implies() {
    let origins = "http://one.example:80,https://two.example:443/";
    let server = Server::start(&["--allow-origin", origins]);
    for origin in ["http://one.example", "https://two.example"] {
        let mut peer = server.connect();
        peer.send(upgrade_with(&[&format!("Origin: {origin}")]));
        peer.expect_upgrade();
    }
}

#[test]
fn every_setting_has_its_place_in_the_environment() {
    for (name, value) in [
        ("FANFARE_MAX_MESSAGE", "nonsense"),
        ("FANFARE_SEND_QUEUE", "nonsense"),
        ("FANFARE_MAX_QUEUED", "nonsense"),
        ("FANFARE_MESSAGE_RATE", "nonsense"),
        ("FANFARE_MAX_CLIENTS", "nonsense"),
        ("FANFARE_MAX_CLIENTS_PER_IP", "nonsense"),
        ("FANFARE_ADMIN_ADDR", "nonsense"),
        ("FANFARE_UNIX_MODE", "nonsense"),
        ("FANFARE_SEND_BUFFER", "nonsense"),
        ("FANFARE_PONG_WAIT", "nonsense"),
        ("FANFARE_PING_PERIOD", "nonsense"),
        ("FANFARE_WRITE_WAIT", "nonsense"),
        ("FANFARE_REQUEST_TIMEOUT", "nonsense"),
        ("FANFARE_DRAIN", "nonsense"),
        ("FANFARE_ALLOW_ORIGIN", "nonsense"),
        ("FANFARE_ECHO", "nonsense"),
        ("FANFARE_LOG", "[["),
        ("FANFARE_LOG_FORMAT", "nonsense"),
    ] {
        let mut command = on_free_port();
        command.env(name, value);
        // It is read, or nobody would complain.
        assert_fails(command, 2);
    }
}

#[test]
fn a_slip_in_the_environment_is_warned_of_with_the_name_that_may_be_meant() {
    let mut command = on_free_port();
    command
        .env("FANFARE_MAX_MESAGE", "1B")
        .env("FANFARE_COLOUR", "")
        .env("FANFARE_PORT", "tcp://10.0.0.1:80");
    let mut server = Server::spawn(command);
    server.wait_for_log(&[
        "WARN",
        "FANFARE_MAX_MESAGE",
        "did you mean FANFARE_MAX_MESSAGE?",
    ]);
    server.wait_for_log(&["WARN", "FANFARE_COLOUR is not a setting"]);
    assert_hello(&server);
    server.signal("TERM");
    assert!(server.wait_for_exit().success());
    let (_, log) = server.output();
    let warnings = log.iter().filter(|line| line.contains("is not a setting"));
    assert_eq!(warnings.count(), 2, "{log:?}");
}

#[test]
fn a_flag_wins_over_the_environment() {
    let mut command = fanfare();
    command
        .envs([
            ("FANFARE_ADDR", "192.0.2.1:1"),
            ("FANFARE_MAX_MESSAGE", "16B"),
        ])
        .args(["--addr", "127.0.0.1:0", "--max-message", "5B"]);
    let server = Server::spawn(command);
    let mut peer = server.join();
    peer.say("12345");
    peer.expect_frame(TEXT, b"12345");
    peer.say("123456");
    peer.expect_close(1009);
}

#[test]
fn help_is_grouped_and_explains_every_setting() {
    let mut command = fanfare();
    command.arg("--help");
    let (status, stdout, stderr) = run(command);
    assert_eq!(status, Some(0));
    assert!(stderr.is_empty(), "{stderr:?}");
    for flag in [
        "--addr",
        "--max-clients",
        "--max-clients-per-ip",
        "--send-buffer",
        "--allow-origin",
        "--publish-token",
        "--publish-token-file",
        "--listen-token",
        "--listen-token-file",
        "--jwt-key",
        "--jwt-key-file",
        "--allow-host",
        "--max-message",
        "--send-queue",
        "--max-queued",
        "--message-rate",
        "--echo",
        "--backplane",
        "--backplane-prefix",
        "--backplane-wait",
        "--backplane-entries",
        "--pong-wait",
        "--ping-period",
        "--write-wait",
        "--request-timeout",
        "--keep-alive",
        "--drain",
        "--log",
        "--log-format",
    ] {
        let stands_first = |line: &&String| {
            let mut words = line.split_whitespace();
            words.next() == Some(flag)
        };
        let lines = stdout.iter().filter(stands_first).count();
        assert_eq!(lines, 1, "{flag}");
    }
    let headings = stdout
        .iter()
        .filter(|line| line.ends_with(':') && !line.starts_with(' '));
    assert!(headings.count() >= 4, "{stdout:#?}");
    let help = stdout.join("\n");
    for default in [
        ":8080",
        "512B",
        "[default: 256]",
        "256MiB",
        "100000",
        "60s",
        "10s",
        "5s",
        "text",
    ] {
        assert!(help.contains(default), "{default} is not explained");
    }
}

#[test]
fn the_readme_lists_every_setting() {
    let mut command = fanfare();
    command.arg("--help");
    let (_, help, _) = run(command);
    // Where a text mentions a flag at the start of a line, it is indented further.
    let flags = help.iter().filter_map(|line| line.strip_prefix("      --"));
    let flags: Vec<_> = flags.filter_map(|line| line.split(' ').next()).collect();
    assert!(flags.len() > 10, "{help:#?}");
    for flag in flags {
        let row = format!("\n| `--{flag}` | ");
        assert!(include_str!("../../README.md").contains(&row), "{flag}");
    }
}

#[test]
fn help_says_that_the_environment_sets_things_too() {
    let mut command = fanfare();
    command.arg("--help");
    let (_, stdout, _) = run(command);
    assert!(stdout.iter().any(|line| line.contains("FANFARE_")));
}

#[test]
fn the_version_is_told() {
    let mut command = fanfare();
    command.arg("--version");
    let version = concat!("fanfare ", env!("CARGO_PKG_VERSION")).to_owned();
    assert_eq!(run(command), (Some(0), vec![version], vec![]));
}

#[test]
fn a_slip_in_the_log_level_is_refused_and_the_levels_are_named() {
    for level in ["inof", ""] {
        let mut command = on_free_port();
        command.args(["--log", level]);
        let line = assert_fails(command, 2);
        for level in ["off", "error", "warn", "info", "debug", "trace"] {
            assert!(line.contains(level), "{line}");
        }
    }
}

#[test]
fn a_filter_of_the_log_may_have_many_parts() {
    assert_hello(&Server::start(&["--log", "WARN,fanfare=debug,[span]=info"]));
}

// Addresses.

#[test]
fn the_port_that_was_picked_is_told_in_one_line_and_nothing_else_is() {
    let mut server = Server::start(&[]);
    assert_ne!(server.addr.port(), 0);
    let expected = format!(
        concat!(
            "fanfare ",
            env!("CARGO_PKG_VERSION"),
            " listening on http://127.0.0.1:{}/"
        ),
        server.addr.port()
    );
    assert_eq!(server.announcement, expected);
    assert_hello(&server);
    server.signal("TERM");
    assert!(server.wait_for_exit().success());
    let (stdout, _) = server.output();
    assert_eq!(stdout, [expected]);
}

#[test]
fn without_a_host_all_interfaces_of_both_families_are_listened_on() {
    let mut command = fanfare();
    command.args(["--addr", ":0"]);
    let mut server = Running(command.spawn().expect("the server starts"));
    let mut announcement = String::new();
    BufReader::new(server.0.stdout.take().expect("stdout is piped"))
        .read_line(&mut announcement)
        .expect("it is text");
    let port = announcement
        .strip_suffix("/ (all interfaces)\n")
        .and_then(|line| line.rsplit_once(':'))
        .and_then(|(_, port)| port.parse::<u16>().ok())
        .expect(&announcement);
    let mut hosts = vec![IpAddr::from(Ipv4Addr::LOCALHOST)];
    if has_ipv6() {
        hosts.push(Ipv6Addr::LOCALHOST.into());
    }
    for host in hosts {
        let mut peer = Peer::connect((host, port).into());
        peer.send(get("/"));
        assert_eq!(peer.response().status, 200, "{host}");
    }
}

/// A server whose announcement names no address, killed when the test is over.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_ipv6_address_is_listened_on() {
    if !has_ipv6() {
        return;
    }
    let mut command = fanfare();
    command.args(["--addr", "[::1]:0"]);
    let server = Server::spawn(command);
    assert!(server.addr.is_ipv6());
    assert_hello(&server);
}

#[test]
fn all_addresses_of_a_host_name_are_listened_on_at_one_port() {
    let mut command = fanfare();
    command.args(["--addr", "localhost:0"]);
    let server = Server::spawn(command);
    assert!(server.addr.ip().is_loopback());
    let known: Vec<_> = ("localhost", server.addr.port())
        .to_socket_addrs()
        .expect("every machine has this name")
        .filter(|addr| TcpListener::bind((addr.ip(), 0)).is_ok())
        .collect();
    for addr in &known {
        let url = format!("http://{addr}/");
        assert!(server.announcement.contains(&url), "{url}");
        let mut peer = Peer::connect(*addr);
        peer.send(get("/"));
        assert_eq!(peer.response().status, 200, "{addr}");
    }
    assert!(!known.is_empty(), "localhost has an address");
}

#[test]
fn a_bare_port_means_all_interfaces() {
    let mut command = fanfare();
    command.args(["--addr", "0"]);
    let mut server = Running(command.spawn().expect("the server starts"));
    let mut announcement = String::new();
    BufReader::new(server.0.stdout.take().expect("stdout is piped"))
        .read_line(&mut announcement)
        .expect("it is text");
    assert!(announcement.ends_with("(all interfaces)\n"));
}

#[test]
fn a_port_out_of_range_is_told_the_range() {
    let mut command = fanfare();
    command.args(["--addr", ":99999"]);
    let line = assert_fails(command, 2);
    assert!(line.contains("a port is at most 65535"), "{line}");
}

#[test]
fn a_port_in_use_is_told_in_one_line() {
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let addr = holder.local_addr().expect("an address").to_string();
    let mut command = fanfare();
    command.args(["--addr", &addr]);
    let line = assert_fails(command, 1);
    assert!(line.contains(&addr), "{line}");
}

#[test]
fn a_port_that_a_running_server_has_is_in_use() {
    let server = Server::start(&[]);
    let mut command = fanfare();
    command.args(["--addr", &server.addr.to_string()]);
    assert_fails(command, 1);
    assert_hello(&server);
}

/// Where there is no IPv6, the tests of it say so and see nothing.
fn has_ipv6() -> bool {
    let has = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has {
        eprintln!("NOT TESTED: this machine has no IPv6");
    }
    has
}

#[test]
fn a_port_that_somebody_has_in_one_family_only_is_in_use() {
    if !has_ipv6() {
        return;
    }
    let holder = Socket::new(Domain::IPV6, Type::STREAM, None).expect("a socket");
    holder.set_only_v6(true).expect("an option");
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    holder.bind(&any.into()).expect("a free port");
    holder.listen(1).expect("it listens");
    let addr = holder.local_addr().expect("an address").as_socket();
    let port = addr.expect("an address of IPv6").port();
    let mut command = fanfare();
    command.args(["--addr", &format!(":{port}")]);
    let line = assert_fails(command, 1);
    assert!(
        line.contains("stop the program that uses the port"),
        "{line}"
    );
}

#[test]
fn an_address_of_another_machine_cannot_be_had() {
    let mut command = fanfare();
    command.args(["--addr", "192.0.2.1:0"]);
    assert_fails(command, 1);
}

#[test]
fn the_page_is_served_wherever_the_server_was_started() {
    let mut command = on_free_port();
    command.current_dir(std::env::temp_dir());
    let server = Server::spawn(command);
    let mut peer = server.connect();
    peer.send(get("/"));
    let page = peer.response();
    assert_eq!(page.status, 200);
    assert!(page.body == include_bytes!("../../web/index.html"));
}

// The crowd.

#[test]
fn a_client_too_many_is_refused_until_another_one_leaves() {
    let server = Server::start(&["--max-clients", "2"]);
    let mut one = server.join();
    let two = server.join();
    server.expect_no_seat();
    one.say("hello");
    one.expect_frame(TEXT, b"hello");
    drop(two);
    let mut three = eventually("a place is free", || {
        let mut peer = server.connect();
        // The answer may be there, and the connection closed, before this is said.
        peer.try_send(upgrade("/ws").as_bytes());
        let response = peer.response_without_body();
        (response.status == 101).then_some(peer)
    });
    one.say("hello again");
    for peer in [&mut one, &mut three] {
        peer.expect_frame(TEXT, b"hello again");
    }
}

/// A program with pipes, started by a shell that runs a script before.
pub(crate) fn in_shell(program: &Command, script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{script} && exec \"$0\" \"$@\"")])
        .arg(program.get_program())
        .args(program.get_args())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// The program on a free port, where a shell has limited how many descriptors it may open.
fn with_descriptors(limit: &str) -> Command {
    in_shell(&on_free_port(), &format!("ulimit {limit}"))
}

#[test]
fn the_soft_limit_on_descriptors_limits_nobody() {
    let server = Server::spawn(with_descriptors("-Sn 200"));
    let mut crowd: Vec<Peer> = (0..300).map(|_| server.join()).collect();
    crowd[0].say("hello");
    for peer in &mut crowd {
        peer.expect_frame(TEXT, b"hello");
    }
}

#[test]
fn too_few_descriptors_are_told_in_one_line() {
    let line = assert_fails(with_descriptors("-n 50"), 1);
    assert!(line.contains("ulimit -n"), "{line}");
}

#[test]
fn a_client_too_many_is_answered_whole_although_input_waits() {
    let server = Server::start(&["--max-clients", "1"]);
    let _one = server.join();
    let mut peer = server.connect();
    peer.send(upgrade("/ws"));
    peer.send(vec![b'x'; 1024 * 1024]);
    peer.expect_refusal(503);
}

#[test]
fn a_visitor_of_the_page_counts_as_a_client_until_it_leaves() {
    let server = Server::start(&["--max-clients", "1"]);
    let mut visitor = server.connect();
    visitor.send(get("/"));
    assert_eq!(visitor.response().status, 200);
    server.expect_no_seat();
    // It may still become a member.
    visitor.send(upgrade("/ws"));
    visitor.expect_upgrade();
}

#[test]
fn a_crowd_of_refused_clients_harms_nobody() {
    let server = Server::start(&["--max-clients", "1"]);
    let mut member = server.join();
    let crowd: Vec<Peer> = (0..100).map(|_| server.connect()).collect();
    member.say("hello");
    member.expect_frame(TEXT, b"hello");
    drop(crowd);
    server.expect_no_seat();
}

// The log.

#[test]
fn every_line_of_a_json_log_is_json() {
    let mut server = Server::start(&["--log-format", "json", "--log", "debug"]);
    assert_hello(&server);
    let mut peer = server.connect();
    peer.send("nonsense\r\n\r\n");
    peer.expect_refusal(400);
    drop(peer);
    server.signal("TERM");
    assert!(server.wait_for_exit().success());
    let (_, stderr) = server.output();
    assert!(stderr.len() >= 2, "{stderr:?}");
    for line in stderr {
        let value: Value = serde_json::from_str(&line).expect(&line);
        for key in ["timestamp", "level", "fields"] {
            assert!(value.get(key).is_some(), "{line}");
        }
    }
}

#[test]
fn a_log_that_is_off_says_nothing() {
    let mut server = Server::start(&["--log", "off"]);
    assert_hello(&server);
    server.signal("TERM");
    assert!(server.wait_for_exit().success());
    let (_, stderr) = server.output();
    assert!(stderr.is_empty(), "{stderr:?}");
}

#[test]
fn a_message_that_is_too_big_is_logged_with_the_setting_that_would_allow_it() {
    let server = Server::start(&[]);
    let mut peer = server.join();
    peer.say(&"x".repeat(513));
    peer.expect_close(1009);
    drop(peer);
    server.wait_for_log(&["connection closed", "--max-message"]);
}

#[test]
fn what_users_say_does_not_appear_in_the_log() {
    let mut server = Server::start(&["--log", "trace"]);
    let mut peer = server.join();
    peer.say("a secret");
    peer.expect_frame(TEXT, b"a secret");
    server.signal("TERM");
    peer.expect_close(1001);
    drop(peer);
    assert!(server.wait_for_exit().success());
    let (_, stderr) = server.output();
    assert!(!stderr.concat().contains("a secret"), "{stderr:?}");
}

// Ends.

/// Everybody is told, and the server ends well.
fn assert_ends_well_at(signal: &str) {
    let mut server = Server::start(&["--echo"]);
    let mut member = server.join();
    let mut hermit = server.echo();
    let mut visitor = server.connect();
    visitor.send(get("/"));
    assert_eq!(visitor.response().status, 200);
    server.signal(signal);
    member.expect_close(1001);
    hermit.expect_close(1001);
    visitor.expect_end();
    drop((member, hermit, visitor));
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn at_sigterm_everybody_is_told_and_the_server_ends_well() {
    assert_ends_well_at("TERM");
}

#[test]
fn at_sigint_everybody_is_told_and_the_server_ends_well() {
    assert_ends_well_at("INT");
}

#[test]
fn a_server_without_clients_ends_at_a_signal() {
    let mut server = Server::start(&["--drain", "1h"]);
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn an_independent_client_is_told_that_the_server_goes_away() {
    let mut server = Server::start(&["--drain", "1h"]);
    let mut client = server.polite("/ws");
    server.signal("TERM");
    let closed = client.read().expect("a close");
    assert!(
        matches!(&closed, Message::Close(Some(frame)) if frame.code == CloseCode::Away),
        "{closed:?}"
    );
    let end = client.read().expect_err("nothing follows");
    assert!(matches!(end, Error::ConnectionClosed), "{end:?}");
    drop(client);
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn what_is_owed_comes_before_the_goodbye() {
    const COUNT: usize = 150;
    let mut server = Server::start(&[
        "--max-message",
        "256KiB",
        "--drain",
        "20s",
        "--write-wait",
        "1h",
    ]);
    let mut slow = member_that_never_reads(&server);
    server.signal("TERM");
    let mut lines = Vec::new();
    while lines.len() < COUNT {
        lines.extend(slow.hear_lines(1));
    }
    assert_eq!(lines.len(), COUNT);
    assert!(lines.iter().all(|line| line.len() == 128 * 1024));
    slow.expect_close(1001);
    drop(slow);
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn what_is_said_after_the_goodbye_is_heard_by_nobody() {
    let mut server = Server::start(&["--drain", "4s"]);
    // Who joined last is closed first.
    let (mut two, mut one) = (server.join(), server.join());
    server.signal("TERM");
    one.expect_close(1001);
    one.say("too late");
    one.send(close(1001, b""));
    two.expect_close(1001);
    drop((one, two));
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn a_client_that_never_reads_does_not_hold_up_the_end_beyond_the_drain() {
    let flags = [
        "--max-message",
        "256KiB",
        "--drain",
        "500ms",
        "--write-wait",
        "1h",
    ];
    let mut server = Server::start(&flags);
    let _silent = member_that_never_reads(&server);
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn a_client_that_never_closes_does_not_hold_up_the_end_beyond_the_drain() {
    let mut server = Server::start(&["--drain", "500ms"]);
    let mut idle = server.join();
    server.signal("TERM");
    idle.expect_close(1001);
    // It stays connected.
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn a_request_that_is_never_finished_does_not_hold_up_the_end() {
    let mut server = Server::start(&["--drain", "500ms", "--request-timeout", "1h"]);
    let mut visitor = server.connect();
    // The answer shows that the beginning of the next request, in the same segment, is in.
    visitor.send(get("/") + "GET /");
    assert_eq!(visitor.response().status, 200);
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn nobody_is_let_in_after_the_signal() {
    let mut server = Server::start(&["--drain", "1h"]);
    let mut member = server.join();
    server.signal("TERM");
    member.expect_close(1001);
    let refused = TcpStream::connect(server.addr);
    assert!(refused.is_err(), "the port is still open");
    drop(member);
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    for second in ["TERM", "INT"] {
        let flags = [
            "--max-message",
            "256KiB",
            "--drain",
            "1h",
            "--write-wait",
            "1h",
        ];
        let mut server = Server::start(&flags);
        let _silent = member_that_never_reads(&server);
        let mut witness = server.join();
        server.signal("TERM");
        // The first one has been seen.
        let frame = witness.frame();
        assert_eq!(
            (frame.first, frame.payload),
            (CLOSE, b"\x03\xe9server is going away".to_vec())
        );
        server.signal(second);
        // It was asked for, so it is no failure.
        assert_eq!(server.wait_for_exit().code(), Some(0));
    }
}

#[test]
fn a_port_can_be_bound_again_at_once_after_a_kill() {
    let mut server = Server::start(&[]);
    let addr = server.addr.to_string();
    for _ in 0..3 {
        let _members = [server.join(), server.join(), server.connect()];
        server.signal("KILL");
        assert_eq!(server.wait_for_exit().code(), None);
        let mut command = fanfare();
        command.args(["--addr", &addr]);
        server = Server::spawn(command);
        assert_hello(&server);
    }
}

#[test]
fn a_port_can_be_bound_again_at_once_after_an_end_with_clients() {
    let mut server = Server::start(&["--drain", "0s"]);
    let addr = server.addr.to_string();
    let _members = [server.join(), server.join(), server.connect()];
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
    let mut command = fanfare();
    command.args(["--addr", &addr]);
    assert_hello(&Server::spawn(command));
}

#[test]
fn a_signal_in_the_midst_of_a_burst_ends_well_and_leaves_no_gap() {
    let mut server = Server::start(&["--drain", "4s"]);
    let speaker = server.join();
    let mut listener = server.join();
    let mut writer = speaker.writer();
    let speaking = thread::spawn(move || {
        for number in 0..100_000 {
            // At some point the server no longer listens, and then it is gone.
            if writer.write_all(&text(&number.to_string())).is_err() {
                return;
            }
        }
    });
    let draining = thread::spawn(move || {
        let mut speaker = speaker;
        speaker.wait_until_gone();
    });
    let mut heard = listener.hear_lines(100);
    server.signal("TERM");
    loop {
        let next = listener.frame();
        if next.first == CLOSE {
            assert_eq!(next.payload, b"\x03\xe9server is going away");
            break;
        }
        let text = String::from_utf8(next.payload).expect("text is UTF-8");
        heard.extend(text.split('\n').map(str::to_owned));
    }
    let expected: Vec<String> = (0..heard.len()).map(|number| number.to_string()).collect();
    assert!(heard == expected, "something is missing");
    listener.send(frame(CLOSE, b""));
    listener.expect_end();
    drop(listener);
    speaking.join().expect("it has said enough");
    draining.join().expect("it has heard enough");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}
