//! A replica takes over from a primary that had not passed everything on: what is lost is told, and no id is given to
//! another message.

use crate::broker::{Broker, Kind};
use crate::common::eventually;
use crate::common::rooms::{Id, Listener, post};
use crate::common::{Peer, Server};
use crate::node::{publish_surely, start_node, wait_until_ready, wait_until_unready};
use crate::proxy::{Fate, Proxy, Towards};
use crate::record::{LAST, Record, message, read_on};

/// A primary, its replica, and the ways to them.
pub(crate) struct Pair {
    pub(crate) primary: Broker,
    replica: Broker,
    /// The address that nodes have, which leads to the primary.
    pub(crate) front: Proxy,
    /// What the replica reads the primary by.
    pub(crate) replication: Proxy,
}

impl Pair {
    pub(crate) fn start(kind: Kind) -> Option<Self> {
        let primary = Broker::start(kind)?;
        let front = Proxy::to(primary.addr());
        Some(Self::of(primary, front))
    }

    /// A replica of this primary.
    fn of(primary: Broker, front: Proxy) -> Self {
        let replication = Proxy::to(primary.addr());
        let of = format!("127.0.0.1 {}", replication.addr().port());
        let replica = Broker::start_with(primary.kind(), &["--replicaof", &of]);
        let pair = Self {
            front,
            replica: replica.expect("it is installed"),
            replication,
            primary,
        };
        // A replica answers at once, and is one when it has read all.
        eventually("the replica is in step", || {
            let about = pair.replica.connect().ask(&["INFO", "replication"]);
            about.text().contains("master_link_status:up").then_some(())
        });
        pair
    }

    /// The replica, which has taken over, gets a replica of its own.
    pub(crate) fn renew(mut self) -> Self {
        // That it was a replica, first of all.
        self.replica.forget_settings();
        Self::of(self.replica, self.front)
    }

    /// Waits until the replica has all that the primary has.
    fn wait_for_replica(&self) {
        let offset = || {
            let about = self.primary.connect().ask(&["INFO", "replication"]);
            let number = |name| {
                let line = about.text().lines().find(|line| line.contains(name));
                let line = line.expect("it is told").to_owned();
                let digits = line.rsplit(['=', ':']).next().expect("a number").to_owned();
                digits.parse::<u64>().expect(&line)
            };
            let replica = about
                .text()
                .lines()
                .find(|line| line.starts_with("slave0:"));
            let replica = replica.expect("there is a replica").to_owned();
            let taken = replica.split(',').find_map(|it| it.strip_prefix("offset="));
            let taken: u64 = taken.expect("it is told").parse().expect("a number");
            taken >= number("master_repl_offset:")
        };
        eventually("the replica has all", || offset().then_some(()));
    }

    /// The primary is no more, and the replica takes its place and its address.
    pub(crate) fn fail_over(&mut self) {
        self.primary.kill();
        self.promote();
    }

    /// The replica takes the primary's place, whatever became of it.
    fn promote(&self) {
        self.replica.connect().ask(&["REPLICAOF", "NO", "ONE"]);
        self.front.lead_to(self.replica.addr());
        self.front.cut();
    }
}

fn begun(node: &Server) -> [Listener; 2] {
    let mut readers = node.listen_both("/a");
    for reader in &mut readers {
        reader.expect_fresh();
    }
    readers
}

fn publish(node: &Server, texts: &str, count: usize) -> Vec<Id> {
    let publish = |number| node.publish("/room/a", &format!("{texts} {number}"));
    (1..=count).map(publish).collect()
}

/// Kept or not: a replica's own file knows nothing of what was not passed on.
#[test]
fn what_a_failover_loses_is_told_and_no_id_is_given_twice() {
    for kind in [Kind::Memory, Kind::AppendOnly] {
        let Some(mut pair) = Pair::start(kind) else {
            return;
        };
        let nodes = [(); 2].map(|()| start_node(pair.front.addr(), &[]));
        let mut readers: Vec<_> = nodes.iter().flat_map(begun).collect();
        let mut plain: Vec<Peer> = nodes
            .iter()
            .map(|node| node.connect().upgraded("/ws/a"))
            .collect();
        let kept = publish(&nodes[0], "kept", 20);
        pair.wait_for_replica();
        pair.replication.set(Towards::Node, Fate::Stalled);
        publish(&nodes[1], "lost", 10);
        let mut lines: Vec<Vec<String>> = readers
            .iter_mut()
            .map(|reader| read_on(reader, "lost 10"))
            .collect();
        pair.fail_over();
        let addrs = nodes.each_ref().map(|node| node.addr);
        publish_surely(&addrs, "/room/a", "k1", "after the failover");
        let last = publish_surely(&addrs, "/room/a", "k2", LAST);
        assert_ne!(last.epoch, kept[0].epoch);
        for (reader, lines) in readers.iter_mut().zip(&mut lines) {
            assert_eq!(reader.line(), format!(":gap {} ?", last.at(0)));
            lines.extend(read_on(reader, LAST));
        }
        for peer in &mut plain {
            peer.hear_lines(30);
            peer.expect_close(1013);
        }
        for node in &nodes {
            for since in [&kept[3], &kept[19].at(25), &kept[0].at(31)] {
                let mut reader = node.listen_v1(&format!("/ws/a?since={since}"));
                let line = reader.line();
                assert_eq!(line, format!(":gap {} ?", last.at(0)), "since {since}");
                let told = read_on(&mut reader, LAST);
                lines.push(told);
            }
        }
        // The next one starts with what the new primary has, which is filled under the old ids.
        let late = start_node(pair.front.addr(), &[]);
        let mut reader = late.listen_v1("/ws/a?last=100");
        reader.expect_fresh();
        lines.push(read_on(&mut reader, LAST));
        let mut record = Record::default();
        lines.iter().for_each(|lines| record.add(lines));
        assert_eq!(record.len(), 32);
    }
}

