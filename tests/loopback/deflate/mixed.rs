//! A room in which some readers inflate and others do not, some are behind and some know ids: all get the same texts
//! in the same order.

use std::thread;

use super::{deflated, join_deflated, listen_deflated, offer, rough, slow_server};
use crate::common::deflate::{DEFLATE_OFFER, deflated_text};
use crate::common::rooms::Listener;
use crate::common::wire::text;
use crate::common::{Peer, Server};
use crate::random::Random;

const COUNT: usize = 200;
/// The lengths of messages: below the minimum, within small windows, and beyond them.
const LENS: [usize; 6] = [3, 150, 250, 1_000, 5_000, 20_000];

/// A reader, and whether it takes its time.
enum Reader {
    Plain(Peer),
    Numbered(Listener),
}

impl Reader {
    /// Reads so many texts.
    fn hear(self, count: usize) -> Vec<String> {
        match self {
            Self::Plain(mut peer) => peer.hear_lines(count),
            Self::Numbered(mut listener) => {
                let start = listener.expect_fresh();
                let texts = (1..=count as u64).map(|seq| {
                    let line = listener.line();
                    let text = line.strip_prefix(&format!("{} ", start.at(seq)));
                    text.expect("the next id").to_owned()
                });
                texts.collect()
            }
        }
    }
}

/// Readers of all kinds, each twice: as usual, and with a socket that soon is full.
fn readers(server: &Server) -> Vec<Reader> {
    let slow = || Peer::connect_with_small_buffer(server.addr);
    let mut readers = vec![
        Reader::Plain(server.connect().upgraded("/ws/a")),
        Reader::Plain(slow().upgraded("/ws/a")),
        Reader::Plain(join_deflated(server, "/ws/a")),
        Reader::Plain(deflated(slow(), "/ws/a")),
        Reader::Plain(server.connect().upgraded("/ws/a?coalesce=0")),
        Reader::Numbered(server.listen_v1("/ws/a")),
        Reader::Numbered(Listener::v1(slow(), "/ws/a")),
        Reader::Numbered(listen_deflated(server, "/ws/a")),
        Reader::Numbered(Listener::v1_with(slow(), "/ws/a", &[DEFLATE_OFFER])),
        Reader::Numbered(server.listen_sse("/room/a")),
        Reader::Numbered(Listener::sse(slow(), "/room/a")),
    ];
    for bits in [8, 10, 13] {
        let fields = &[&offer(bits)[..]];
        readers.push(Reader::Plain(
            server.connect().upgraded_with("/ws/a", fields),
        ));
        readers.push(Reader::Plain(slow().upgraded_with("/ws/a", fields)));
        readers.push(Reader::Numbered(Listener::v1_with(slow(), "/ws/a", fields)));
    }
    readers
}

#[test]
fn all_readers_get_the_same_texts_in_the_same_order() {
    let server = slow_server(&["--send-queue", "1000"]);
    let readers = readers(&server);
    let mut random = Random::new(6);
    let mut texts = Vec::new();
    let mut talkers = [
        join_deflated(&server, "/ws/a"),
        server.connect().upgraded("/ws/a"),
    ];
    while texts.len() < COUNT {
        // Some are published in one turn.
        let count = random.between(1, 5).min(COUNT - texts.len());
        let is_deflated = random.chance(50);
        let new: Vec<String> = (0..count)
            .map(|_| rough(*random.pick(&LENS), &mut random))
            .collect();
        let talker = &mut talkers[usize::from(!is_deflated)];
        let bytes: Vec<u8> = new
            .iter()
            .flat_map(|line| match is_deflated {
                true => deflated_text(line),
                false => text(line),
            })
            .collect();
        talker.send(bytes);
        for talker in &mut talkers {
            assert!(talker.hear_lines(count) == new);
        }
        texts.extend(new);
    }
    let reading: Vec<_> = readers
        .into_iter()
        .map(|reader| thread::spawn(move || reader.hear(COUNT)))
        .collect();
    for (index, reader) in reading.into_iter().enumerate() {
        let heard = reader.join().expect("everything was read");
        assert!(heard == texts, "reader {index}");
    }
}
