//! Readers that inflate and are behind: batches are joined without being compressed again, what has no compressed
//! form goes between them, and where a connection starts inside a batch the rest of that is plain.

use super::{deflated, listen_deflated, offer, rough, server, slow_server, smooth};
use crate::common::deflate::{DEFLATE_OFFER, DEFLATED_TEXT};
use crate::common::rooms::{Id, Listener, follow};
use crate::common::wire::TEXT;
use crate::common::{Peer, Server};
use crate::random::Random;

/// More than the kernel holds for a reader, when it is compressed.
const COUNT: usize = 100;
const LONG: usize = 16 * 1024;

/// A message of its own turn each: those that shrink to a half, and every so often one that is too short.
fn publish(server: &Server, len: usize, short_every: usize, random: &mut Random) -> Vec<String> {
    let texts: Vec<String> = (0..COUNT)
        .map(|number| match number % short_every {
            0 => format!("short {number}"),
            _ => rough(len, random),
        })
        .collect();
    for text in &texts {
        server.publish("/room/a", text);
    }
    texts
}

/// Reads messages until they hold so many lines: whether each was compressed, and its lines.
fn hear_messages(peer: &mut Peer, count: usize) -> Vec<(bool, Vec<String>)> {
    let mut messages: Vec<(bool, Vec<String>)> = Vec::new();
    let mut heard = 0;
    while heard < count {
        let frame = peer.frame();
        let is_deflated = frame.first == DEFLATED_TEXT;
        let text = peer.text_of(frame);
        let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        heard += lines.len();
        messages.push((is_deflated, lines));
    }
    messages
}

/// All lines, in their order.
fn lines(messages: &[(bool, Vec<String>)]) -> Vec<String> {
    messages
        .iter()
        .flat_map(|(_, lines)| lines.clone())
        .collect()
}

/// How many messages that are compressed, or not, hold more than one line.
fn joined(messages: &[(bool, Vec<String>)], is_deflated: bool) -> usize {
    let is_joined = |it: &&(bool, Vec<String>)| it.0 == is_deflated && it.1.len() > 1;
    messages.iter().filter(is_joined).count()
}

fn slow_peer(server: &Server) -> Peer {
    Peer::connect_with_small_buffer(server.addr)
}

#[test]
fn batches_that_wait_are_joined_into_one_compressed_message() {
    let server = slow_server(&["--send-queue", "1000"]);
    let mut random = Random::new(1);
    let mut plain = deflated(slow_peer(&server), "/ws/a");
    let mut numbered = Listener::v1_with(slow_peer(&server), "/ws/a", &[DEFLATE_OFFER]);
    let start = numbered.expect_fresh();
    let texts = publish(&server, LONG, usize::MAX, &mut random);
    let messages = hear_messages(&mut plain, COUNT);
    assert!(lines(&messages) == texts);
    assert!(joined(&messages, true) > 0, "no batch had to wait");
    let messages = hear_messages(&mut numbered.peer, COUNT);
    let expected: Vec<String> = (1..)
        .zip(&texts)
        .map(|(seq, text)| format!("{} {text}", start.at(seq)))
        .collect();
    assert!(lines(&messages) == expected);
    assert!(joined(&messages, true) > 0, "no batch had to wait");
}

#[test]
fn a_joined_message_fits_a_small_window_if_each_batch_does() {
    let server = slow_server(&["--send-queue", "1000"]);
    let mut random = Random::new(2);
    // All but the short ones fit into one window and not into the other.
    let mut readers = [14, 13].map(|bits| {
        let peer = slow_peer(&server);
        (bits, peer.upgraded_with("/ws/a", &[&offer(bits)]))
    });
    let texts = publish(&server, LONG, usize::MAX, &mut random);
    for (bits, reader) in &mut readers {
        let messages = hear_messages(reader, COUNT);
        assert!(lines(&messages) == texts, "{bits}");
        assert!(joined(&messages, *bits == 14) > 0, "{bits}");
        assert_eq!(joined(&messages, *bits != 14), 0, "{bits}");
    }
}

#[test]
fn compressed_and_plain_batches_take_turns_and_keep_their_order() {
    let server = slow_server(&["--send-queue", "1000"]);
    let mut random = Random::new(3);
    let mut reader = deflated(slow_peer(&server), "/ws/a");
    let texts = publish(&server, LONG, 5, &mut random);
    let messages = hear_messages(&mut reader, COUNT);
    assert!(lines(&messages) == texts);
    assert!(joined(&messages, true) > 0, "no batch had to wait");
    for (is_deflated, lines) in &messages {
        let is_right = |line: &String| *is_deflated == (line.len() == LONG);
        assert!(lines.iter().all(is_right), "{} lines", lines.len());
    }
}

