//! What is said in the room, to whom it goes, and what happens to those who do not listen.

use std::io::Write;
use std::thread;

use crate::common::wire::{
    BEGIN_TEXT, BINARY, CONTINUE, END, PING, PONG, TEXT, close, frame, header_7, masked, text,
};
use crate::common::{Peer, Server};
use tungstenite::Message;

/// Says something long, with a number to tell it by.
fn numbered(number: usize, len: usize) -> String {
    format!("{number} {}", "x".repeat(len))
}

/// The numbers of such lines.
fn numbers(lines: &[String]) -> Vec<usize> {
    let number = |line: &String| line.split(' ').next().and_then(|n| n.parse().ok());
    lines
        .iter()
        .map(|line| number(line).expect("a number comes first"))
        .collect()
}

fn assert_hear(peers: &mut [&mut Peer], expected: &str) {
    for peer in peers {
        peer.expect_frame(TEXT, expected.as_bytes());
    }
}

// What a message becomes.

#[test]
fn a_message_goes_to_everybody_its_sender_included() {
    let server = Server::start(&[]);
    let (mut one, mut two, mut three) = (server.join(), server.join(), server.join());
    one.say("hello");
    assert_hear(&mut [&mut one, &mut two, &mut three], "hello");
    three.say("hello yourself");
    assert_hear(&mut [&mut one, &mut two, &mut three], "hello yourself");
}

#[test]
fn independent_clients_chat_with_each_other() {
    let server = Server::start(&[]);
    let (mut one, mut two) = (server.polite("/ws"), server.polite("/ws"));
    one.send(Message::text("hello")).expect("it is taken");
    for client in [&mut one, &mut two] {
        assert_eq!(client.read().expect("a message"), Message::text("hello"));
    }
}

#[test]
fn white_space_around_a_message_is_trimmed() {
    let server = Server::start(&[]);
    let mut peer = server.join();
    for (said, heard) in [
        ("  hello\t ", "hello"),
        ("\r\n hello \n", "hello"),
        ("\u{2003}\u{3000}hello\u{a0}\u{2028}\u{85}", "hello"),
        (" in  side ", "in  side"),
        ("\u{a0}in\u{a0}side\u{a0}", "in\u{a0}side"),
        // No white space in Unicode's eyes.
        ("\u{200b}hello\u{200b}", "\u{200b}hello\u{200b}"),
    ] {
        peer.say(said);
        assert_eq!(peer.hear(), heard, "{said:?}");
    }
}

#[test]
fn a_newline_inside_a_message_becomes_a_space() {
    let server = Server::start(&[]);
    let mut peer = server.join();
    for (said, heard) in [
        ("a\nb", "a b"),
        ("a\n\nb\nc", "a  b c"),
        ("\na\nb\n", "a b"),
    ] {
        peer.say(said);
        assert_eq!(peer.hear(), heard, "{said:?}");
    }
}

#[test]
fn a_message_of_white_space_becomes_an_empty_line() {
    let server = Server::start(&[]);
    let mut peer = server.join();
    for said in ["", " ", "\n\t\u{3000}"] {
        peer.say(said);
        assert_eq!(peer.hear(), "", "{said:?}");
    }
}

#[test]
fn markup_is_passed_on_as_it_is() {
    let server = Server::start(&[]);
    let mut peer = server.join();
    let said = "<b onclick='x()'>&amp;</b>\u{0}\u{7f}";
    peer.say(said);
    assert_eq!(peer.hear(), said);
}

#[test]
fn binary_that_is_text_counts_as_text() {
    let server = Server::start(&[]);
    let (mut one, mut two) = (server.join(), server.join());
    one.send(frame(BINARY, " grün\nund blau ".as_bytes()));
    assert_hear(&mut [&mut one, &mut two], "grün und blau");
}

#[test]
fn binary_that_is_no_text_is_unsupported_and_nobody_else_notices() {
    let server = Server::start(&[]);
    let (mut one, mut two) = (server.join(), server.join());
    one.send(frame(BINARY, b"gr\xfcn"));
    one.expect_close(1003);
    two.say("quiet here");
    assert_hear(&mut [&mut two], "quiet here");
}

