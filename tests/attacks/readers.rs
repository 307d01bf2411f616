//! Attacks by readers: ids that no room has given, history read again and again, and events that nobody reads.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use socket2::{Domain, Socket, Type};

use crate::asking::{ask_all, listen, listen_on, post, publish};
use crate::common::wire::{get, request, upgrade_with};
use crate::common::{PATIENCE, Peer, eventually};
use crate::scene::{Scene, wait_for_frame};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The next line of an event stream, without its end.
fn line(peer: &mut Peer) -> String {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.extend(peer.take(1));
    }
    line.pop();
    String::from_utf8(line).expect("events are UTF-8")
}

/// An upgrade to a target, with ids.
fn upgrade_v1(target: &str) -> String {
    let request = upgrade_with(&["Sec-WebSocket-Protocol: fanfare.v1"]);
    request.replacen("/ws", target, 1)
}

#[test]
fn ids_of_absurd_length() {
    let scene = Scene::start(&[]);
    let id = publish(&scene.server, "/room/past", b"the first");
    let (epoch, _) = id.split_once('-').expect("an id");
    let largest = format!("{epoch}-18446744073709551615");
    let ids = [
        largest.clone(),
        format!("{epoch}-99999999999999999999"),
        format!("{epoch}-{}", "9".repeat(7_000)),
        format!("{}-1", "k".repeat(7_000)),
        "-".repeat(7_000),
        "%2d".repeat(2_000),
    ];
    for id in &ids {
        let has_form = id.len() < 40;
        for _ in 0..50 {
            // A header may be anything, and an address has to be an id.
            let field = format!("Last-Event-ID: {id}");
            let mut peer = scene.server.connect();
            peer.send(request("GET /room/past HTTP/1.1", &["Host: a", &field]));
            assert_eq!(peer.response_without_body().status, 200);
            assert!(line(&mut peer).starts_with(":gap "));
            let mut peer = scene.server.connect();
            peer.send(get(&format!("/room/past?since={id}")));
            let status = peer.response_without_body().status;
            assert_eq!(status, if has_form { 200 } else { 400 }, "{id}");
            let mut peer = scene.server.connect();
            peer.send(upgrade_v1(&format!("/ws/past?since={id}")));
            let status = peer.response_without_body().status;
            assert_eq!(status, if has_form { 101 } else { 400 }, "{id}");
        }
    }
    for _ in 0..50 {
        let field = format!("Last-Event-ID: {}", "9".repeat(9_000));
        let mut peer = scene.server.connect();
        peer.send(request("GET /room/past HTTP/1.1", &["Host: a", &field]));
        peer.expect_refusal(431);
    }
    for (last, status) in [
        ("18446744073709551615", 200),
        ("99999999999999999999", 200),
        ("100000000000000000000", 400),
        (&"9".repeat(7_000), 400),
        ("-1", 400),
        ("", 400),
    ] {
        for since in ["", "&since=", "&since=k3v9q2c1-0"] {
            let since = since.to_owned() + if since.ends_with('=') { &largest } else { "" };
            let mut peer = scene.server.connect();
            peer.send(get(&format!("/room/past?last={last}{since}")));
            let response = peer.response_without_body();
            assert_eq!(response.status, status, "last={last}{since}");
            if status == 200 {
                let answer = line(&mut peer);
                assert!(answer.ends_with(&format!("{epoch}-0")) || answer.contains("-0 ?"));
                while line(&mut peer) != "data: the first" {}
            }
        }
    }
    scene.end("ids and numbers of absurd length");
}

#[test]
fn the_whole_history_is_asked_for_again_and_again() {
    const MESSAGES: usize = 1_000;
    let scene = Scene::start(&["--history-size", "4MiB"]);
    let server = &scene.server;
    let id = publish(server, "/room/past", b"the first");
    let (epoch, _) = id.split_once('-').expect("an id");
    let body = "y".repeat(500);
    ask_all(
        server,
        (1..MESSAGES).map(|_| post("/room/past", body.as_bytes())),
    );
    thread::scope(|scope| {
        for kind in 0..4 {
            scope.spawn(move || {
                for round in 0..1_000 {
                    let connect = || Peer::connect_with_small_buffer(server.addr);
                    let mut peer = match kind {
                        0 => listen_on(connect(), "/room/past?last=18446744073709551615"),
                        1 => listen_on(connect(), &format!("/room/past?since={epoch}-0")),
                        2 => connect().upgraded("/ws/past?last=1000"),
                        _ => {
                            let mut peer = connect();
                            peer.send(upgrade_v1(&format!("/ws/past?since={epoch}-0&coalesce=0")));
                            peer.expect_upgrade();
                            peer
                        }
                    };
                    if round % 10 == 0 {
                        // At least half a megabyte each.
                        peer.take(MESSAGES * 500);
                    }
                    peer.reset();
                }
            });
        }
    });
    scene.end_with(
        MIB,
        "4,000 readers that ask for the whole history and leave",
    );
}

#[test]
fn readers_stop_in_the_middle_of_the_history() {
    let scene = Scene::start(&[
        "--history-size",
        "4MiB",
        "--send-buffer",
        "16KiB",
        "--write-wait",
        "1s",
    ]);
    let body = "y".repeat(500);
    ask_all(
        &scene.server,
        (0..1_000).map(|_| post("/room/past", body.as_bytes())),
    );
    let sleeping: Vec<TcpStream> = (0..500)
        .map(|_| deaf_reader(scene.server.addr, "/room/past?last=1000"))
        .collect();
    assert!(scene.growth() < 8 * MIB, "they share the history");
    // New messages go on, and history is behind them.
    ask_all(
        &scene.server,
        (0..1_000).map(|_| post("/room/past", body.as_bytes())),
    );
    scene.server.wait_for_log(&["connection closed"]);
    let server = scene.end_with(MIB, "500 readers that stop in the middle of the history");
    drop((server, sleeping));
}

