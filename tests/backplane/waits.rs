//! How long is waited: for connections, for answers, for probes, and before it is tried again.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use fanfare::backplane::{
    ANSWER_WAIT, Line, PROBE_FRESH, READ_BLOCK, Settings, WAIT_MAX, WAIT_MIN,
};

use crate::node::{Node, Told, broker, client, settings};
use crate::wire::{NOTHING, Wire, entries, first_answers, texts};

const MS: Duration = Duration::from_millis(1);

/// The waits between so many attempts that fail.
fn waits(seed: u64, attempts: usize) -> Vec<Duration> {
    let mut broker = broker(1);
    let mut node = Node::new(settings(), seed);
    node.is_reachable = false;
    let mut waits = Vec::new();
    for _ in 0..attempts {
        node.turn(&mut broker, |_| {});
        let due = node.backplane.next_due();
        waits.push(due - node.now);
        node.now = due - MS;
        node.turn(&mut broker, |_| {});
        assert_eq!(node.backplane.next_due(), due, "it is not tried earlier");
        node.now = due;
        node.turn(&mut broker, |_| {});
    }
    waits
}

#[test]
fn waits_grow_to_a_bound_and_differ_between_nodes() {
    let one = waits(1, 12);
    let mut longest = WAIT_MIN;
    for wait in &one {
        assert!(longest / 2 <= *wait && *wait <= longest, "{one:?}");
        longest = (2 * longest).min(WAIT_MAX);
    }
    assert_eq!(one, waits(1, 12));
    assert_ne!(one, waits(2, 12));
}

#[test]
fn waits_start_over_once_a_probe_came_back_and_not_before() {
    for is_proved in [false, true] {
        let mut wire = Wire::up();
        for _ in 0..6 {
            wire.backplane.note_lost(Line::Read, "reset");
            wire.now += WAIT_MAX;
            wire.turn();
            wire.connect();
        }
        if is_proved {
            let node = wire.node();
            // The first probe of the last connection: one was sent on each.
            wire.reply(
                Line::Read,
                &entries(&[("7-1", &["p", &format!("{node} 7")])]),
            );
            assert!(wire.backplane.is_ready());
        }
        wire.backplane.note_lost(Line::Read, "reset");
        let wait = wire.backplane.next_due().min(WAIT_MAX * 2);
        let wait = if wait.is_zero() {
            wire.turn();
            wire.backplane.next_due() - wire.now
        } else {
            wait
        };
        assert_eq!(wait <= WAIT_MIN, is_proved, "{wait:?}");
    }
}

#[test]
fn a_connection_that_is_not_made_in_time_is_given_up() {
    let mut wire = Wire::new(settings());
    assert!(wire.backplane.wants_connection(Line::Append));
    assert_eq!(wire.backplane.next_due(), ANSWER_WAIT);
    wire.now = ANSWER_WAIT - MS;
    wire.turn();
    assert!(!wire.backplane.is_given_up(Line::Append));
    wire.now = ANSWER_WAIT;
    wire.turn();
    assert!(wire.backplane.is_given_up(Line::Append));
    // It is too late now.
    wire.backplane.note_connected(Line::Append);
    assert_eq!(wire.backplane.unsent(Line::Append), b"");
    wire.now += WAIT_MIN;
    wire.turn();
    assert!(wire.backplane.wants_connection(Line::Append));
    assert!(!wire.backplane.is_given_up(Line::Append));
}

#[test]
fn an_answer_that_does_not_come_in_time_ends_the_connections() {
    let mut wire = Wire::up();
    wire.turn();
    wire.now = ANSWER_WAIT - MS;
    assert_eq!(wire.turn(), []);
    wire.now = ANSWER_WAIT;
    assert_eq!(wire.turn(), [Told::Lost]);
}

#[test]
fn a_read_may_take_as_much_longer_as_the_broker_waits_for_entries() {
    let mut wire = Wire::up();
    wire.reply(Line::Append, &first_answers());
    wire.now = ANSWER_WAIT - MS;
    wire.turn();
    wire.now = ANSWER_WAIT + READ_BLOCK - MS;
    assert_eq!(wire.turn(), []);
    wire.now = ANSWER_WAIT + READ_BLOCK;
    assert_eq!(wire.turn(), [Told::Lost]);
}

#[test]
fn an_answer_that_comes_slowly_is_waited_for() {
    let mut wire = Wire::up();
    wire.turn();
    for _ in 0..3 {
        wire.now += ANSWER_WAIT - MS;
        // It never ends.
        wire.reply(Line::Append, b"*1\r\n");
        wire.reply(Line::Read, b"*1\r\n");
        assert!(wire.backplane.is_up());
    }
    wire.now += ANSWER_WAIT - MS;
    assert_eq!(wire.turn(), []);
    wire.now += MS;
    assert_eq!(wire.turn(), [Told::Lost]);
}

