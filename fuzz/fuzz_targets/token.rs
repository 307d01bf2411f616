//! Any bytes as tokens, and minted ones cut, joined and changed: what is granted is what a naive reading of a token with
//! a good signature says, and nothing else is.
#![no_main]

#[path = "../../tests/common/token.rs"]
mod minted;

use arbitrary::Arbitrary;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanfare::access::{Access, Grant, Right};
use fanfare::config::{AccessSettings, TOKEN_LEN_MAX};
use fanfare::http::status::Status;
use libfuzzer_sys::fuzz_target;
use minted::{KEY, encode, sign, signature};
use serde_json::Value;

const PUBLISH: &str = "publish";
const LISTEN: &str = "listen";

#[derive(Debug, Arbitrary)]
enum Token {
    /// As it comes.
    Raw(Vec<u8>),
    /// Signed with the key, or another one, whatever its parts say.
    Signed(bool, Part, Part),
    /// A good one with a byte changed.
    Changed(Claims, u16, u8),
}

#[derive(Debug, Arbitrary)]
enum Part {
    Raw(String),
    Header(String),
    Usual,
    Claims(Claims),
}

#[derive(Debug, Arbitrary)]
struct Claims {
    exp: Option<Time>,
    nbf: Option<Time>,
    rooms: Option<Vec<String>>,
    say: Option<bool>,
}

#[derive(Debug, Arbitrary)]
enum Time {
    Near(u8),
    Seconds(i64),
    Parts(f64),
    Text(String),
}

impl Time {
    fn json(&self) -> Value {
        match self {
            Self::Near(seconds) => (*seconds).into(),
            Self::Seconds(seconds) => (*seconds).into(),
            Self::Parts(seconds) => (*seconds).into(),
            Self::Text(text) => text.as_str().into(),
        }
    }
}

impl Claims {
    fn json(&self) -> String {
        let mut claims = serde_json::Map::new();
        let times = [("exp", &self.exp), ("nbf", &self.nbf)];
        for (name, time) in times {
            claims.extend(time.as_ref().map(|time| (name.to_owned(), time.json())));
        }
        let rooms = self
            .rooms
            .clone()
            .map(|rooms| ("rooms".to_owned(), rooms.into()));
        let say = self.say.map(|say| ("say".to_owned(), say.into()));
        claims.extend(rooms.into_iter().chain(say));
        Value::from(claims).to_string()
    }
}

impl Part {
    fn encode(&self) -> String {
        match self {
            Self::Raw(text) => text.clone(),
            Self::Header(algorithm) => encode(serde_json::json!({"alg": algorithm}).to_string()),
            Self::Usual => encode(r#"{"alg":"HS256"}"#),
            Self::Claims(claims) => encode(claims.json()),
        }
    }
}

impl Token {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Raw(bytes) => bytes,
            Self::Signed(is_ours, header, payload) => {
                let key = if is_ours { KEY } else { "another" };
                let signed = format!("{}.{}", header.encode(), payload.encode());
                sign(&signed, key).into_bytes()
            }
            Self::Changed(claims, at, byte) => {
                let signed = format!("{}.{}", Part::Usual.encode(), encode(claims.json()));
                let mut token = sign(&signed, KEY).into_bytes();
                let at = usize::from(at) % token.len();
                token[at] = byte;
                token
            }
        }
    }
}

/// What a token says: whether one may listen and say something, and when it ends; `None` for a bad one.
fn read(token: &[u8], room: &str, now: f64) -> Option<(bool, bool, Option<f64>)> {
    let token = std::str::from_utf8(token).ok()?;
    if token.len() > TOKEN_LEN_MAX {
        return None;
    }
    if token == PUBLISH || token == LISTEN {
        return Some((true, token == PUBLISH, None));
    }
    let [header, payload, signed] = token.split('.').collect::<Vec<_>>()[..] else {
        return None;
    };
    // Signed by hand, and compared as text.
    if signature(&format!("{header}.{payload}"), KEY) != signed {
        return None;
    }
    let parse = |part: &str| {
        let json = URL_SAFE_NO_PAD.decode(part).ok()?;
        let value: Value = serde_json::from_slice(&json).ok()?;
        value.is_object().then_some(value)
    };
    let (header, payload) = (parse(header)?, parse(payload)?);
    if header["alg"] != "HS256" || header.get("crit").is_some() {
        return None;
    }
    let end = payload["exp"].as_f64()?.floor();
    let begin = match payload.get("nbf") {
        None => 0.0,
        Some(begin) => begin.as_f64()?.ceil(),
    };
    let rooms = match payload.get("rooms") {
        None => Vec::new(),
        Some(Value::String(name)) => vec![name.clone()],
        Some(names) => serde_json::from_value(names.clone()).ok()?,
    };
    let may_say = match payload.get("say") {
        None => false,
        Some(may_say) => may_say.as_bool()?,
    };
    let is_meant = rooms.iter().any(|name| name == "*" || name == room);
    (begin <= now && now < end).then_some((is_meant, is_meant && may_say, Some(end)))
}

fuzz_target!(|input: (Token, String, u8)| {
    let (token, room, now) = input;
    let token = token.bytes();
    let access = Access::new(&AccessSettings {
        publish_token: Some(PUBLISH.into()),
        listen_token: Some(LISTEN.into()),
        jwt_key: Some(KEY.into()),
        ..AccessSettings::default()
    });
    let expected = read(&token, &room, now.into());
    for right in [Some(Right::Listen), Some(Right::Publish), None] {
        let checked = access.check(Some(&token), &room, right, now.into());
        let checked = checked.map_err(|refusal| refusal.status());
        let Some((may_listen, may_publish, end)) = expected else {
            assert_eq!(checked, Err(Status::Unauthorized));
            continue;
        };
        let is_allowed = match right {
            Some(Right::Listen) => may_listen,
            Some(Right::Publish) => may_publish,
            None => true,
        };
        let grant = Grant {
            may_publish,
            expires: end.map(|end| end as u64),
        };
        let expected = if is_allowed {
            Ok(grant)
        } else {
            Err(Status::Forbidden)
        };
        // Beyond 53 bits the naive reading is not exact.
        if end.is_none_or(|end| end < 2_f64.powi(53)) {
            assert_eq!(checked, expected);
        } else {
            assert_eq!(checked.is_ok(), expected.is_ok());
        }
    }
});