/// Where nothing is lost it is told all the same, since nobody can know.
#[test]
fn a_replica_that_was_in_step_begins_anew_all_the_same() {
    let Some(mut pair) = Pair::start(Kind::Memory) else {
        return;
    };
    let node = start_node(pair.front.addr(), &[]);
    let mut readers = begun(&node);
    let before = publish(&node, "kept", 3);
    for reader in &mut readers {
        read_on(reader, "kept 3");
    }
    pair.wait_for_replica();
    pair.fail_over();
    // Nobody publishes, and it is told.
    for reader in &mut readers {
        let line = reader.line();
        assert!(
            line.starts_with(":gap ") && line.ends_with("-0 ?"),
            "{line}"
        );
        assert!(!line.contains(&before[0].epoch), "{line}");
    }
}

/// Some nodes stay with the old primary. What they say to each other and what the others say have no id in common.
#[test]
fn two_primaries_give_no_id_twice_and_those_of_the_old_one_come_over() {
    let Some(pair) = Pair::start(Kind::Memory) else {
        return;
    };
    let away = Proxy::to(pair.primary.addr());
    let [new, old] = [pair.front.addr(), away.addr()].map(|addr| start_node(addr, &[]));
    let mut readers: Vec<_> = [&new, &old].into_iter().flat_map(begun).collect();
    let before = publish(&new, "before", 5);
    let mut lines: Vec<Vec<String>> = readers
        .iter_mut()
        .map(|reader| read_on(reader, "before 5"))
        .collect();
    pair.wait_for_replica();
    pair.replication.close();
    pair.promote();
    wait_until_ready(&new);
    let on_old = publish(&old, "old", 5);
    assert_eq!(on_old[4], before[0].at(10));
    let on_new = publish_surely(&[new.addr], "/room/a", "k", "new");
    assert_ne!(on_new.epoch, on_old[0].epoch);
    let (new_readers, old_readers) = readers.split_at_mut(2);
    for (reader, lines) in new_readers.iter_mut().zip(&mut lines) {
        assert_eq!(reader.line(), format!(":gap {} ?", on_new.at(0)));
        lines.extend(read_on(reader, "new"));
    }
    for (reader, lines) in old_readers.iter_mut().zip(&mut lines[2..]) {
        lines.extend(read_on(reader, "old 5"));
    }
    // The old primary follows the new one, and the address leads there.
    away.lead_to(pair.replica.addr());
    away.cut();
    let last = publish_surely(&[old.addr], "/room/a", "last", LAST);
    assert_eq!(last, on_new.at(2));
    for reader in new_readers {
        reader.expect(&[format!("{last} {LAST}")]);
    }
    for (reader, lines) in old_readers.iter_mut().zip(&mut lines[2..]) {
        let told = read_on(reader, LAST);
        assert!(
            told[0].starts_with(":gap ") && told[0].ends_with(" ?"),
            "{told:?}"
        );
        assert_eq!(
            told.last().and_then(|line| message(line)),
            Some((&*last.to_string(), LAST))
        );
        lines.extend(told);
    }
    let mut record = Record::default();
    lines.iter().for_each(|lines| record.add(lines));
}

/// With `min-replicas-to-write` a primary that is cut off from its replica takes nothing that would be lost.
#[test]
fn a_primary_that_needs_a_replica_refuses_what_would_be_lost() {
    let Some(pair) = Pair::start(Kind::Memory) else {
        return;
    };
    let mut resp = pair.primary.connect();
    for (name, value) in [
        ("min-replicas-max-lag", "2"),
        ("min-replicas-to-write", "1"),
    ] {
        resp.ask(&["CONFIG", "SET", name, value]);
    }
    let node = start_node(pair.front.addr(), &["--backplane-wait", "500ms"]);
    node.publish("/room/a", "kept");
    pair.replication.set(Towards::Broker, Fate::Stalled);
    pair.replication.set(Towards::Node, Fate::Stalled);
    wait_until_unready(&node);
    node.wait_for_log(&["WARN", "NOREPLICAS"]);
    node.expect_error(post("/room/a", "would be lost"), 503);
    pair.replication.mend();
    wait_until_ready(&node);
    node.publish("/room/a", "kept");
}
