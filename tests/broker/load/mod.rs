//! Several nodes under load while something fails: what was acknowledged is counted, and what of it was lost or came
//! twice.

mod chaos;
mod crowd;
mod kills;
mod publishers;

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, io};

use crate::common::Server;
use crate::common::rooms::Id;
use crate::node::publish_surely;
use crate::record::LAST;
use crowd::{Crowd, Told};
use publishers::Acknowledged;

const ROOMS: usize = 48;
/// For this long it is published, in seconds, where the environment does not say otherwise.
const SECONDS: u64 = 10;
/// A line of the log for each of a thousand clients tells nothing.
const QUIET: &[&str] = &["--log", "info", "--backplane-wait", "5s"];

/// The nodes that live, of which clients pick one.
#[derive(Debug, Default)]
struct Nodes(Mutex<Vec<SocketAddr>>);

impl Nodes {
    fn of(servers: &[Server]) -> Self {
        Self(Mutex::new(servers.iter().map(|it| it.addr).collect()))
    }

    fn addrs(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pick(&self, number: usize) -> SocketAddr {
        let addrs = self.addrs();
        addrs[number % addrs.len()]
    }

    fn add(&self, node: &Server) {
        self.addrs().push(node.addr);
    }

    /// Kills a node, to which nobody comes any more.
    fn kill(&self, node: Server) {
        self.addrs().retain(|it| *it != node.addr);
        // Who has picked it already is let in, and then loses the connection.
        thread::sleep(Duration::from_millis(300));
        drop(node);
    }
}

fn room(number: usize) -> String {
    format!("r{}", number % ROOMS)
}

/// One load at a time is enough for a machine.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn duration() -> Duration {
    let seconds = env::var("FANFARE_LOAD_SECONDS").ok();
    let seconds = seconds.map_or(SECONDS, |it| it.parse().expect("a number of seconds"));
    Duration::from_secs(seconds)
}

/// Publishes from all sides to so many readers while this is done, and checks what they were told. How often readers came
/// back.
fn under_load(nodes: &Nodes, readers: usize, act: impl FnOnce()) -> usize {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let crowd = Crowd::join(scope, nodes, readers);
        let begun = Instant::now();
        let publishers = publishers::start(scope, nodes, &is_over);
        act();
        is_over.store(true, Ordering::Relaxed);
        let mut acknowledged = publishers.end();
        let took = begun.elapsed();
        for number in 0..ROOMS {
            let (room, key) = (room(number), format!("last-{number}"));
            let path = format!("/room/{room}");
            let text = format!("{room} {LAST}");
            let addrs = nodes.addrs().clone();
            let id = publish_surely(&addrs, &path, &key, &text);
            acknowledged.push((room, id, text));
        }
        let told = crowd.end();
        assert_eq!(told.len(), readers);
        check(&acknowledged, &told, took)
    })
}

/// All readers of a room were told the same, and in it is what was acknowledged. How often readers came back.
fn check(acknowledged: &Acknowledged, told: &[Told], took: Duration) -> usize {
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
        "\nload: {} readers, {} rooms, {:.1} s: {} messages acknowledged ({:.0}/s), {messages} told, \
         {deliveries} deliveries; {resumed} resumed; {lost} lost, {doubled} twice\n",
        told.len(),
        rooms.len(),
        took.as_secs_f64(),
        acknowledged.len(),
        acknowledged.len() as f64 / took.as_secs_f64(),
    );
    // Past the test harness, which would keep it to itself.
    let _ = io::stderr().write_all(figures.as_bytes());
    assert_eq!((lost, doubled), (0, 0));
    assert_eq!(rooms.len(), ROOMS);
    resumed
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
