//! JSON Web Tokens a step away from good ones.

use super::*;

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