#[test]
fn an_idle_node_reads_again_and_again_and_stays_ready() {
    let mut broker = broker(1);
    let mut node = Node::connected(settings(), 1, &mut broker);
    node.take_told();
    let reads = broker.counts["XREAD"];
    node.pass(&mut broker, Duration::from_secs(60));
    assert_eq!(node.take_told(), []);
    assert!(node.backplane.is_ready());
    let reads = broker.counts["XREAD"] - reads;
    assert!((60..90).contains(&reads), "{reads}");
    let heartbeats = broker.counts["heartbeat"];
    assert!((12..15).contains(&heartbeats), "{heartbeats}");
    // Probes do not stay in the stream.
    assert_eq!(broker.len(), 0);
    let lag = node.backplane.stats().lag.unwrap();
    assert!(lag < Duration::from_millis(50), "{lag:?}");
}

#[test]
fn a_node_is_ready_while_probes_come_back() {
    let mut wire = Wire::up();
    let node = wire.node();
    wire.sent(Line::Append);
    wire.reply(Line::Append, &first_answers());
    wire.now += Duration::from_millis(30);
    wire.reply(
        Line::Read,
        &entries(&[("7-1", &["p", &format!("{node} 1")])]),
    );
    assert_eq!(wire.backplane.stats().lag, Some(Duration::from_millis(30)));
    let back_at = wire.now;
    let appended = texts(&["", "0", "1-0"]);
    while wire.now < back_at + PROBE_FRESH {
        assert!(wire.backplane.is_ready());
        wire.now += Duration::from_secs(1);
        // The broker lives, but does not give any entry.
        wire.reply(Line::Read, NOTHING);
        for command in wire.sent(Line::Append) {
            let answer = match command.split(' ').next() {
                Some("EVALSHA") if command.contains("append") => &appended[..],
                Some("EVALSHA") => b"*0\r\n",
                Some("HMGET") => b"*1\r\n$8\r\ngggggggg\r\n",
                _ => b":1\r\n",
            };
            wire.reply(Line::Append, answer);
        }
        assert!(wire.backplane.is_up(), "{:?}", wire.now);
    }
    assert!(wire.backplane.is_ready());
    wire.now += MS;
    wire.turn();
    assert!(wire.backplane.is_up() && !wire.backplane.is_ready());
}

#[test]
fn a_node_that_lost_its_connections_is_not_ready_until_a_probe_comes_back() {
    let mut broker = broker(1);
    let mut node = Node::connected(settings(), 1, &mut broker);
    broker.cut_all();
    node.turn(&mut broker, |_| {});
    assert!(!node.backplane.is_up() && !node.backplane.is_ready());
    node.pass(&mut broker, WAIT_MIN);
    assert!(node.backplane.is_ready());
}

#[test]
fn a_stalled_broker_is_left_and_found_again() {
    let mut broker = broker(1);
    let mut node = Node::connected(settings(), 1, &mut broker);
    broker.stall(true);
    node.turn(&mut broker, |backplane| backplane.say("a", client(1), "1"));
    node.pass(&mut broker, ANSWER_WAIT + READ_BLOCK);
    assert!(node.take_told().contains(&Told::Lost));
    broker.stall(false);
    node.pass(&mut broker, 2 * ANSWER_WAIT);
    assert!(node.backplane.is_ready());
}

thread_local! {
    /// What this thread has logged: tests run beside each other.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct ThreadLog;

impl io::Write for ThreadLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_outage_is_one_line_and_its_end_another_and_the_password_is_in_neither() {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(|| ThreadLog)
        .init();
    let mut broker = broker(1);
    broker.password = Some("other".to_owned());
    let settings = Settings {
        user: Some("somebody".to_owned()),
        password: Some("hunter2".into()),
        ..settings()
    };
    assert!(!format!("{settings:?}").contains("hunter2"));
    let mut node = Node::new(settings, 1);
    node.pass(&mut broker, Duration::from_secs(60));
    assert!(!node.backplane.is_up());
    broker.password = Some("hunter2".to_owned());
    node.pass(&mut broker, Duration::from_secs(10));
    assert!(node.backplane.is_ready());
    broker.cut_all();
    node.pass(&mut broker, Duration::from_secs(10));
    let text = String::from_utf8(LOG.take()).unwrap();
    assert!(
        !text.contains("hunter2") && !text.contains("somebody"),
        "{text}"
    );
    let levels: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    assert_eq!(levels, ["WARN", "INFO", "WARN", "INFO"], "{text}");
    assert!(
        text.contains("broker:6379") && text.contains("WRONGPASS"),
        "{text}"
    );
}
