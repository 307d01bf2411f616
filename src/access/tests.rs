//! Every combination of what is configured, shown and wanted; and tokens a step away from good ones.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha512;

use super::*;
use minted::{KEY, encode, mint, mint_with, sign};

#[path = "../../tests/common/token.rs"]
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

#[track_caller]
fn assert_refused(token: &str, refusal: Refusal) {
    let access = access(true, true, true);
    for right in [LISTEN, PUBLISH, None] {
        let checked = access.check(Some(token.as_bytes()), ROOM, right, NOW);
        assert_eq!(checked, Err(refusal), "{token}");
    }
}

#[test]
fn no_other_algorithm_is_taken_and_no_other_key() {
    let payload = json!({"exp": NOW + 1, "rooms": ["*"], "say": true});
    let bad = Refusal::BadToken;
    for algorithm in [
        "none", "None", "hs256", "HS384", "HS512", "RS256", "ES256", "",
    ] {
        let header = json!({"alg": algorithm});
        // Signed as HS256 all the same, and not signed.
        assert_refused(&mint_with(&header, &payload, KEY), bad);
        assert_refused(
            &format!(
                "{}.{}.",
                encode(header.to_string()),
                encode(payload.to_string())
            ),
            bad,
        );
        assert_refused(
            &format!(
                "{}.{}",
                encode(header.to_string()),
                encode(payload.to_string())
            ),
            bad,
        );
    }
    let signed = format!(
        "{}.{}",
        encode(r#"{"alg":"HS512"}"#),
        encode(payload.to_string())
    );
    let mac = Hmac::<Sha512>::new_from_slice(KEY.as_bytes()).expect("any key");
    let signature = mac.chain_update(&signed).finalize().into_bytes();
    let signature = encode(signature);
    assert_refused(&format!("{signed}.{signature}"), bad);
    for header in [
        json!({}),
        json!({"alg": null}),
        json!({"alg": ["HS256"]}),
        json!({"alg": "HS256", "crit": ["b64"], "b64": false}),
        json!(["HS256"]),
        json!("HS256"),
    ] {
        assert_refused(&mint_with(&header, &payload, KEY), bad);
    }
    let hs256 = json!({"alg": "HS256"});
    assert_refused(&mint_with(&hs256, &payload, ""), bad);
    assert_refused(&mint_with(&hs256, &payload, &KEY[1..]), bad);
    let ours = mint_with(&hs256, &payload, KEY);
    assert_eq!(answers(&access(false, false, true), Some(&ours)), "s s s");
}

#[test]
fn a_token_with_anything_changed_is_a_bad_one() {
    let token = good(&json!({}));
    let access = access(false, false, true);
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        // Another letter of the alphabet, or no dot.
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let checked = access.check(Some(&changed), ROOM, None, NOW);
        assert_eq!(checked, Err(Refusal::BadToken), "{at}");
        let cut = access.check(Some(&token.as_bytes()[..at]), ROOM, None, NOW);
        assert_eq!(cut, Err(Refusal::BadToken), "{at}");
    }
    for changed in [
        format!("{token}="),
        format!("{token}."),
        format!(".{token}"),
        format!(" {token}"),
        token.replacen('.', "..", 1),
        "..".to_owned(),
        ".".to_owned(),
    ] {
        assert_refused(&changed, Refusal::BadToken);
    }
    for payload in ["", "[]", "1", "\"a\"", "{", "{}x", "\u{0}"] {
        let header = encode(r#"{"alg":"HS256"}"#);
        let signed = format!("{header}.{}", encode(payload));
        assert_refused(&sign(&signed, KEY), Refusal::BadToken);
    }
    let deep = "[".repeat(1000);
    let signed = format!("e30.{}", encode(deep));
    assert_refused(&sign(&signed, KEY), Refusal::BadToken);
}

#[test]
fn a_token_is_good_from_its_first_second_to_the_last_before_its_end() {
    let access = access(false, false, true);
    let at = |claims: Value| {
        let checked = access.check(Some(good(&claims).as_bytes()), ROOM, LISTEN, NOW);
        checked.map(|grant| grant.expires)
    };
    let expired = Err(Refusal::TokenExpired);
    let early = Err(Refusal::TokenTooEarly);
    for (exp, expected) in [
        (json!(NOW + 1), Ok(Some(NOW + 1))),
        (json!(NOW), expired),
        (json!(NOW - 1), expired),
        (json!(0), expired),
        (json!(-1), expired),
        (json!(u64::MAX), Ok(Some(u64::MAX))),
        (json!(1e300), Ok(Some(u64::MAX))),
        (json!(-1e300), expired),
        // A part of a second is none.
        (json!(1_000_000.9), expired),
        (json!(1_000_001.9), Ok(Some(NOW + 1))),
    ] {
        assert_eq!(at(json!({"exp": exp})), expected, "{exp}");
    }
    for (nbf, is_valid) in [
        (json!(NOW), true),
        (json!(NOW + 1), false),
        (json!(0), true),
        (json!(-1), true),
        (json!(999_999.5), true),
        (json!(1_000_000.5), false),
        (json!(u64::MAX), false),
    ] {
        let expected = if is_valid { Ok(Some(NOW + 1)) } else { early };
        assert_eq!(at(json!({"nbf": nbf})), expected, "{nbf}");
    }
    for claims in [
        json!({"exp": null}),
        json!({"exp": "1000001"}),
        json!({"exp": [1_000_001]}),
        json!({"nbf": null}),
        json!({"nbf": "0"}),
        json!({"rooms": null}),
        json!({"rooms": 1}),
        json!({"rooms": [1]}),
        json!({"rooms": [ROOM, null]}),
        json!({"rooms": {ROOM: true}}),
        json!({"say": null}),
        json!({"say": 1}),
        json!({"say": "true"}),
    ] {
        assert_eq!(at(claims.clone()), Err(Refusal::BadToken), "{claims}");
    }
    let without = mint(&json!({"rooms": ["*"], "say": true}));
    assert_refused(&without, Refusal::BadToken);
}

#[test]
fn rooms_are_meant_by_their_names() {
    let access = access(false, false, true);
    let may = |rooms: Value, room: &str| {
        let token = good(&json!({"rooms": rooms}));
        let rights = [LISTEN, PUBLISH].map(|right| {
            access
                .check(Some(token.as_bytes()), room, right, NOW)
                .is_ok()
        });
        assert_eq!(rights[0], rights[1]);
        rights[0]
    };
    for room in ["", "a", "*"] {
        assert!(may(json!(["*"]), room));
        assert!(may(json!("*"), room));
        assert!(may(json!(["b", "*"]), room));
        assert!(!may(json!([]), room));
        assert!(!may(json!(["b"]), room));
    }
    assert!(may(json!([""]), "") && may(json!(""), ""));
    assert!(!may(json!([""]), "a"));
    assert!(may(json!(["a", "b"]), "a") && may(json!(["a", "b"]), "b"));
    for name in ["A", "a*", "ab", "a ", "/a"] {
        assert!(!may(json!([name]), "a"), "{name}");
    }
    let no_rooms = mint(&json!({"exp": NOW + 1, "say": true}));
    assert_eq!(answers(&access, Some(&no_rooms)), "403 403 l");
    let no_say = mint(&json!({"exp": NOW + 1, "rooms": [ROOM]}));
    assert_eq!(answers(&access, Some(&no_say)), "l 403 l");
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