#[test]
fn bad_text_is_heard_by_nobody() {
    let server = Server::start(&[]);
    let (mut one, mut two) = (server.join(), server.join());
    one.send(frame(TEXT, b"gr\xfcn"));
    one.expect_close(1007);
    two.say("quiet here");
    assert_hear(&mut [&mut two], "quiet here");
}

#[test]
fn a_message_of_512_bytes_is_heard_and_a_longer_one_only_ends_its_sender() {
    let server = Server::start(&[]);
    let (mut one, mut two) = (server.join(), server.join());
    let longest = "x".repeat(512);
    one.say(&longest);
    assert_hear(&mut [&mut one, &mut two], &longest);
    one.say(&"x".repeat(513));
    one.expect_close(1009);
    two.say("quiet here");
    assert_hear(&mut [&mut two], "quiet here");
}

#[test]
fn a_message_in_fragments_is_heard_when_it_is_whole() {
    let server = Server::start(&[]);
    let (mut one, mut two) = (server.join(), server.join());
    one.send(frame(BEGIN_TEXT, b"hel"));
    one.send(frame(PING, b""));
    one.expect_frame(PONG, b"");
    two.say("meanwhile");
    assert_hear(&mut [&mut one, &mut two], "meanwhile");
    one.send(frame(END | CONTINUE, b"lo"));
    assert_hear(&mut [&mut one, &mut two], "hello");
}

// Who hears what, and in which order.

#[test]
fn all_hear_the_same_messages_in_the_same_order() {
    const SENDERS: usize = 4;
    const EACH: usize = 500;
    let server = Server::start(&[]);
    let mut senders: Vec<Peer> = (0..SENDERS).map(|_| server.join()).collect();
    let mut listener = server.join();
    let speaking: Vec<_> = senders
        .iter()
        .enumerate()
        .map(|(sender, peer)| {
            let mut writer = peer.writer();
            thread::spawn(move || {
                for number in 0..EACH {
                    let said = text(&format!("{sender} {number}"));
                    writer.write_all(&said).expect("it is taken");
                }
            })
        })
        .collect();
    let listening: Vec<_> = senders
        .drain(..)
        .map(|mut peer| thread::spawn(move || peer.hear_lines(SENDERS * EACH)))
        .collect();
    let heard = listener.hear_lines(SENDERS * EACH);
    for speaker in speaking {
        speaker.join().expect("everything was said");
    }
    for other in listening {
        let other = other.join().expect("everything was heard");
        assert!(other == heard, "two clients heard something different");
    }
    for sender in 0..SENDERS {
        let prefix = format!("{sender} ");
        let own: Vec<&str> = heard
            .iter()
            .filter_map(|line| line.strip_prefix(&prefix))
            .collect();
        let expected: Vec<String> = (0..EACH).map(|number| number.to_string()).collect();
        assert_eq!(own, expected, "sender {sender}");
    }
}

#[test]
fn a_joiner_hears_what_is_said_after_its_join() {
    let server = Server::start(&[]);
    let mut old = server.join();
    old.say("before");
    assert_hear(&mut [&mut old], "before");
    let mut new = server.join();
    old.say("after");
    assert_hear(&mut [&mut old, &mut new], "after");
}

#[test]
fn a_joiner_hears_what_it_says_in_the_same_breath() {
    let server = Server::start(&[]);
    let mut old = server.join();
    let mut new = server.connect();
    let upgrade = crate::common::wire::upgrade("/ws");
    new.send([upgrade.as_bytes(), &text("I am here")].concat());
    new.expect_upgrade();
    assert_hear(&mut [&mut old, &mut new], "I am here");
}

#[test]
fn there_is_one_room_whatever_the_query_says() {
    let server = Server::start(&[]);
    let mut one = server.connect().upgraded("/ws?room=1");
    let mut two = server.connect().upgraded("/ws?room=2");
    one.say("hello");
    assert_hear(&mut [&mut one, &mut two], "hello");
}

#[test]
fn an_echo_is_not_heard_in_the_room_nor_the_room_in_an_echo() {
    let server = Server::start(&["--echo"]);
    let (mut member, mut hermit, mut other) = (server.join(), server.echo(), server.echo());
    hermit.say("  to myself ");
    hermit.expect_frame(TEXT, b"  to myself ");
    member.say("to all");
    assert_hear(&mut [&mut member], "to all");
    for peer in [&mut hermit, &mut other] {
        peer.say("next");
        peer.expect_frame(TEXT, b"next");
    }
}

