//! Every combination of what is configured, shown and wanted; and tokens a step away from good ones.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha512;

use super::*;
use minted::{KEY, encode, mint, mint_with, sign};

mod jwt;
#[path = "../../../tests/common/token.rs"]
mod minted;

const NOW: u64 = 1_000_000;
const ROOM: &str = "lobby";

fn settings(publish: bool, listen: bool, jwt: bool) -> AccessSettings {
    AccessSettings {
        publish_token: publish.then(|| "publish".into()),
        listen_token: listen.then(|| "listen".into()),
        jwt_key: jwt.then(|| KEY.into()),
        ..AccessSettings::default()
    }
}

fn access(publish: bool, listen: bool, jwt: bool) -> Access {
    Access::new(&settings(publish, listen, jwt))
}

/// A token with what it must have, and `more`.
fn good(more: &Value) -> String {
    let mut payload = json!({"exp": NOW + 1, "rooms": [ROOM], "say": true});
    for (name, value) in more.as_object().expect("claims") {
        payload[name] = value.clone();
    }
    mint(&payload)
}

const LISTEN: Option<Right> = Some(Right::Listen);
const PUBLISH: Option<Right> = Some(Right::Publish);

/// How listening, publishing and what takes no right are answered: `s` and `l` for a grant with and without the right to
/// publish, the status otherwise.
fn answers(access: &Access, token: Option<&str>) -> String {
    let answers = [LISTEN, PUBLISH, None].map(|right| {
        match access.check(token.map(str::as_bytes), ROOM, right, NOW) {
            Ok(grant) if grant.may_publish => "s".to_owned(),
            Ok(_) => "l".to_owned(),
            Err(refusal) => (refusal.status() as u16).to_string(),
        }
    });
    answers.join(" ")
}

#[test]
fn the_whole_table() {
    let talker = good(&json!({}));
    let listener = good(&json!({"say": false}));
    let elsewhere = good(&json!({"rooms": ["other"]}));
    let expired = good(&json!({"exp": NOW}));
    let shown = [
        None,
        Some("publish"),
        Some("listen"),
        Some("wrong"),
        Some(&*talker),
        Some(&*listener),
        Some(&*elsewhere),
        Some(&*expired),
    ];
    let no = "401 401 401";
    let all = "s s s";
    let listens = "l 403 l";
    let nothing = "403 403 l";
    // Configured: publish token, listen token, JWT key. Shown: as above.
    for (configured, expected) in [
        ((false, false, false), [all; 8]),
        (
            (true, false, false),
            ["l 401 l", all, no, no, no, no, no, no],
        ),
        (
            (false, true, false),
            ["401 s s", no, all, no, no, no, no, no],
        ),
        (
            (true, true, false),
            ["401 401 l", all, listens, no, no, no, no, no],
        ),
        (
            (false, false, true),
            ["401 401 l", no, no, no, all, listens, nothing, no],
        ),
        (
            (true, false, true),
            ["401 401 l", all, no, no, all, listens, nothing, no],
        ),
        (
            (false, true, true),
            ["401 401 l", no, listens, no, all, listens, nothing, no],
        ),
        (
            (true, true, true),
            ["401 401 l", all, listens, no, all, listens, nothing, no],
        ),
    ] {
        let (publish, listen, jwt) = configured;
        let access = access(publish, listen, jwt);
        assert_eq!(access.is_open(), configured == (false, false, false));
        for (token, expected) in shown.iter().zip(expected) {
            assert_eq!(
                answers(&access, *token),
                expected,
                "{configured:?} {token:?}"
            );
        }
    }
}

#[test]
fn a_token_is_bad_one_byte_over_its_bound() {
    let token = "a".repeat(TOKEN_LEN_MAX);
    let longer = format!("{token}a");
    let settings = |token: &str| AccessSettings {
        publish_token: Some(token.into()),
        ..AccessSettings::default()
    };
    assert_eq!(settings(&token).check(), Ok(()));
    assert!(settings(&longer).check().is_err());
    let access = Access::new(&settings(&token));
    assert_eq!(answers(&access, Some(&token)), "s s s");
    assert_eq!(answers(&access, Some(&longer)), "401 401 401");

    // The same for a token that is signed.
    let access = self::access(false, false, true);
    let padded = |len: usize| good(&json!({"pad": "a".repeat(len)}));
    let fits = (0..TOKEN_LEN_MAX)
        .rev()
        .map(padded)
        .find(|token| token.len() <= TOKEN_LEN_MAX);
    assert_eq!(answers(&access, fits.as_deref()), "s s s");
    assert!(fits.is_some_and(|token| token.len() > TOKEN_LEN_MAX - 2));
    assert_eq!(answers(&access, Some(&padded(3072))), "401 401 401");
}

#[test]
fn a_token_is_compared_whole() {
    let access = access(true, true, false);
    for token in [
        "",
        "p",
        "publis",
        "publish ",
        "publish\0",
        "Publish",
        "publishpublish",
    ] {
        assert_eq!(answers(&access, Some(token)), "401 401 401", "{token:?}");
    }
}

#[test]
fn nothing_shows_a_secret() {
    let settings = settings(true, true, true);
    let shown = format!("{settings:?} {:?}", Access::new(&settings));
    for secret in ["\"publish\"", "\"listen\"", KEY, "[112, 117", "[48, 49"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_eq!(shown.matches("***").count(), 6, "{shown}");
}

#[test]
fn a_grant_is_over_in_the_second_that_it_names() {
    let grant = |expires| Grant {
        may_publish: true,
        expires,
    };
    assert!(!grant(None).is_over(u64::MAX));
    assert!(!grant(Some(NOW + 1)).is_over(NOW));
    assert!(grant(Some(NOW)).is_over(NOW));
}
