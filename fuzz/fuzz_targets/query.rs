//! Any query against a parser that decodes everything at once; and what was encoded comes out again.
#![no_main]

use fanfare::http::Query;
use libfuzzer_sys::fuzz_target;

/// Decodes `%` by `%`.
fn decode(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, plain) = part.split_at_checked(2)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)?);
        bytes.extend_from_slice(plain.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

fn check(raw: &str, name: &str) {
    let value = raw
        .split('&')
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .find(|(sent, _)| decode(sent).as_deref() == Some(name))
        .map(|(_, value)| decode(value));
    let query = Query::new(raw);
    let text = query.text(name).map(|text| text.map(String::from));
    assert_eq!(
        text.ok(),
        value.clone().map_or(Some(None), |text| text.map(Some))
    );

    let digits = |text: String| match text.len() {
        1..=20 if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u128>().ok(),
        _ => None,
    };
    let number = value.clone().map(|text| text.and_then(digits));
    let number = number.map(|number| number.map(|number| number.min(u64::MAX.into()) as u64));
    let expected = number.map_or(Some(None), |number| number.map(Some));
    assert_eq!(query.number(name).ok(), expected);

    let switch = value.map(|text| ["0", "1"].iter().position(|&s| text.as_deref() == Some(s)));
    let expected = switch.map_or(Some(None), |place| place.map(|place| Some(place == 1)));
    assert_eq!(query.switch(name).ok(), expected);
}

fuzz_target!(|input: (String, String, Vec<(String, String)>)| {
    let (raw, name, pairs) = input;
    check(&raw, &name);
    for parameter in raw.split('&') {
        if let Some(sent) = decode(parameter.split('=').next().unwrap_or_default()) {
            check(&raw, &sent);
        }
    }

    let encode = |text: &str| {
        text.bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect::<String>()
    };
    let encoded: Vec<_> = pairs
        .iter()
        .map(|(n, v)| encode(n) + "=" + &encode(v))
        .collect();
    let encoded = encoded.join("&");
    for (name, _) in &pairs {
        let first = pairs.iter().find(|(other, _)| other == name);
        let expected = first.map(|(_, value)| value.as_str().into());
        assert_eq!(Query::new(&encoded).text(name), Ok(expected));
    }
});