#[test]
fn somebody_with_an_open_page_and_no_websocket_is_not_in_the_room() {
    let server = Server::start(&[]);
    let (mut member, mut visitor) = (server.join(), server.connect());
    visitor.send(crate::common::wire::get("/"));
    assert_eq!(visitor.response().status, 200);
    member.say("hello");
    assert_hear(&mut [&mut member], "hello");
    visitor.send(crate::common::wire::get("/nothing"));
    assert_eq!(visitor.response().status, 404);
}

#[test]
fn last_words_are_heard_by_all_the_leaver_included() {
    let server = Server::start(&[]);
    let (mut leaver, mut other) = (server.join(), server.join());
    leaver.send([text("goodbye"), close(1000, b"")].concat());
    assert_hear(&mut [&mut other, &mut leaver], "goodbye");
    leaver.expect_close(1000);
}

#[test]
fn the_last_words_of_a_peer_that_breaks_a_rule_are_heard_as_well() {
    let server = Server::start(&[]);
    let (mut breaker, mut other) = (server.join(), server.join());
    breaker.send([text("watch this"), frame(0x40, b"")].concat());
    assert_hear(&mut [&mut other, &mut breaker], "watch this");
    breaker.expect_close(1002);
}

#[test]
fn nothing_is_heard_behind_ones_own_close() {
    let server = Server::start(&[]);
    let (mut leaver, mut other) = (server.join(), server.join());
    leaver.send(close(1000, b""));
    let answer = leaver.frame();
    assert_eq!(answer.payload, 1000_u16.to_be_bytes());
    other.say("too late");
    assert_hear(&mut [&mut other], "too late");
    leaver.expect_end();
}

#[test]
fn members_that_leave_in_every_way_harm_nobody() {
    let server = Server::start(&[]);
    let (mut one, mut two) = (server.join(), server.join());
    for way in 0..5 {
        let mut leaver = server.join();
        match way {
            0 => leaver.send(close(1000, b"")),
            1 => leaver.finish(),
            2 => leaver.send(header_7(TEXT, 100)),
            3 => leaver.send([header_7(TEXT, 100), masked(b"half a mess")].concat()),
            _ => leaver.send(b"\x00\x00"),
        }
        // In way 2 and 3 the rest never comes.
        drop(leaver);
        let said = format!("after way {way}");
        one.say(&said);
        assert_hear(&mut [&mut one, &mut two], &said);
    }
}

// Coalescing.

#[test]
fn messages_that_come_together_leave_together() {
    let server = Server::start(&[]);
    let (mut one, mut two, mut three) = (server.join(), server.join(), server.join());
    one.send([text("a"), text(" b "), text(""), text("c\nd"), text("e")].concat());
    assert_hear(&mut [&mut one, &mut two, &mut three], "a\nb\n\nc d\ne");
}

#[test]
fn messages_that_come_one_by_one_leave_one_by_one() {
    let server = Server::start(&[]);
    let (mut one, mut two) = (server.join(), server.join());
    for said in ["a", "b", "c"] {
        one.say(said);
        assert_hear(&mut [&mut one, &mut two], said);
    }
}

#[test]
fn what_waits_for_a_slow_reader_arrives_together_and_without_a_gap() {
    const COUNT: usize = 200;
    // A few of them may be joined into one frame.
    const LEN: usize = 64 * 1024;
    // As many messages as the queue holds, and more bytes than the kernel does.
    let server = Server::start(&["--max-message", "256KiB", "--write-wait", "1min"]);
    let mut slow = server.join_with_small_buffer();
    let mut quick = server.join();
    for number in 0..COUNT {
        quick.say(&numbered(number, LEN));
        assert_eq!(quick.hear_lines(1).len(), 1);
    }
    let mut lines = Vec::new();
    let mut message_count = 0;
    while lines.len() < COUNT {
        lines.extend(slow.hear_lines(1));
        message_count += 1;
    }
    assert_eq!(numbers(&lines), (0..COUNT).collect::<Vec<_>>());
    assert!(message_count < COUNT, "no two messages came together");
    // It has caught up.
    quick.say("next");
    assert_hear(&mut [&mut quick, &mut slow], "next");
}

