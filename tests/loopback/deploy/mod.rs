//! A deploy at noon: a new server takes over from an old one under a thousand readers and a steady publisher, and
//! nobody is refused, nothing is lost and nothing comes twice.

#![allow(clippy::panic, reason = "a test fails at what no server should send")]

mod crowd;
mod publisher;

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::common::rooms::{Id, follow};
use crate::common::{Peer, Server};
use crate::proxies::{Proxy, Recipe, blocks};
use crate::systemd::{OURS, second, tcp_listener, with_socket};

use crowd::{Crowd, Goodbye, Visit, WEBSOCKETS};
use publisher::Publisher;

const OPERATING: &str = include_str!("../../../docs/operating.md");
const DELAY: &str = "3s";
/// Long beside what a busy machine keeps the readers waiting.
const DRAIN: &str = "8s";
/// The closes are spread over three quarters of the drain time.
const SPREAD: Duration = Duration::from_secs(6);

/// One crowd at a time is enough for a machine.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The two servers behind HAProxy in the document for operators.
fn two_servers() -> Recipe {
    let mut blocks = blocks(OPERATING).into_iter();
    let block = blocks.find(|block| block.contains(" backup\n"));
    let recipe = Recipe::parse(&block.expect("it is there"));
    recipe.expect("it is understood")
}

/// Replaces `old` by the other server behind `addr`, which takes what is new as soon as the old one does not.
fn deploy(addr: SocketAddr, mut old: Server, crowd: Crowd, publisher: Publisher) {
    publisher.wait_for_more(10);
    // What is asked on a connection that was accepted in the last moment gets 503.
    publisher.between(|| {
        old.signal("TERM");
        old.wait_for_log(&["shutting down"]);
    });
    assert_eq!(old.wait_for_exit().code(), Some(0));
    crowd.wait_for_return();
    publisher.wait_for_more(10);
    let published = publisher.end();
    let (websockets, event_sources) = crowd.end();
    for visits in websockets.iter().chain(&event_sources) {
        check(visits, &published);
    }
    check_spread(&websockets);
    let retries = event_sources
        .iter()
        .filter_map(|visits| goodbye(visits).retry);
    let mut retries: Vec<u64> = retries.collect();
    retries.sort_unstable();
    retries.dedup();
    assert!(retries.len() > event_sources.len() / 2, "{retries:?}");
    Peer::connect(addr).upgraded("/ws/a");
}

/// A reader was given all that the old server published, and all that the new one did, which does not know the
/// position that it came with.
fn check(visits: &[Visit], published: &[String]) {
    let epoch = |line: &String| line.split('-').next().map(str::to_owned);
    let old_epoch = published.first().and_then(epoch);
    let is_old = |line: &&String| epoch(line) == old_epoch;
    let (old, new): (Vec<_>, Vec<_>) = published.iter().partition(is_old);
    let [before, after] = visits else {
        panic!("{} connections instead of two", visits.len());
    };
    for (visit, published, word, rest) in
        [(before, old, ":fresh ", ""), (after, new, ":gap ", " ?")]
    {
        let (start, messages) = visit.lines.split_first().expect("it began somewhere");
        let id = start
            .strip_prefix(word)
            .and_then(|it| it.strip_suffix(rest));
        let begin = Id::parse(id.expect(start));
        assert_eq!(begin.seq, 0, "all was published since, and all is kept");
        assert_eq!(messages.iter().collect::<Vec<_>>(), published);
        let (end, skipped) = follow(begin, messages);
        assert_eq!((end.seq, skipped), (messages.len() as u64, 0));
    }
}

fn goodbye(visits: &[Visit]) -> &Goodbye {
    let goodbye = visits.first().and_then(|visit| visit.closed.as_ref());
    goodbye.expect("the first connection was closed")
}

/// In no quarter of the spread time more than a third of the readers is closed.
fn check_spread(websockets: &[Vec<Visit>]) {
    let mut times: Vec<Instant> = websockets.iter().map(|visits| goodbye(visits).at).collect();
    times.sort_unstable();
    let most = times.iter().enumerate().map(|(place, &begin)| {
        let end = begin + SPREAD / 4;
        times[place..].partition_point(|&at| at < end)
    });
    let most = most.max().expect("there is a crowd");
    assert!(most <= WEBSOCKETS / 3, "{most} in a quarter of {SPREAD:?}");
}

#[test]
fn a_deploy_behind_haproxy_is_noticed_by_none_of_a_thousand_readers() {
    let _alone = alone();
    let mut recipe = two_servers();
    let new = recipe.start_server();
    let port = format!(":{}", new.addr.port());
    recipe.text = recipe.text.replace(":8081", &port);
    assert!(recipe.text.contains(&port), "{}", recipe.text);
    let old = recipe.start_server_with(&["--drain-delay", DELAY, "--drain", DRAIN]);
    let Some(proxy) = Proxy::start(&recipe, &old) else {
        return;
    };
    let addr = proxy.addr();
    let crowd = Crowd::join(addr);
    deploy(addr, old, crowd, Publisher::start(addr, true));
}

#[test]
fn a_deploy_on_one_socket_is_noticed_by_none_of_a_thousand_readers() {
    let _alone = alone();
    let listener = tcp_listener();
    let addr = listener.local_addr().expect("an address");
    let start = || {
        let mut command = with_socket(second(&listener), OURS);
        command.args(["--drain", DRAIN]);
        Server::spawn(command)
    };
    let old = start();
    let crowd = Crowd::join(addr);
    let publisher = Publisher::start(addr, false);
    publisher.wait_for_more(10);
    let _new = start();
    deploy(addr, old, crowd, publisher);
}

#[test]
fn a_second_signal_ends_at_once_in_the_delay_and_in_the_drain() {
    for delay in ["1h", "0s"] {
        let mut server = Server::start(&["--drain-delay", delay, "--drain", "1h"]);
        let mut members: Vec<Peer> = (0..20).map(|_| server.join()).collect();
        server.signal("TERM");
        server.wait_for_log(&["shutting down"]);
        if delay == "1h" {
            members.push(server.join());
        }
        server.signal("TERM");
        assert_eq!(server.wait_for_exit().code(), Some(0));
        for member in &mut members {
            member.wait_until_gone();
        }
    }
}
