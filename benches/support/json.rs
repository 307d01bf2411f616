//! Text as applications send it: JSON, which compresses two to four times at a kilobyte. The same in every run.

use std::fmt::Write as _;

const NAMES: [&str; 8] = [
    "amara", "bo", "chidi", "dalia", "emre", "freya", "goran", "hana",
];
const WORDS: [&str; 32] = [
    "order", "the", "filled", "at", "price", "of", "market", "open", "is", "waiting", "for", "a",
    "limit", "change", "down", "below", "again", "who", "has", "seen", "late", "news", "and",
    "volume", "rises", "before", "close", "we", "hold", "until", "tomorrow", "morning",
];
const WORDS_PER_TEXT: u32 = 9;

/// `len` bytes, different for every `seed`. They end in no white space; what is too long is cut off.
pub(crate) fn json(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut text = String::new();
    while text.len() < len {
        push_object(&mut text, &mut random);
    }
    let mut text = text.into_bytes();
    text.truncate(len);
    if let Some(last) = text.last_mut() {
        *last = b'}';
    }
    text
}

fn push_object(text: &mut String, random: &mut Random) {
    let name = random.one_of(&NAMES);
    let [id, price, cents] = [90_000, 900, 100].map(|bound| random.below(bound));
    let at = 1_764_500_000_000 + random.below(90_000_000);
    // Writing to a `String` cannot fail.
    let _ = write!(
        text,
        r#"{{"id":{id},"user":"{name}","price":{price}.{cents:02},"at":{at},"text":""#
    );
    for _ in 0..WORDS_PER_TEXT {
        text.push_str(random.one_of(&WORDS));
        text.push(' ');
    }
    text.push_str("\"},");
}

/// A generator of 64 bits (Knuth's constants), of which the upper ones are used.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_of(&mut self, choices: &[&'static str]) -> &'static str {
        let index = self.below(choices.len() as u64);
        let index = usize::try_from(index).unwrap_or_default();
        choices.get(index).copied().unwrap_or_default()
    }
}
