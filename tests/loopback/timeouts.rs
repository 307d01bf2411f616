//! Each deadline of the real server, with short settings, beside the peer that just keeps it.
//!
//! Where a test pauses, the pause is the behaviour of its peer, not a way to wait for the server.

use std::io::{ErrorKind, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::wire::{
    BEGIN_TEXT, PING, PONG, TEXT, close, frame, get, request, text, upgrade,
};
use crate::common::{PATIENCE, Peer, Server, eventually};
use tungstenite::Message;

const WRITE_LEN: usize = 128 * 1024;

fn pause(millis: u64) {
    thread::sleep(Duration::from_millis(millis));
}

/// Goes on sending until the server has ended the connection for good.
fn assert_cut_off(mut peer: Peer) {
    eventually("the server ends the connection", || {
        pause(50);
        (!peer.try_send(b"x")).then_some(())
    });
}

/// Says more than the kernel holds for a client that does not read, and hears it.
fn say_much(speaker: &mut Peer, count: usize) {
    for number in 0..count {
        let said = format!("{number} {}", "x".repeat(WRITE_LEN));
        speaker.say(&said);
        speaker.expect_frame(TEXT, said.as_bytes());
    }
}

// Requests.

#[test]
fn silence_is_answered_with_a_timeout() {
    let server = Server::start(&["--request-timeout", "300ms"]);
    server.connect().expect_refusal(408);
}

#[test]
fn a_request_that_is_not_finished_is_answered_with_a_timeout() {
    let server = Server::start(&["--request-timeout", "300ms"]);
    for begun in ["\r\n", "G", "GET / HTTP/1.1\r\nHost: chat.example\r\n"] {
        let mut peer = server.connect();
        peer.send(begun);
        peer.expect_refusal(408);
    }
}

#[test]
fn a_request_that_comes_byte_by_byte_for_ever_gets_no_more_time() {
    let server = Server::start(&["--request-timeout", "500ms"]);
    let mut peer = server.connect();
    let mut writer = peer.writer();
    let dripping = thread::spawn(move || {
        let endless = b"GET / HTTP/1.1\r\nX: "
            .iter()
            .chain([&b'x'].into_iter().cycle());
        let deadline = Instant::now() + PATIENCE;
        for byte in endless {
            if writer.write_all(&[*byte]).is_err() || Instant::now() > deadline {
                return;
            }
            pause(20);
        }
    });
    peer.expect_refusal(408);
    peer.finish();
    dripping.join().expect("it ends with the connection");
}

#[test]
fn a_timeout_is_answered_whole_although_input_goes_on_behind_it() {
    let server = Server::start(&["--request-timeout", "300ms"]);
    let mut peer = server.connect();
    peer.send("GET / HTTP/1.1\r\n");
    peer.expect_refusal(408);
    peer.send(vec![b'x'; 256 * 1024]);
    peer.expect_end();
}

#[test]
fn a_slow_request_within_its_time_is_served() {
    let server = Server::start(&["--request-timeout", "10s"]);
    let mut peer = server.connect();
    for piece in get("/").as_bytes().chunks(10) {
        peer.send(piece);
        pause(50);
    }
    assert_eq!(peer.response().status, 200);
}

#[test]
fn a_kept_connection_on_which_nothing_more_comes_is_closed_without_a_word() {
    let server = Server::start(&["--keep-alive", "300ms"]);
    let mut peer = server.connect();
    peer.send(get("/"));
    assert_eq!(peer.response().status, 200);
    peer.expect_end();
}

#[test]
fn a_kept_connection_on_which_a_request_is_begun_is_answered_with_a_timeout() {
    let server = Server::start(&["--request-timeout", "300ms"]);
    let mut peer = server.connect();
    peer.send(get("/") + "GET /chat.js HTTP/1.1\r\n");
    assert_eq!(peer.response().status, 200);
    peer.expect_refusal(408);
}

#[test]
fn each_request_of_a_kept_connection_has_its_own_time() {
    let server = Server::start(&["--request-timeout", "2s"]);
    let mut peer = server.connect();
    for _ in 0..4 {
        peer.send(get("/"));
        assert_eq!(peer.response().status, 200);
        // Together longer than one request may take.
        pause(800);
    }
}

#[test]
fn an_open_websocket_is_not_bound_by_the_request_timeout() {
    let server = Server::start(&["--request-timeout", "200ms", "--echo"]);
    let mut peer = server.echo();
    // Nothing may come within several times the timeout.
    pause(1000);
    peer.send(text("hello"));
    peer.expect_frame(TEXT, b"hello");
}

// Pings and pongs.

#[test]
fn pings_come_again_and_again() {
    let server = Server::start(&["--pong-wait", "10s", "--ping-period", "200ms", "--echo"]);
    for path in ["/ws", "/echo"] {
        let mut peer = server.connect().upgraded(path);
        for _ in 0..4 {
            let ping = peer.frame();
            assert_eq!(ping.first, PING);
            peer.send(frame(PONG, &ping.payload));
        }
    }
}

#[test]
fn a_ping_comes_between_messages_and_not_inside_one() {
    let server = Server::start(&["--pong-wait", "10s", "--ping-period", "100ms", "--echo"]);
    let mut peer = server.echo();
    let mut pings = 0;
    while pings < 5 {
        peer.send(text("talk"));
        let mut answer = peer.frame();
        while answer.first == PING {
            pings += 1;
            peer.send(frame(PONG, &answer.payload));
            answer = peer.frame();
        }
        assert_eq!((answer.first, &answer.payload[..]), (TEXT, &b"talk"[..]));
    }
}

/// Reads pings without answering them, up to a close frame with this code.
fn assert_closed_after_pings(peer: &mut Peer, code: u16) {
    loop {
        let frame = peer.frame();
        if frame.first != PING {
            assert_eq!(frame.payload.get(..2), Some(&code.to_be_bytes()[..]));
            break;
        }
    }
    peer.expect_end();
}

#[test]
fn a_client_that_answers_no_ping_is_closed() {
    let server = Server::start(&["--pong-wait", "600ms", "--ping-period", "200ms", "--echo"]);
    assert_closed_after_pings(&mut server.join(), 1008);
    assert_closed_after_pings(&mut server.echo(), 1008);
}

#[test]
fn a_client_that_answers_pings_outlives_those_that_do_not() {
    let server = Server::start(&["--pong-wait", "2s", "--ping-period", "300ms"]);
    let mut alive = server.polite("/ws");
    let reading = thread::spawn(move || {
        loop {
            // The independent client answers pings by itself, while it is read.
            match alive.read() {
                Ok(Message::Ping(_)) => {}
                heard => return heard,
            }
        }
    });
    // One after the other, so that the one that stays lives twice as long as it could without pongs.
    assert_closed_after_pings(&mut server.join(), 1008);
    assert_closed_after_pings(&mut server.join(), 1008);
    server.join().say("hello");
    let heard = reading.join().expect("it reads");
    assert_eq!(heard.expect("a message"), Message::text("hello"));
}

#[test]
fn a_message_that_is_begun_and_not_finished_ends_its_sender() {
    let server = Server::start(&["--pong-wait", "1s", "--ping-period", "200ms"]);
    let mut peer = server.join();
    peer.send(frame(BEGIN_TEXT, b"hel"));
    loop {
        let frame_heard = peer.frame();
        if frame_heard.first != PING {
            assert_eq!(
                frame_heard.payload.get(..2),
                Some(&1008_u16.to_be_bytes()[..])
            );
            break;
        }
        peer.send(frame(PONG, &frame_heard.payload));
    }
    peer.expect_end();
}

#[test]
fn a_peer_that_finishes_each_message_is_kept_although_the_next_one_is_always_begun() {
    let server = Server::start(&["--pong-wait", "2s", "--ping-period", "200ms", "--echo"]);
    let mut peer = server.echo();
    let message = text("hello");
    let (head, tail) = message.split_at(8);
    peer.send(head);
    for _ in 0..80 {
        // Nothing but the end of a message ever brings an answer.
        peer.send([tail, &frame(PONG, b""), head].concat());
        let mut answer = peer.frame();
        while answer.first == PING {
            answer = peer.frame();
        }
        assert_eq!((answer.first, &answer.payload[..]), (TEXT, &b"hello"[..]));
        // Several times the wait for one message in all.
        pause(50);
    }
}

// Those who do not read.

#[test]
fn a_member_that_takes_nothing_is_ended_after_the_write_wait() {
    let server = Server::start(&["--write-wait", "500ms", "--max-message", "256KiB"]);
    let mut silent = server.join_with_small_buffer();
    let mut speaker = server.join();
    say_much(&mut speaker, 200);
    server.wait_for_log(&["connection closed", "write_timeout"]);
    let heard = silent.hear_lines_to_the_end().len();
    assert!(heard < 200, "it was not ended");
    speaker.say("all is well");
    speaker.expect_frame(TEXT, b"all is well");
}

#[test]
fn an_echo_that_is_not_read_is_ended_after_the_write_wait() {
    let flags = ["--write-wait", "500ms", "--max-message", "256KiB", "--echo"];
    let server = Server::start(&flags);
    let mut peer = Peer::connect_with_small_buffer(server.addr).upgraded("/echo");
    let message = text(&"x".repeat(WRITE_LEN));
    // Neither side takes any more, until the server has had enough.
    let refused = (0..10_000).find(|_| !peer.try_send(&message));
    assert!(refused.is_some(), "the server takes without end");
    server.wait_for_log(&["connection closed", "write_timeout"]);
}

#[test]
fn answers_that_are_not_read_end_the_connection_after_the_write_wait() {
    let server = Server::start(&["--write-wait", "500ms"]);
    let peer = Peer::connect_with_small_buffer(server.addr);
    let requests = get("/chat.js").repeat(1000);
    let error = loop {
        if let Err(error) = peer.writer().write_all(requests.as_bytes()) {
            break error.kind();
        }
    };
    let cut_off = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(cut_off.contains(&error), "{error}");
    server.wait_for_log(&["connection closed", "write_timeout"]);
}

#[test]
fn a_slow_reader_that_goes_on_taking_is_kept_beyond_the_write_wait() {
    const COUNT: usize = 200;
    let server = Server::start(&["--write-wait", "2s", "--max-message", "256KiB"]);
    let mut slow = server.join_with_small_buffer();
    let mut speaker = server.join();
    let speaking = thread::spawn(move || say_much(&mut speaker, COUNT));
    let mut heard = 0;
    while heard < COUNT {
        heard += slow.hear_lines(1).len();
        // Several times over the write wait in all.
        pause(30);
    }
    speaking.join().expect("everything was said");
    assert_eq!(heard, COUNT);
}

// Ends that the peer does not help with.

#[test]
fn a_peer_that_never_closes_is_cut_off_however_the_end_began() {
    let server = Server::start(&[]);
    let mut closer = server.join();
    closer.send(close(1000, b""));
    closer.expect_close(1000);
    let mut breaker = server.join();
    breaker.send(frame(0x40, b""));
    breaker.expect_close(1002);
    let mut refused = server.connect();
    refused.send("nonsense\r\n\r\n");
    refused.expect_refusal(400);
    let mut visitor = server.connect();
    visitor.send(request("GET / HTTP/1.0", &[]));
    assert_eq!(visitor.response().status, 200);
    visitor.expect_end();
    for peer in [closer, breaker, refused, visitor] {
        assert_cut_off(peer);
    }
}

#[test]
fn an_upgrade_that_comes_late_but_in_time_is_accepted() {
    let server = Server::start(&["--request-timeout", "10s"]);
    let mut peer = server.connect();
    pause(300);
    peer.send(upgrade("/ws"));
    peer.expect_upgrade();
}
