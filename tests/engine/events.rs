//! Readers by server-sent events: signs of life, and what ends them.

use std::time::Duration;

use crate::world::listener::{Item, Kind, Listener};
use crate::world::publisher::Post;
use crate::world::{Peer, World};
use fanfare::config::CLOSE_WAIT;
use fanfare::observe::CloseReason;

const SECOND: Duration = Duration::from_secs(1);

fn reader(world: &mut World) -> Listener {
    let mut listener = world.listen(Kind::Events, "", "");
    world.settle();
    listener.take();
    listener
}

#[test]
fn the_head_forbids_caches_and_buffers_and_the_first_block_sets_the_position() {
    let mut world = World::with(|_| {});
    let (_, id) = world.post(&Post::new("a", "hello"));
    let listener = world.listen(Kind::Events, "a", "last=1");
    world.settle();
    let answer = String::from_utf8(listener.peer.take()).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/event-stream\r\n\
         Cache-Control: no-store, no-transform\r\nX-Accel-Buffering: no\r\nConnection: close"
    );
    let epoch = id.strip_suffix("-1").unwrap();
    assert_eq!(
        body,
        format!(":fresh {epoch}-0\nretry: 3000\nid: {epoch}-0\n\nid: {epoch}-1\ndata: hello\n\n")
    );
}

#[test]
fn head_gets_the_head_alone() {
    let mut world = World::with(|_| {});
    let peer = world.connect();
    peer.send(b"HEAD /room/a HTTP/1.1\r\nHost: a\r\n\r\n");
    world.settle();
    let answer = peer.take();
    assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\n"));
    assert!(peer.socket().server_has_shut);
    assert_eq!(world.engine.room_count(), 0);
}

#[test]
fn a_comment_comes_every_ping_period_and_no_pong_is_needed() {
    let mut world = World::with(|config| config.timeouts.pong_wait = 30 * SECOND);
    let mut listener = reader(&mut world);
    let mut silence = Duration::ZERO;
    let period = 25 * SECOND + SECOND / 2;
    for _ in 0..2_000 {
        world.pass(SECOND / 4);
        silence += SECOND / 4;
        match &listener.take()[..] {
            [] => assert!(silence <= period, "{silence:?}"),
            [Item::Ping] => silence = Duration::ZERO,
            items => panic!("{items:?}"),
        }
    }
    assert!(!listener.peer.is_closed());
}

#[test]
fn comments_stand_between_events_and_not_in_them() {
    let mut world = World::with(|config| config.timeouts.write_wait = 300 * SECOND);
    let mut listener = reader(&mut world);
    listener.peer.set_room(20);
    world.post(&Post::new("", "a message of some length"));
    world.pass(60 * SECOND);
    listener.peer.set_room(usize::MAX);
    world.settle();
    let items = listener.take();
    assert!(
        matches!(&items[..], [Item::Message(Some(_), text), Item::Ping, Item::Ping] if text == "a message of some length"),
        "{items:?}"
    );
}

#[test]
fn a_dead_reader_is_found_when_it_takes_no_comment_for_the_write_wait() {
    let mut world = World::with(|config| config.timeouts.write_wait = 10 * SECOND);
    let listener = reader(&mut world);
    listener.peer.set_room(0);
    world.pass(12 * SECOND);
    assert!(!listener.peer.is_closed(), "nothing was to be written yet");
    world.pass(25 * SECOND);
    assert!(listener.peer.is_closed());
    assert_eq!(world.engine.metrics().closed(CloseReason::WriteTimeout), 1);
    assert_eq!(world.engine.queued_len(), 0);
}

#[test]
fn what_a_reader_sends_means_nothing_and_its_end_of_stream_ends_it() {
    let mut world = World::with(|_| {});
    let mut listener = reader(&mut world);
    listener
        .peer
        .send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\x81\x80");
    world.post(&Post::new("", "still listening"));
    assert_eq!(listener.take_texts(), ["still listening"]);
    listener.peer.shut();
    world.settle();
    assert!(listener.peer.is_closed());
}

#[test]
fn a_reader_that_cannot_be_served_now_is_told_to_come_back() {
    let mut world = World::with(|config| config.rooms.max_rooms = 1);
    reader(&mut world);
    let peer: Peer = world.listen(Kind::Events, "second", "").peer;
    world.settle();
    let answer = String::from_utf8(peer.take()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nretry: 5000\n\n"), "{answer}");
    let peer = world.listen(Kind::Lines, "second", "").peer;
    world.settle();
    assert!(peer.take().starts_with(b"HTTP/1.1 503 "));
    assert_eq!(world.post(&Post::new("second", "text")).0, 503);
}

#[test]
fn a_shutdown_ends_readers_after_what_they_are_owed() {
    let mut world = World::with(|_| {});
    let (mut ready, mut slow) = (reader(&mut world), reader(&mut world));
    slow.peer.set_room(3);
    world.post(&Post::new("", "last words"));
    assert_eq!(ready.take_texts(), ["last words"]);
    world.begin_shutdown();
    // The closes are spread over three quarters of the drain time.
    world.pass(4 * SECOND);
    assert!(ready.peer.socket().server_has_shut);
    assert!(!slow.peer.socket().server_has_shut);
    slow.peer.set_room(usize::MAX);
    world.settle();
    assert_eq!(slow.take_texts(), ["last words"]);
    assert!(slow.peer.socket().server_has_shut);
    world.pass(CLOSE_WAIT + SECOND);
    assert!(world.engine.is_shut_down());
}