/// A connection whose kernel takes in very little, and which reads nothing behind the answer's first bytes.
fn deaf_reader(addr: SocketAddr, path: &str) -> TcpStream {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4 * KIB).expect("a buffer");
    socket.connect(&addr.into()).expect("the server accepts");
    let mut stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
        .write_all(get(path).as_bytes())
        .expect("the server listens");
    let mut beginning = [0; 12];
    stream.read_exact(&mut beginning).expect("an answer");
    assert_eq!(&beginning, b"HTTP/1.1 200");
    stream
}

/// How many readers this process has descriptors for, besides what it needs.
fn readers_max() -> usize {
    let limit = rlimit::Resource::NOFILE
        .get()
        .map_or(1_024, |(soft, _)| soft);
    usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .saturating_sub(500)
        .min(10_000)
}

#[test]
fn ten_thousand_event_sources_that_read_nothing() {
    let scene = Scene::start(&["--send-buffer", "8KiB", "--write-wait", "2s"]);
    let count = readers_max();
    let readers: Vec<TcpStream> = (0..count)
        .map(|_| deaf_reader(scene.server.addr, "/room/deaf"))
        .collect();
    let body = "z".repeat(500);
    let before = scene.growth();
    let mut peer = scene.server.connect();
    for number in 0..400 {
        peer.send(post("/room/deaf", body.as_bytes()));
        assert_eq!(peer.response().status, 200);
        if number % 50 == 49 {
            let each = (scene.growth() - before) / count;
            assert!(
                each < 2 * KIB,
                "{each} bytes for each reader that is behind"
            );
        }
    }
    drop(peer);
    scene.server.wait_for_log(&["connection closed"]);
    let attack = format!("{count} event sources that read nothing");
    let server = scene.end(&attack);
    drop((server, readers));
}

#[test]
fn slow_readers_are_skipped_under_a_flood() {
    const READERS: usize = 100;
    // No more are together in a batch.
    const TOGETHER: usize = 20;
    const BODY_LEN: usize = 500;
    // What a reader is not skipped over is the rest of the frame that it has begun: as much as its send queue may hold,
    // each message with its id.
    const SEND_QUEUE: usize = 256;
    const HELD_MAX: usize = READERS * SEND_QUEUE * (BODY_LEN + 50);
    // They are skipped for as long as the flood takes, on a slow machine too.
    let scene = Scene::start(&[
        "--slow",
        "skip",
        "--send-buffer",
        "16KiB",
        "--write-wait",
        "10m",
        "--send-queue",
        &SEND_QUEUE.to_string(),
    ]);
    let mut sleeping: Vec<(Peer, bool)> = (0..READERS)
        .map(|number| {
            let mut peer = Peer::connect_with_small_buffer(scene.server.addr);
            let is_events = number % 2 == 0;
            if is_events {
                peer = listen_on(peer, "/room/flood");
            } else {
                peer.send(upgrade_v1("/ws/flood"));
                peer.expect_upgrade();
            }
            (peer, is_events)
        })
        .collect();
    let body = "w".repeat(BODY_LEN);
    // 25 MB to each of them.
    for _ in 0..50_000 / TOGETHER {
        let answers = ask_all(
            &scene.server,
            (0..TOGETHER).map(|_| post("/room/flood", body.as_bytes())),
        );
        assert_eq!(answers.get(&200), Some(&TOGETHER));
    }
    assert!(
        scene.growth() < HELD_MAX + 8 * MIB,
        "what is skipped is not kept: {} bytes more",
        scene.growth()
    );
    publish(&scene.server, "/room/flood", b"the end of the flood");
    for (peer, is_events) in &mut sleeping {
        let (mut has_gap, mut is_through) = (false, false);
        while !is_through {
            let text = match is_events {
                true => line(peer),
                false => wait_for_frame(peer, "a message", |received| {
                    Some(String::from_utf8_lossy(&received.payload).into_owned())
                }),
            };
            has_gap |= text
                .lines()
                .any(|line| line.starts_with(":gap ") || line == "event: gap");
            is_through = text.ends_with("the end of the flood");
        }
        assert!(has_gap, "they are told what they missed");
    }
    drop(sleeping);
    scene.end_with(MIB, "100 slow readers that are skipped under a flood");
}

#[test]
fn event_sources_that_talk() {
    let scene = Scene::start(&[]);
    let mut peers: Vec<Peer> = (0..20)
        .map(|_| listen(&scene.server, "/room/talk"))
        .collect();
    let talk = get("/").repeat(2_000);
    for peer in &mut peers {
        peer.send(&talk);
    }
    publish(&scene.server, "/room/talk", b"nothing was answered");
    for peer in &mut peers {
        for expected in [
            ":fresh",
            "retry:",
            "id:",
            "",
            "id:",
            "data: nothing was answered",
        ] {
            let line = line(peer);
            assert!(line.starts_with(expected), "{line}");
        }
    }
    drop(peers);
    eventually("the room is left", || {
        (scene.growth() < 16 * MIB).then_some(())
    });
    scene.end("20 event sources that send 100 KB each");
}
