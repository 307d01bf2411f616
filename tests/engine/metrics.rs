//! What a scrape tells is what happened. That bytes, clients and closes are counted as they are is checked after every
//! turn of every test here and in the simulation: see `World::turn`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::openmetrics::{Exposition, parse};
use crate::world::listener::{Kind, Listener};
use crate::world::publisher::Post;
use crate::world::{Peer, World, find, masked_frame};
use fanfare::config::{Config, SlowPolicy};
use fanfare::observe::exposition::{Snapshot, State};
use fanfare::observe::{BackplaneFigures, CompressionCounts, Metrics};

const SCRAPE: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";

/// The names of all metrics.
pub(crate) const NAMES: [&str; 32] = [
    "fanfare_accept_failures_total",
    "fanfare_accepted_connections_total",
    "fanfare_build_info",
    "fanfare_clients",
    "fanfare_closes_total",
    "fanfare_deflate_input_bytes_total",
    "fanfare_deflate_output_bytes_total",
    "fanfare_deliveries_total",
    "fanfare_history_bytes",
    "fanfare_joins_total",
    "fanfare_max_clients",
    "fanfare_max_history_bytes",
    "fanfare_max_queued_bytes",
    "fanfare_max_rooms",
    "fanfare_messages_total",
    "fanfare_queued_bytes",
    "fanfare_rate_warnings_total",
    "fanfare_refusals_total",
    "fanfare_replayed_messages_total",
    "fanfare_resumes_total",
    "fanfare_rooms",
    "fanfare_sent_bytes_total",
    "fanfare_skipped_messages_total",
    "fanfare_turn_seconds_bucket",
    "fanfare_turn_seconds_count",
    "fanfare_turn_seconds_sum",
    "fanfare_turned_away_connections_total",
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
];

/// The names of those that a node of several has besides.
pub(crate) const BACKPLANE_NAMES: [&str; 8] = [
    "fanfare_backplane_append_seconds_bucket",
    "fanfare_backplane_append_seconds_count",
    "fanfare_backplane_append_seconds_sum",
    "fanfare_backplane_appends_total",
    "fanfare_backplane_lag_seconds",
    "fanfare_backplane_ready",
    "fanfare_backplane_reconnects_total",
    "fanfare_backplane_up",
];

/// Takes one whole answer: its head and its body.
fn take_answer(peer: &Peer) -> (String, String) {
    let bytes = peer.socket().outbound.clone();
    let end = find(&bytes, b"\r\n\r\n").expect("an answer") + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut fields = head.lines();
    let len = fields.find_map(|line| line.strip_prefix("Content-Length: "));
    let len: usize = len.unwrap().parse().unwrap();
    let body = String::from_utf8(bytes[end..end + len].to_vec()).unwrap();
    peer.take_up_to(end + len);
    (head, body)
}

