//! Three nodes under load, one of which is killed, and a broker that is killed and started again: what was
//! acknowledged is counted, and what of it was lost or came twice.

mod crowd;
mod publishers;

use std::collections::{HashMap, HashSet};
use std::env;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::broker::{Broker, Kind};
use crate::common::rooms::Id;
use crate::node::{publish_surely, start_node, wait_until_ready};
use crate::record::LAST;
use crowd::{Crowd, Told};
use publishers::Acknowledged;

const READERS: usize = 999;
const ROOMS: usize = 48;
/// For this long it is published, in seconds, where the environment does not say otherwise.
const SECONDS: u64 = 10;

/// The nodes that live, of which clients pick one.
#[derive(Debug, Default)]
struct Nodes(Mutex<Vec<SocketAddr>>);

impl Nodes {
    fn all(&self) -> Vec<SocketAddr> {
        let addrs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        addrs.clone()
    }

    fn pick(&self, number: usize) -> SocketAddr {
        let addrs = self.all();
        addrs[number % addrs.len()]
    }

    /// Nobody comes to it any more.
    fn remove(&self, addr: SocketAddr) {
        let mut addrs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        addrs.retain(|it| *it != addr);
    }
}

fn room(number: usize) -> String {
    format!("r{}", number % ROOMS)
}

fn seconds() -> u64 {
    let seconds = env::var("FANFARE_LOAD_SECONDS").ok();
    seconds.map_or(SECONDS, |it| it.parse().expect("a number of seconds"))
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_under_load_while_a_node_and_the_broker_are_killed() {
    let Some(mut broker) = Broker::start(Kind::AppendOnly) else {
        return;
    };
    let mut servers: Vec<_> = (0..3).map(|_| start_node(broker.addr(), QUIET)).collect();
    let nodes = Nodes::default();
    *nodes.0.lock().expect("nobody failed") = servers.iter().map(|it| it.addr).collect();
    let duration = Duration::from_secs(seconds());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let crowd = Crowd::join(scope, &nodes);
        let begun = Instant::now();
        let publishers = publishers::start(scope, &nodes, &is_over);
        thread::sleep(duration.mul_f64(0.3));
        broker.kill();
        broker.start_again();
        thread::sleep(duration.mul_f64(0.3));
        let killed = servers.pop().expect("there are three");
        nodes.remove(killed.addr);
        // Who has picked it already is let in, and then loses the connection.
        thread::sleep(Duration::from_millis(300));
        drop(killed);
        thread::sleep(duration.mul_f64(0.4));
        is_over.store(true, Ordering::Relaxed);
        let mut acknowledged = publishers.end();
        let took = begun.elapsed();
        servers.iter().for_each(wait_until_ready);
        for number in 0..ROOMS {
            let (room, key) = (room(number), format!("last-{number}"));
            let path = format!("/room/{room}");
            let text = format!("{room} {LAST}");
            let id = publish_surely(&nodes.all(), &path, &key, &text);
            acknowledged.push((room, id, text));
        }
        let told = crowd.end();
        check(&acknowledged, &told, took);
    });
}

/// A line of the log for each of a thousand clients tells nothing.
const QUIET: &[&str] = &["--log", "info"];

/// All readers of a room were told the same, and in it is what was acknowledged.
fn check(acknowledged: &Acknowledged, told: &[Told], took: Duration) {
    let mut rooms: HashMap<&str, &Vec<(Id, String)>> = HashMap::new();
    let (mut deliveries, mut resumed) = (0, 0);
    for told in told {
        let first = rooms.entry(&told.room).or_insert(&told.messages);
        assert_eq!(*first, &told.messages, "{} is told differently", told.room);
        deliveries += told.messages.len();
        resumed += told.resumed;
    }
    let (mut lost, mut doubled, mut messages) = (0, 0, 0);
    let mut ids: HashMap<(&str, &str), &Id> = HashMap::new();
    for (room, all) in &rooms {
        messages += all.len();
        check_own_order(all);
        for (id, text) in *all {
            let is_new = ids.insert((room, text), id).is_none();
            doubled += usize::from(!is_new);
        }
    }
    for (room, id, text) in acknowledged {
        lost += usize::from(ids.get(&(&**room, &**text)) != Some(&id));
    }
    let figures = format!(
        "\nload: {} readers on 3 nodes, {} rooms, {:.1} s: {} messages acknowledged ({:.0}/s), {messages} told, \
         {deliveries} deliveries; {resumed} resumed; {lost} lost, {doubled} twice\n",
        told.len(),
        rooms.len(),
        took.as_secs_f64(),
        acknowledged.len(),
        acknowledged.len() as f64 / took.as_secs_f64(),
    );
    // Past the test harness, which would keep it to itself.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), figures.as_bytes());
    assert_eq!((lost, doubled), (0, 0));
    assert_eq!((told.len(), rooms.len()), (READERS, ROOMS));
    // Those of the node that was killed.
    assert!(resumed >= READERS / 4, "{resumed} resumed");
}

/// What one publisher has published comes in its order.
fn check_own_order(messages: &[(Id, String)]) {
    let mut last: HashMap<&str, usize> = HashMap::new();
    let mut seen = HashSet::new();
    for (id, text) in messages {
        assert!(seen.insert(id.seq), "{id} comes twice");
        let mut words = text.split(' ');
        if let (Some(publisher), Some(Ok(number))) =
            (words.next(), words.next().map(str::parse::<usize>))
        {
            let before = last.insert(publisher, number);
            assert!(
                before.is_none_or(|it| it < number),
                "{text} is behind {before:?}"
            );
        }
    }
}