// Those who do not listen, and those who do.

#[test]
fn a_stuck_client_is_dropped_with_a_gapless_beginning_and_others_lose_nothing() {
    const COUNT: usize = 400;
    const LEN: usize = 128 * 1024;
    let server = Server::start(&[
        "--max-message",
        "256KiB",
        "--send-queue",
        "16",
        "--write-wait",
        "1min",
    ]);
    let mut stuck = server.join_with_small_buffer();
    let (mut one, mut two) = (server.join(), server.join());
    for number in 0..COUNT {
        let (speaker, other) = if number % 2 == 0 {
            (&mut one, &mut two)
        } else {
            (&mut two, &mut one)
        };
        let said = numbered(number, LEN);
        speaker.say(&said);
        assert_hear(&mut [speaker, other], &said);
    }
    server.wait_for_log(&["connection closed", "stuck"]);
    let heard = numbers(&stuck.hear_lines_to_the_end());
    assert!(heard.len() < COUNT, "it was not dropped");
    assert_eq!(heard, (0..heard.len()).collect::<Vec<_>>());
    one.say("all is well");
    assert_hear(&mut [&mut one, &mut two], "all is well");
}

#[test]
fn a_burst_drops_nobody_who_reads_and_loses_nothing() {
    const COUNT: usize = 5_000;
    let server = Server::start(&[]);
    let speaker = server.join();
    let mut writer = speaker.writer();
    let listening: Vec<_> = [server.join(), speaker, server.join(), server.join()]
        .into_iter()
        .map(|mut peer| thread::spawn(move || (peer.hear_lines(COUNT), peer)))
        .collect();
    let burst: Vec<u8> = (0..COUNT).flat_map(|n| text(&numbered(n, 100))).collect();
    writer.write_all(&burst).expect("it is taken");
    for listener in listening {
        let (lines, mut peer) = listener.join().expect("everything was heard");
        assert_eq!(numbers(&lines), (0..COUNT).collect::<Vec<_>>());
        peer.send(frame(PING, b"well?"));
        peer.expect_frame(PONG, b"well?");
    }
}

#[test]
fn a_burst_that_is_read_only_afterwards_is_not_lost_while_the_kernel_holds_it() {
    const COUNT: usize = 5_000;
    // Far more messages than the queue holds, and fewer bytes than a socket does.
    let server = Server::start(&[]);
    let (mut speaker, mut listener) = (server.join(), server.join());
    let burst: Vec<u8> = (0..COUNT).flat_map(|n| text(&n.to_string())).collect();
    speaker.send(burst);
    let expected: Vec<usize> = (0..COUNT).collect();
    assert_eq!(numbers(&speaker.hear_lines(COUNT)), expected);
    assert_eq!(numbers(&listener.hear_lines(COUNT)), expected);
}

#[test]
fn a_crowd_hears_everything_although_members_come_and_go() {
    const ROUNDS: usize = 50;
    let server = Server::start(&[]);
    let mut stayers: Vec<Peer> = (0..20).map(|_| server.join()).collect();
    for round in 0..ROUNDS {
        let visitors: Vec<Peer> = (0..5).map(|_| server.join()).collect();
        let said = format!("round {round}");
        let speaker = round % stayers.len();
        stayers[speaker].say(&said);
        // They leave while it is being told, with it unread.
        drop(visitors);
        let mut listeners: Vec<&mut Peer> = stayers.iter_mut().collect();
        assert_hear(&mut listeners, &said);
    }
}

#[test]
fn a_ping_is_answered_in_the_midst_of_the_talk() {
    let server = Server::start(&[]);
    let (mut one, mut two) = (server.join(), server.join());
    one.send([text("a"), frame(PING, b"p"), text("b")].concat());
    assert_hear(&mut [&mut two], "a\nb");
    let mut answers = [one.frame(), one.frame()];
    answers.sort_by_key(|frame| frame.first);
    assert_eq!(
        (answers[0].first, &answers[0].payload[..]),
        (TEXT, &b"a\nb"[..])
    );
    assert_eq!(
        (answers[1].first, &answers[1].payload[..]),
        (PONG, &b"p"[..])
    );
}
