//! Why the broker is of no use, in one line of the log; and when that is mended, the node goes on by itself.

use super::outages;
use crate::broker::{Broker, Kind};
use crate::common::Server;
use crate::common::rooms::post;
use crate::node::{AWAY, start_node, start_unready, wait_until_ready, wait_until_unready};
use crate::proxy::Proxy;
use crate::resp::{Reply, Resp};

const SECRET: &str = "never-to-be-seen";
const WAIT: &[&str] = &["--backplane-wait", "500ms"];

fn ask(resp: &mut Resp, command: &str) {
    let reply = resp.ask(&command.split(' ').collect::<Vec<_>>());
    assert!(!matches!(reply, Reply::Error(_)), "{command}: {reply:?}");
}

/// The node tells this reason, once it is mended it goes on, and there was no other outage.
fn expect_one_outage(node: Server, reason: &str, mend: impl FnOnce()) {
    node.wait_for_log(&["WARN", AWAY, reason]);
    wait_until_unready(&node);
    mend();
    wait_until_ready(&node);
    node.publish("/room/a", "hello");
    let away = outages(node, 1).concat();
    assert!(!away.contains(SECRET), "{away}");
}

/// The same, and meanwhile nothing can be published.
fn expect_outage(node: Server, reason: &str, mend: impl FnOnce()) {
    node.wait_for_log(&["WARN", AWAY, reason]);
    node.expect_error(post("/room/a", "hello"), 503);
    expect_one_outage(node, reason, mend);
}

#[test]
fn a_wrong_password() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let mut resp = broker.connect();
    ask(&mut resp, "CONFIG SET requirepass another");
    let node = start_unready(&format!("redis://:{SECRET}@{}", broker.addr()), WAIT);
    let reason = "the broker refuses user, password or database: WRONGPASS";
    expect_outage(node, reason, || {
        ask(&mut resp, &format!("CONFIG SET requirepass {SECRET}"));
    });
}

#[test]
fn no_password_where_one_is_needed() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let mut resp = broker.connect();
    ask(&mut resp, "CONFIG SET requirepass another");
    let node = start_unready(&format!("redis://{}", broker.addr()), WAIT);
    expect_outage(node, "the broker answers: NOAUTH", || {
        ask(&mut resp, "ACL SETUSER default nopass");
    });
}

/// What a server says to a connection as soon as it is there, whatever it is asked, and then closes it. A server in
/// protected mode does the same.
#[test]
fn a_broker_that_has_as_many_clients_as_it_takes() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let mut resp = broker.connect();
    ask(&mut resp, "CONFIG SET maxclients 1");
    let node = start_unready(&format!("redis://{}", broker.addr()), WAIT);
    let reason = "the broker answers: ERR max number of clients reached";
    expect_outage(node, reason, || {
        ask(&mut resp, "CONFIG SET maxclients 10000");
    });
}

#[test]
fn a_user_who_must_not_read() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let mut resp = broker.connect();
    let user = format!("ACL SETUSER u on >{SECRET} ~* +@all -xread");
    ask(&mut resp, &user);
    let node = start_unready(&format!("redis://u:{SECRET}@{}", broker.addr()), WAIT);
    // What it appends is in the stream, so that publications are accepted.
    expect_one_outage(node, "the broker answers: NOPERM", || {
        ask(&mut resp, "ACL SETUSER u +xread");
    });
}

#[test]
fn a_user_who_must_not_append() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let mut resp = broker.connect();
    let user = format!("ACL SETUSER u on >{SECRET} ~* +@all -xadd");
    ask(&mut resp, &user);
    let node = start_unready(&format!("redis://u:{SECRET}@{}", broker.addr()), WAIT);
    expect_outage(node, "the broker answers: ", || {
        ask(&mut resp, "ACL SETUSER u +xadd");
    });
}