#[test]
fn the_rest_of_a_batch_is_plain_and_what_follows_is_compressed() {
    let server = server(&[]);
    let body: String = (1..=50)
        .map(|number| format!("message {number}\n"))
        .collect();
    let head = server.publish("/room/a?lines=1", &body);
    assert_eq!(head.seq, 50);
    let next = server.publish("/room/a", &smooth(400));
    for (query, seq, first_word) in [
        (format!("since={}", head.at(0)), 0, "resumed"),
        (format!("since={}", head.at(1)), 1, "resumed"),
        (format!("since={}", head.at(33)), 33, "resumed"),
        (format!("since={}", head.at(49)), 49, "resumed"),
        (format!("since={head}"), 50, "resumed"),
        ("last=3".to_owned(), 48, "fresh"),
        ("last=51".to_owned(), 0, "fresh"),
    ] {
        let mut reader = listen_deflated(&server, &format!("/ws/a?{query}"));
        let line = format!(":{first_word} {}", head.at(seq));
        assert_eq!(reader.line(), line, "{query}");
        let mut expected: Vec<String> = (seq + 1..=50)
            .map(|seq| format!("{} message {seq}", head.at(seq)))
            .collect();
        expected.push(format!("{next} {}", smooth(400)));
        let messages = hear_messages(&mut reader.peer, expected.len());
        assert_eq!(lines(&messages), expected, "{query}");
        // From the beginning of the batch on, both are one compressed message.
        let kinds: Vec<bool> = messages
            .iter()
            .map(|(is_deflated, _)| *is_deflated)
            .collect();
        match seq {
            0 | 50 => assert_eq!(kinds, [true], "{query}"),
            _ => assert_eq!(kinds, [false, true], "{query}"),
        }
    }
}

#[test]
fn a_reader_without_ids_starts_inside_a_batch_as_well() {
    let server = server(&[]);
    server.publish_numbers("/room/a", 300);
    let mut reader = super::join_deflated(&server, "/ws/a?last=299");
    let frame = reader.frame();
    assert_eq!(frame.first, TEXT);
    let expected: Vec<String> = (2..=300).map(|number| number.to_string()).collect();
    assert_eq!(reader.text_of(frame), expected.join("\n"));
    let mut reader = super::join_deflated(&server, "/ws/a?last=300");
    let frame = reader.frame();
    assert_eq!(frame.first, DEFLATED_TEXT);
    assert_eq!(reader.text_of(frame), format!("1\n{}", expected.join("\n")));
}

/// The last id, and that message.
fn publish_last(server: &Server) -> (Id, String) {
    let text = smooth(500);
    (server.publish("/room/a", &text), text)
}

#[test]
fn a_reader_that_skips_finishes_the_compressed_message_that_it_is_in() {
    let server = slow_server(&["--slow", "skip", "--send-queue", "16"]);
    let mut random = Random::new(4);
    let mut reader = Listener::v1_with(slow_peer(&server), "/ws/a", &[DEFLATE_OFFER]);
    let start = reader.expect_fresh();
    publish(&server, LONG, 7, &mut random);
    let (last, text) = publish_last(&server);
    let end = format!("{last} {text}");
    let mut heard = Vec::new();
    while heard.last() != Some(&end) {
        heard.push(reader.line());
    }
    let (position, skipped) = follow(start, &heard);
    assert_eq!(position, last);
    assert!(skipped > 0, "nothing was skipped");
    assert!(skipped < COUNT as u64, "everything was skipped");
}

#[test]
fn a_slow_reader_without_ids_is_dropped_and_has_got_whole_messages() {
    let server = slow_server(&["--send-queue", "16"]);
    let mut random = Random::new(5);
    let mut reader = deflated(slow_peer(&server), "/ws/a");
    let texts = publish(&server, LONG, 7, &mut random);
    server.wait_for_log(&["connection closed", "stuck"]);
    let heard = reader.hear_lines_to_the_end();
    assert!(!heard.is_empty() && heard.len() < COUNT, "{}", heard.len());
    assert!(texts.starts_with(&heard));
}
