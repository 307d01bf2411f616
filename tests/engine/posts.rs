//! Publications by HTTP: bodies that come slowly or not at all, keys, rates, and what is refused.

use std::time::Duration;

use crate::world::World;
use crate::world::publisher::{Post, take_answer};

const SECOND: Duration = Duration::from_secs(1);
const HEAD: &[u8] = b"POST /room/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";

fn numbered(number: u64) -> Post {
    Post::new("a", &format!("message {number}"))
}

#[test]
fn ids_are_dense_and_those_of_many_lines_are_consecutive() {
    let mut world = World::with(|_| {});
    let (_, first) = world.post(&numbered(1));
    let epoch = first.strip_suffix("-1").unwrap().to_owned();
    let lines: Vec<String> = ["x", "", " ", "y\r", "z", ""].map(ToOwned::to_owned).into();
    assert_eq!(
        world.post(&Post::lines("a", &lines)),
        (200, format!("{epoch}-4"))
    );
    assert_eq!(world.post(&numbered(5)), (200, format!("{epoch}-5")));
}

#[test]
fn a_body_that_comes_byte_by_byte_is_published_and_one_that_takes_too_long_is_not() {
    let mut world = World::with(|config| config.timeouts.request_timeout = 10 * SECOND);
    let reader = world.join();
    let chunked = Post {
        chunk_len: Some(3),
        ..Post::new("", "in small pieces")
    };
    for (gap, status) in [(SECOND / 20, 200), (SECOND / 2, 408)] {
        let peer = world.connect();
        for byte in chunked.bytes() {
            peer.send(&[byte]);
            world.pass(gap);
        }
        assert_eq!(take_answer(&peer).unwrap().0, status);
        assert_eq!(peer.socket().server_has_shut, status == 408);
        peer.shut();
        world.settle();
    }
    assert_eq!(reader.take_lines(), ["in small pieces"]);
    assert_eq!(world.engine.metrics().messages(), 1);
}

#[test]
fn a_body_of_which_the_rest_never_comes_is_answered_with_408() {
    let mut world = World::with(|_| {});
    let peer = world.connect();
    peer.send(&[HEAD, b"half"].concat());
    world.pass(9 * SECOND);
    assert_eq!(take_answer(&peer), None);
    world.pass(2 * SECOND);
    assert_eq!(take_answer(&peer).unwrap().0, 408);
    assert_eq!(world.engine.room_count(), 0, "no room is made for it");
}

#[test]
fn a_stream_that_ends_in_mid_body_publishes_nothing_and_frees_its_client() {
    for len in 0..HEAD.len() + 10 {
        let mut world = World::with(|_| {});
        let peer = world.connect();
        let request = [HEAD, b"0123456789"].concat();
        peer.send(&request[..len]);
        world.settle();
        peer.shut();
        world.settle();
        assert!(peer.is_closed(), "{len}");
        assert_eq!(world.engine.metrics().messages(), 0, "{len}");
        assert_eq!(
            (world.engine.client_count(), world.engine.queued_len()),
            (0, 0)
        );
    }
}

#[test]
fn a_client_that_ends_its_side_behind_the_body_is_answered() {
    let mut world = World::with(|_| {});
    let peer = world.connect();
    peer.send(&[HEAD, b"0123456789"].concat());
    peer.shut();
    world.settle();
    assert_eq!(take_answer(&peer).unwrap().0, 200);
    assert!(peer.is_closed());
}

#[test]
fn a_key_gets_its_answer_again_for_five_minutes_and_in_its_room_only() {
    let mut world = World::with(|_| {});
    let keyed = |number, room: &str| Post {
        key: Some("key-1".to_owned()),
        room: room.to_owned(),
        ..numbered(number)
    };
    let (_, first) = world.post(&keyed(1, "a"));
    world.pass(100 * SECOND);
    let (_, other) = world.post(&numbered(2));
    assert_ne!(first, other);
    world.pass(199 * SECOND);
    assert_eq!(world.post(&keyed(3, "a")), (200, first.clone()));
    assert_eq!(world.engine.metrics().messages(), 2);
    assert_ne!(world.post(&keyed(3, "b")).1, first);
    world.pass(3 * SECOND);
    let (_, late) = world.post(&keyed(4, "a"));
    assert_eq!(late, first.replace("-1", "-3"), "it is forgotten by now");
}

#[test]
fn a_publication_that_fails_leaves_its_key_free() {
    let mut world = World::with(|_| {});
    let keyed = |body: &str| Post {
        key: Some("k".to_owned()),
        ..Post::new("a", body)
    };
    assert_eq!(world.post(&keyed(" ")).0, 400);
    assert_eq!(world.post(&keyed(&"x".repeat(513))).0, 413);
    let (status, id) = world.post(&keyed("text"));
    assert_eq!(status, 200);
    assert_eq!(world.post(&keyed("text")), (200, id));
}

#[test]
fn one_line_that_is_too_long_refuses_all_of_them() {
    let mut world = World::with(|_| {});
    let reader = world.join();
    let lines = ["good", &"x".repeat(513), "good"].map(ToOwned::to_owned);
    assert_eq!(world.post(&Post::lines("", &lines)).0, 413);
    assert_eq!(reader.take(), b"");
    assert_eq!(
        world.post(&Post::new("", "next")).1.split('-').nth(1),
        Some("1")
    );
}

#[test]
fn a_client_beyond_its_rate_is_refused_until_it_has_waited() {
    let mut world = World::with(|config| config.chat.message_rate = 10);
    let peer = world.connect();
    let mut statuses = Vec::new();
    for number in 0..12 {
        peer.send(&numbered(number).bytes());
        world.settle();
        statuses.push(take_answer(&peer).unwrap().0);
    }
    assert_eq!(statuses, [&[200; 10][..], &[429; 2]].concat());
    world.pass(SECOND);
    peer.send(&numbered(12).bytes());
    world.settle();
    assert_eq!(take_answer(&peer).unwrap().0, 200);
    assert_eq!(world.engine.metrics().messages(), 11);
}

#[test]
fn requests_behind_each_other_are_answered_in_their_order() {
    let mut world = World::with(|_| {});
    let peer = world.connect();
    let requests: Vec<u8> = (1..=40)
        .flat_map(|number| numbered(number).bytes())
        .collect();
    peer.send(&requests);
    world.settle();
    for seq in 1..=40 {
        let (status, id) = take_answer(&peer).unwrap();
        assert_eq!(
            (status, id.ends_with(&format!("-{seq}"))),
            (200, true),
            "{id}"
        );
    }
}

#[test]
fn one_for_whom_there_is_no_seat_is_told_so_behind_its_request() {
    let mut world = World::with_limit(fanfare::config::Config::default(), 1);
    let _seated = world.join();
    let peer = world.connect();
    world.settle();
    assert_eq!(take_answer(&peer), None);
    peer.send(&HEAD[..HEAD.len() - 1]);
    world.settle();
    assert_eq!(take_answer(&peer), None);
    peer.send(b"\n0123456789");
    world.settle();
    assert_eq!(take_answer(&peer).unwrap().0, 503);
    assert_eq!(world.engine.metrics().messages(), 0);
}