#[test]
fn a_replica_at_the_address() {
    let Some(primary) = Broker::start(Kind::Memory) else {
        return;
    };
    let of = format!("127.0.0.1 {}", primary.addr().port());
    let replica = Broker::start_with(Kind::Memory, &["--replicaof", &of]);
    let replica = replica.expect("it is installed");
    let node = start_unready(&format!("redis://{}", replica.addr()), WAIT);
    let mut resp = replica.connect();
    expect_outage(node, "it is a replica, which takes no appends", || {
        ask(&mut resp, "REPLICAOF NO ONE");
    });
}

#[test]
fn a_broker_that_becomes_a_replica() {
    let Some(primary) = Broker::start(Kind::Memory) else {
        return;
    };
    let demoted = Broker::start(Kind::Memory).expect("it is installed");
    let node = start_node(demoted.addr(), WAIT);
    let mut resp = demoted.connect();
    let command = format!("REPLICAOF 127.0.0.1 {}", primary.addr().port());
    ask(&mut resp, &command);
    expect_outage(node, "", || ask(&mut resp, "REPLICAOF NO ONE"));
}

#[test]
fn a_broker_without_memory() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let mut resp = broker.connect();
    let node = start_node(broker.addr(), WAIT);
    node.publish("/room/a", "there is memory");
    ask(&mut resp, "CONFIG SET maxmemory 1");
    let refused = node.ask(post("/room/a", "hello"));
    assert_eq!(refused.status, 503, "{refused:?}");
    expect_outage(node, "the broker answers: OOM", || {
        ask(&mut resp, "CONFIG SET maxmemory 0");
    });
}

#[test]
fn a_broker_that_misses_its_replicas() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let mut resp = broker.connect();
    ask(&mut resp, "CONFIG SET min-replicas-to-write 1");
    let node = start_unready(&format!("redis://{}", broker.addr()), WAIT);
    expect_outage(node, "NOREPLICAS", || {
        ask(&mut resp, "CONFIG SET min-replicas-to-write 0");
    });
}

#[test]
fn a_key_that_somebody_else_uses() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    let mut resp = broker.connect();
    ask(&mut resp, "SET {fanfare}:stream taken");
    let node = start_unready(&format!("redis://{}", broker.addr()), WAIT);
    expect_outage(node, "WRONGTYPE", || {
        ask(&mut resp, "DEL {fanfare}:stream");
    });
}

#[test]
fn a_broker_that_is_none() {
    let Some(broker) = Broker::start(Kind::Memory) else {
        return;
    };
    // It speaks HTTP, and closes what is none.
    let other = Server::start(&[]);
    let way = Proxy::to(other.addr);
    let node = start_unready(&format!("redis://{}", way.addr()), WAIT);
    expect_outage(node, "a reply", || {
        way.lead_to(broker.addr());
        way.cut();
    });
}

/// Of what one of them is asked the other one knows nothing.
#[test]
fn two_connections_that_reach_different_servers() {
    let Some(one) = Broker::start(Kind::Memory) else {
        return;
    };
    let other = Broker::start(Kind::Memory).expect("it is installed");
    let way = Proxy::to(one.addr());
    way.alternate([one.addr(), other.addr()]);
    let node = start_unready(&format!("redis://{}", way.addr()), WAIT);
    let reason = "the two connections reach different servers";
    expect_one_outage(node, reason, || {
        way.lead_to(one.addr());
        way.cut();
    });
}

/// The one line of an outage tells how it began. What came later is told to whoever asks for more.
#[test]
fn a_reason_that_changes_during_an_outage() {
    let Some(mut broker) = Broker::start_with(Kind::Memory, &["--requirepass", SECRET]) else {
        return;
    };
    broker.kill();
    let node = start_unready(&format!("redis://{}", broker.addr()), WAIT);
    node.wait_for_log(&["WARN", AWAY, "connection refused"]);
    broker.start_again();
    node.wait_for_log(&["DEBUG", "another attempt has failed", "NOAUTH"]);
    let mut resp = broker.connect();
    ask(&mut resp, &format!("AUTH {SECRET}"));
    ask(&mut resp, "ACL SETUSER default nopass");
    wait_until_ready(&node);
    outages(node, 1);
}
