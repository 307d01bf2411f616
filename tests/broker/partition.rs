//! A node that loses its network: packets vanish, and nobody resets anything. In network namespaces of the tests' own,
//! which take root and `ip`.

use std::io::Write;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::broker::{Broker, Kind};
use crate::common::rooms::{follow, post};
use crate::common::{Server, fanfare_under};
use crate::node::{AWAY, THERE, start_node, status, wait_until_ready, wait_until_unready};
use crate::record::read_on;

/// No answer for 5 s is an outage, of a probe every 5 s at the latest; a read is answered every second.
const NOTICED_WITHIN: Duration = Duration::from_secs(12);

/// A network of its own with two ways out of it: one to the broker, and one to clients.
struct Namespace {
    name: String,
    /// The third byte of the addresses on its two ways.
    subnets: [u32; 2],
}

impl Namespace {
    /// `None`, and a line that cannot be missed, where this may not be done.
    fn make() -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let pid = process::id();
        let first = (pid * 4 + MADE.fetch_add(2, Ordering::Relaxed)) % 254;
        let namespace = Self {
            name: format!("ff{}x{first}", pid % 100_000),
            subnets: [first, first + 1],
        };
        if !ip(&format!("netns add {}", namespace.name)) {
            let line = "\n*** NO NETWORK NAMESPACES HERE: partitions are NOT tested.\n\n";
            // Past the test harness, which would keep it to itself.
            let _ = std::io::stderr().write_all(line.as_bytes());
            return None;
        }
        for way in 0..2 {
            namespace.open(way);
        }
        Some(namespace)
    }

    fn open(&self, way: usize) {
        let (name, [outside, inside]) = (&self.name, self.links(way));
        for command in [
            format!("link add {outside} type veth peer name {inside} netns {name}"),
            format!("addr add {}/30 dev {outside}", self.outside(way)),
            format!("link set {outside} up"),
            format!("-n {name} addr add {}/30 dev {inside}", self.inside(way)),
            format!("-n {name} link set {inside} up"),
        ] {
            assert!(ip(&command), "ip {command}");
        }
    }

    fn links(&self, way: usize) -> [String; 2] {
        ["o", "i"].map(|side| format!("{}{side}{way}", self.name))
    }

    fn outside(&self, way: usize) -> String {
        format!("10.213.{}.1", self.subnets[way])
    }

    fn inside(&self, way: usize) -> String {
        format!("10.213.{}.2", self.subnets[way])
    }

    /// From now on no packet passes between the node and the broker, or all do.
    fn set_way_to_broker(&self, state: &str) {
        let [outside, _] = self.links(0);
        assert!(ip(&format!("link set {outside} {state}")));
    }

    /// A node in there. Its broker listens on all addresses.
    fn start_node(&self, broker: &Broker) -> Server {
        let mut command = fanfare_under("ip", &["netns", "exec", &self.name]);
        let broker = format!("redis://{}:{}", self.outside(0), broker.addr().port());
        command
            .args(["--addr", &format!("{}:0", self.inside(1))])
            .args(["--backplane", &broker, "--backplane-wait", "1s"]);
        Server::spawn(command)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The links go with it.
        ip(&format!("netns del {}", self.name));
    }
}

/// Whether `ip` did this.
fn ip(arguments: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(arguments.split(' ')).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A broker that is reached from everywhere, and a network.
fn broker_and_namespace() -> Option<(Broker, Namespace)> {
    let everywhere = ["--bind", "0.0.0.0", "--protected-mode", "no"];
    let broker = Broker::start_with(Kind::Memory, &everywhere)?;
    Some((broker, Namespace::make()?))
}

#[test]
fn a_node_without_a_network_notices_it_tells_it_once_and_heals_by_itself() {
    let Some((broker, namespace)) = broker_and_namespace() else {
        return;
    };
    let near = start_node(broker.addr(), &[]);
    let mut far = namespace.start_node(&broker);
    wait_until_ready(&far);
    let mut reader = far.listen_v1("/ws/a");
    reader.expect_fresh();
    let mut others = near.listen_v1("/ws/a?here=1");
    others.expect_fresh();
    while others.line() != ":here 2" {}
    let first = far.publish("/room/a", "before");
    reader.expect(&[format!("{first} before")]);

    namespace.set_way_to_broker("down");
    let cut_at = Instant::now();
    far.expect_error(post("/room/a", "into the void"), 503);
    wait_until_unready(&far);
    let took = cut_at.elapsed();
    assert!(took <= NOTICED_WITHIN, "{took:?}");
    assert_eq!(status(far.connect(), "/healthz"), 200);
    let missed: Vec<_> = (0..10)
        .map(|number| near.publish("/room/a", &format!("missed {number}")))
        .collect();
    // The node is not there any more, though it lives.
    while others.line() != ":here 1" {}
    assert!(cut_at.elapsed() < Duration::from_secs(20));

    namespace.set_way_to_broker("up");
    wait_until_ready(&far);
    // What was on its way when it was given up does not arrive afterwards.
    let lines = read_on(&mut reader, "missed 9");
    assert_eq!(follow(first, &lines), (missed[9].clone(), 0));
    let last = far.publish("/room/a", "after");
    reader.expect(&[format!("{last} after")]);
    while others.line() != ":here 2" {}
    far.signal("TERM");
    assert_eq!(far.wait_for_exit().code(), Some(0));
    let (_, log) = far.output();
    let count = |part| log.iter().filter(|line| line.contains(part)).count();
    assert_eq!([count(AWAY), count(THERE)], [1, 2], "{log:?}");
}

#[test]
fn a_node_that_starts_without_a_network_waits_for_it() {
    let Some((broker, namespace)) = broker_and_namespace() else {
        return;
    };
    namespace.set_way_to_broker("down");
    let node = namespace.start_node(&broker);
    node.wait_for_log(&["WARN", AWAY]);
    let mut reader = node.listen_v1("/ws/a");
    namespace.set_way_to_broker("up");
    wait_until_ready(&node);
    reader.expect_fresh();
    let id = node.publish("/room/a", "hello");
    reader.expect(&[format!("{id} hello")]);
}
