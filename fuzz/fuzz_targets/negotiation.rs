//! Any lines of `Sec-WebSocket-Extensions` against a parser that cuts them into words first: the same are valid,
//! and of those the same offer is accepted, with the same answer.
#![no_main]

use std::collections::HashMap;

use fanfare::ws::deflate::negotiate;
use fanfare::ws::extensions::is_valid;
use libfuzzer_sys::fuzz_target;

#[derive(Clone, PartialEq)]
enum Word {
    Mark(char),
    Token(String),
    Quoted(String),
}

fn is_token(c: char) -> bool {
    c.is_ascii_graphic() && !"\"(),/:;<=>?@[\\]{}".contains(c)
}

fn words(line: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => {}
            ',' | ';' | '=' => words.push(Word::Mark(c)),
            '"' => {
                let mut quoted = String::new();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => quoted.push(chars.next()?),
                        c => quoted.push(c),
                    }
                }
                let is_good = !quoted.is_empty() && quoted.chars().all(is_token);
                words.push(is_good.then_some(Word::Quoted(quoted))?);
            }
            c if is_token(c) => {
                let mut token = String::from(c);
                while let Some(c) = chars.next_if(|&c| is_token(c)) {
                    token.push(c);
                }
                words.push(Word::Token(token));
            }
            _ => return None,
        }
    }
    Some(words)
}

type Offer = (String, Vec<(String, Option<String>)>);

fn offer(words: &[Word]) -> Option<Offer> {
    let mut parts = words.split(|word| *word == Word::Mark(';'));
    let [Word::Token(name)] = parts.next()? else {
        return None;
    };
    let parameter = |part: &[Word]| match part {
        [Word::Token(name)] => Some((name.clone(), None)),
        [
            Word::Token(name),
            Word::Mark('='),
            Word::Token(value) | Word::Quoted(value),
        ] => Some((name.clone(), Some(value.clone()))),
        _ => None,
    };
    Some((name.clone(), parts.map(parameter).collect::<Option<_>>()?))
}

/// The answer's parameter, if it has one, and the window's bits.
fn accept((name, parameters): &Offer) -> Option<(String, u8)> {
    let values: HashMap<_, _> = parameters.iter().cloned().collect();
    let is_window = |value: &str| (8..=15).any(|bits: u8| bits.to_string() == value);
    let is_legal = values.iter().all(|(name, value)| {
        let value = value.as_deref();
        match name.as_str() {
            "server_no_context_takeover" | "client_no_context_takeover" => value.is_none(),
            "server_max_window_bits" => value.is_some_and(is_window),
            "client_max_window_bits" => value.is_none_or(is_window),
            _ => false,
        }
    });
    let is_good = name == "permessage-deflate" && values.len() == parameters.len() && is_legal;
    let bits = values.get("server_max_window_bits").cloned().flatten();
    is_good.then(|| match bits {
        Some(bits) => (
            format!("; server_max_window_bits={bits}"),
            bits.parse().expect("a window"),
        ),
        None => (String::new(), 15),
    })
}

fuzz_target!(|input: &str| {
    let lines = || input.split('\n').map(str::as_bytes);
    let members: Option<Vec<Offer>> = input
        .split('\n')
        .map(words)
        .collect::<Option<Vec<_>>>()
        .and_then(|lines| {
            let members = lines
                .iter()
                .flat_map(|line| line.split(|word| *word == Word::Mark(',')));
            members
                .filter(|member| !member.is_empty())
                .map(offer)
                .collect()
        });
    let members = members.filter(|members| !members.is_empty());
    assert_eq!(is_valid(lines()), members.is_some());
    let agreement = negotiate(lines());
    let Some(members) = members else {
        return;
    };
    let answer = agreement.map(|agreement| {
        let mut answer = Vec::new();
        agreement.push_to(&mut answer);
        (
            String::from_utf8(answer).expect("ASCII"),
            agreement.window.bits(),
        )
    });
    let begin = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let expected = members.iter().find_map(accept);
    assert_eq!(
        answer,
        expected.map(|(named, bits)| (format!("{begin}{named}"), bits))
    );
});