fn scrape(world: &mut World) -> Exposition {
    let text = scrape_text(world);
    parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What a connection of its own is told.
pub(crate) fn scrape_text(world: &mut World) -> String {
    let admin = world.connect_admin();
    admin.send(SCRAPE);
    world.settle();
    let (_, text) = take_answer(&admin);
    admin.shut();
    world.settle();
    text
}

/// What a node with these figures is told, if it appended two entries and has no clients.
pub(crate) fn node_text(figures: BackplaneFigures) -> String {
    let mut metrics = Metrics::default();
    metrics.count_appends([100, 10_000_001].map(Duration::from_micros));
    let snapshot = Snapshot {
        metrics,
        state: State {
            max_clients: 1,
            rooms: 0,
            max_rooms: 1,
            queued_len: 0,
            max_queued: 1,
            history_len: 0,
            max_history: 1,
        },
        compression: CompressionCounts::default(),
        backplane: Some(figures),
        process: None,
    };
    snapshot.into_text()
}

/// A node that has all figures there are.
pub(crate) const FIGURES: BackplaneFigures = BackplaneFigures {
    up: true,
    ready: false,
    lag: Some(Duration::from_millis(2)),
    appends: 3,
    reconnects: 4,
};

/// A listener whose first line has come.
fn listen(world: &mut World, kind: Kind, query: &str) -> Listener {
    let mut listener = world.listen(kind, "", query);
    world.settle();
    listener.take();
    listener
}

#[test]
fn a_scrape_is_strict_openmetrics_with_all_names_and_a_head_has_no_body() {
    let mut world = World::with(|_| {});
    let admin = world.connect_admin();
    admin.send(SCRAPE);
    world.settle();
    let (head, text) = take_answer(&admin);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for field in [
        "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n",
        "Cache-Control: no-store\r\n",
    ] {
        assert!(head.contains(field), "{head}");
    }
    let told = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    if cfg!(target_os = "linux") {
        assert_eq!(told.names(), BTreeSet::from(NAMES));
    }
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("fanfare_build_info{{version=\"{version}\"}}");
    assert_eq!(told.value(&build), 1.0);

    // The connection is kept, for the next scrape.
    admin.send(b"HEAD /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    world.settle();
    let answer = String::from_utf8(admin.take()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    admin.shut();
    world.settle();
    assert!(admin.is_closed());
}

#[test]
fn of_many_scrapes_at_once_each_turn_answers_one() {
    let mut world = World::with(|_| {});
    let admin = world.connect_admin();
    admin.send(&SCRAPE.repeat(50));
    for _ in 0..50 {
        world.turn();
        let (_, text) = take_answer(&admin);
        assert!(parse(&text).is_ok());
        assert!(admin.take().is_empty(), "one answer a turn");
    }
    world.settle();
    assert_eq!(admin.take(), b"");
    assert_eq!(world.engine.queued_len(), 0);
}

#[test]
fn scrapes_that_nobody_takes_are_bounded() {
    let mut world = World::with(|_| {});
    let admin = world.connect_admin();
    admin.set_room(0);
    for _ in 0..300 {
        admin.send(SCRAPE);
        world.turn();
    }
    assert!(world.engine.queued_len() < 256 * 1024);
    admin.set_room(usize::MAX);
    world.settle();
    for _ in 0..300 {
        let (_, text) = take_answer(&admin);
        assert!(parse(&text).is_ok());
    }
}

#[test]
fn the_counters_are_told_when_nobody_else_is_read_from() {
    let mut world = World::with(|config| {
        config.chat.max_queued = 4 * config.chat.max_message;
        config.chat.send_queue = 1;
    });
    // Each of these is a batch, and so a turn's work.
    let flood = world.join();
    flood.send(&masked_frame(0x81, &[b'x'; 100]).repeat(50));
    world.turn();
    let other = world.connect();
    other.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    let admin = world.connect_admin();
    admin.send(SCRAPE);
    world.turn();
    let (_, text) = take_answer(&admin);
    let told = parse(&text).unwrap();
    assert!(told.value("fanfare_queued_bytes") > told.value("fanfare_max_queued_bytes"));
    assert_eq!(other.take(), b"");
}

#[test]
fn clients_are_counted_by_transport_until_they_are_gone() {
    let mut world = World::with(|config| config.chat.echo = true);
    let expect = |world: &mut World, websocket: f64, sse: f64, http: f64| {
        // Those who operate the server are accepted first.
        world.settle();
        let told = scrape(world);
        let of = |transport| told.value(&format!("fanfare_clients{{transport=\"{transport}\"}}"));
        // The one that asks is a client too.
        let all = (of("websocket"), of("sse"), of("http"));
        assert_eq!(all, (websocket, sse, http + 1.0));
    };
    let http = world.connect();
    expect(&mut world, 0.0, 0.0, 1.0);
    let member = world.join();
    let echo = world.connect();
    let upgrade = String::from_utf8(crate::world::UPGRADE.to_vec()).unwrap();
    echo.send(upgrade.replace("/ws", "/echo").as_bytes());
    let events = world.listen(Kind::Events, "", "");
    expect(&mut world, 2.0, 1.0, 1.0);
    // One that has still to take its close frame is there.
    member.set_room(0);
    member.send(&masked_frame(0x88, &1000_u16.to_be_bytes()));
    expect(&mut world, 2.0, 1.0, 1.0);
    member.set_room(usize::MAX);
    member.shut();
    world.settle();
    expect(&mut world, 1.0, 1.0, 1.0);
    echo.reset();
    events.peer.reset();
    http.shut();
    world.settle();
    expect(&mut world, 0.0, 0.0, 0.0);
    let told = scrape(&mut world);
    assert_eq!(told.value("fanfare_closes_total{reason=\"broken\"}"), 2.0);
    assert_eq!(
        told.value("fanfare_closes_total{reason=\"peer_closed\"}"),
        1.0
    );
}

#[test]
fn each_delivery_is_counted_and_nobody_for_what_was_said_before_it_came() {
    for kind in Kind::ALL {
        let mut world = World::with(|_| {});
        let speaker = world.join();
        let mut listener = listen(&mut world, kind, "");
        // In one turn: a message, one more listener, a message, and one listener less.
        speaker.say("before");
        world.turn();
        let mut joiner = world.listen(kind, "", "");
        let second = world.join();
        speaker.say("one");
        joiner.peer.send(b"");
        let mut late = world.listen(kind, "", "");
        second.say("two");
        second.send(&masked_frame(0x88, &1000_u16.to_be_bytes()));
        world.settle();
        let received = [&mut listener, &mut joiner, &mut late];
        let received = received.map(|listener| listener.take_texts().len());
        let spoken = speaker.take_lines().len() + second.take_lines().len();
        let all = received.iter().sum::<usize>() + spoken;
        assert!(all > 6, "{kind:?}");
        let told = scrape(&mut world);
        assert_eq!(
            told.value("fanfare_deliveries_total"),
            all as f64,
            "{kind:?}"
        );
        assert_eq!(told.value("fanfare_messages_total{via=\"websocket\"}"), 3.0);
    }
}

#[test]
fn what_is_compressed_is_counted_once_for_all_readers_before_and_after() {
    let mut world = World::with(|config| config.compression.deflate = true);
    let readers = [0; 3].map(|_| listen(&mut world, Kind::DeflatedLines(15), ""));
    listen(&mut world, Kind::Lines, "");
    let compressed = |world: &mut World| {
        let told = scrape(world);
        let of = |end| told.value(&format!("fanfare_deflate_{end}_bytes_total"));
        (of("input"), of("output"))
    };
    let text = "{\"kind\":\"tick\"}".repeat(20);
    world.post(&Post::new("", &text));
    let frames = readers.each_ref().map(|reader| reader.peer.take());
    let [first, len, payload @ ..] = &frames[0][..] else {
        panic!("nothing came");
    };
    assert_eq!((*first, usize::from(*len)), (0xc1, payload.len()));
    assert!(frames.iter().all(|frame| *frame == frames[0]));
    let expected = (text.len() as f64, payload.len() as f64);
    assert_eq!(compressed(&mut world), expected);
    // Too short to be compressed.
    world.post(&Post::new("", "hello"));
    assert_eq!(compressed(&mut world), expected);
}

#[test]
fn publications_by_request_are_counted_as_such_and_a_repetition_is_none() {
    let mut world = World::with(|_| {});
    let mut listener = listen(&mut world, Kind::Events, "");
    let lines = ["a", "b", "c"].map(ToOwned::to_owned);
    let mut post = Post::lines("", &lines);
    post.key = Some("k".to_owned());
    world.post(&post);
    world.post(&post);
    world.post(&Post::new("", "d"));
    assert_eq!(listener.take_texts(), ["a", "b", "c", "d"]);
    let told = scrape(&mut world);
    assert_eq!(told.value("fanfare_messages_total{via=\"http\"}"), 4.0);
    assert_eq!(told.value("fanfare_messages_total{via=\"websocket\"}"), 0.0);
    assert_eq!(told.value("fanfare_deliveries_total"), 4.0);
    assert_eq!(told.value("fanfare_rooms"), 1.0);
    assert!(told.value("fanfare_history_bytes") > 0.0);
}

#[test]
fn resumes_are_counted_by_their_answer_and_what_they_replay() {
    let mut world = World::with(|config| config.rooms.history = 3);
    let (_, first) = world.post(&Post::new("", "1"));
    for text in ["2", "3", "4", "5"] {
        world.post(&Post::new("", text));
    }
    let after = |seq: u64| first.replace("-1", &format!("-{seq}"));
    let mut replayed = 0;
    for (query, count) in [
        (String::new(), 0),
        ("last=2".to_owned(), 2),
        (format!("since={}", after(5)), 0),
        (format!("since={}", after(3)), 2),
        (format!("since={}", after(1)), 3),
        (format!("since={}&last=1", after(0)), 1),
        (format!("since={}", after(6)), 3),
        ("since=zzzzzzzz-3&last=2".to_owned(), 2),
        ("since=zzzzzzzz-0&last=0".to_owned(), 0),
    ] {
        let mut listener = world.listen(Kind::NumberedLines, "", &query);
        world.settle();
        assert_eq!(listener.take_texts().len(), count, "{query}");
        replayed += count;
    }
    let told = scrape(&mut world);
    let of = |answer| told.value(&format!("fanfare_resumes_total{{answer=\"{answer}\"}}"));
    assert_eq!((of("resumed"), of("gap"), of("unknown")), (2.0, 2.0, 3.0));
    assert_eq!(
        told.value("fanfare_replayed_messages_total"),
        replayed as f64
    );
    assert_eq!(told.value("fanfare_joins_total"), 9.0);
    assert_eq!(told.value("fanfare_deliveries_total"), 0.0);
}

#[test]
fn what_is_skipped_is_counted_as_the_gaps_say() {
    let mut world = World::with(|config| {
        config.chat.send_queue = 4;
        config.chat.slow = SlowPolicy::Skip;
    });
    let mut slow: Vec<Listener> = Kind::WITH_IDS
        .map(|kind| listen(&mut world, kind, ""))
        .into();
    let mut skipped = 0.0;
    for round in 0..3 {
        for listener in &slow {
            listener.peer.set_room(30 * round);
        }
        for number in 0..13 {
            world.post(&Post::new("", &number.to_string()));
        }
        for listener in &mut slow {
            listener.peer.set_room(usize::MAX);
            world.settle();
            for item in listener.take() {
                if let crate::world::listener::Item::Gap(_, count) = item {
                    skipped += count.unwrap() as f64;
                }
            }
        }
    }
    assert!(skipped > 20.0);
    let told = scrape(&mut world);
    assert_eq!(told.value("fanfare_skipped_messages_total"), skipped);
}

#[test]
fn each_refusal_is_counted_by_its_reason() {
    let mut world = World::with_limit(Config::default(), 3);
    let refused = |world: &mut World, request: &str| {
        let peer = world.connect();
        peer.send(request.as_bytes());
        world.settle();
        peer.shut();
        world.settle();
        assert!(peer.is_closed(), "{request}");
    };
    refused(&mut world, "nonsense\r\n\r\n");
    refused(&mut world, "\x16\x03");
    refused(&mut world, "GET /ws?since=x HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(&mut world, "GET / HTTP/1.1\r\n\r\n");
    refused(&mut world, "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n");
    refused(&mut world, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
    world.post(&Post::new("", " "));
    world.post(&Post::new("", " "));
    world.post(&Post::new("", &"x".repeat(513)));
    // All seats are taken.
    let members = [(); 3].map(|()| world.join());
    refused(&mut world, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    members[0].shut();
    world.settle();
    let told = scrape(&mut world);
    let expected = [
        ("malformed", 1.0),
        ("not_http", 1.0),
        ("bad_id", 1.0),
        ("missing_host", 1.0),
        ("no_upgrade", 1.0),
        ("empty_message", 2.0),
        ("message_too_large", 1.0),
        ("too_many_clients", 1.0),
    ];
    for (reason, count) in expected {
        let sample = format!("fanfare_refusals_total{{reason=\"{reason}\"}}");
        assert_eq!(told.value(&sample), count, "{reason}");
    }
    let all: f64 = expected.iter().map(|(_, count)| count).sum();
    assert_eq!(told.sum("fanfare_refusals_total"), all);
    assert_eq!(told.value("fanfare_max_clients"), 3.0);
}

#[test]
fn a_node_tells_of_its_backplane_and_a_lag_once_there_is_one() {
    let is_of_backplane = |name: &&str| name.starts_with("fanfare_backplane_");
    let told = parse(&node_text(FIGURES)).unwrap();
    let names: BTreeSet<_> = told.names().into_iter().filter(is_of_backplane).collect();
    assert_eq!(names, BTreeSet::from(BACKPLANE_NAMES));
    for (name, value) in [
        ("up", 1.0),
        ("ready", 0.0),
        ("lag_seconds", 0.002),
        ("appends_total", 3.0),
        ("reconnects_total", 4.0),
        ("append_seconds_bucket{le=\"0.00005\"}", 0.0),
        ("append_seconds_bucket{le=\"0.0001\"}", 1.0),
        ("append_seconds_bucket{le=\"10.0\"}", 1.0),
        ("append_seconds_bucket{le=\"+Inf\"}", 2.0),
        ("append_seconds_sum", 10.000101),
    ] {
        let sample = format!("fanfare_backplane_{name}");
        assert_eq!(told.value(&sample), value, "{name}");
    }
    let figures = BackplaneFigures {
        lag: None,
        ..FIGURES
    };
    let told = parse(&node_text(figures)).unwrap();
    assert!(!told.names().contains("fanfare_backplane_lag_seconds"));
}

#[test]
fn turns_are_counted_by_the_time_that_the_loop_says() {
    let mut world = World::with(|_| {});
    for micros in [10, 60, 3_000_000] {
        world.engine.note_turn(Duration::from_micros(micros));
    }
    let told = scrape(&mut world);
    let bucket = |bound| told.value(&format!("fanfare_turn_seconds_bucket{{le=\"{bound}\"}}"));
    assert_eq!(
        (bucket("0.0001"), bucket("1.0"), bucket("+Inf")),
        (2.0, 2.0, 3.0)
    );
    assert_eq!(told.value("fanfare_turn_seconds_sum"), 3.00007);
}

#[test]
fn a_connection_that_failed_before_it_was_accepted_is_counted() {
    let mut world = World::with(|_| {});
    let error = std::io::ErrorKind::ConnectionAborted.into();
    world.network.backlog.push_back(Err(error));
    world.join();
    let told = scrape(&mut world);
    assert_eq!(told.value("fanfare_accept_failures_total"), 1.0);
    assert_eq!(told.value("fanfare_accepted_connections_total"), 2.0);
}
