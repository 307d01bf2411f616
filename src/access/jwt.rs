//! JSON Web Tokens that a back end signs (RFC 7519), with the one algorithm HS256 (RFC 7518 §3.2).
//!
//! The signature is verified before anything in a token is parsed: only holders of the key reach the parser.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::Claims;
use crate::http::status::Refusal;

/// The name of all rooms.
const ALL_ROOMS: &str = "*";

/// The key that tokens are signed with.
pub(super) struct JwtKey(Hmac<Sha256>);

impl JwtKey {
    pub(super) fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("keys have any length"))
    }

    /// What a token says of a room.
    ///
    /// # Errors
    /// It is not signed with this key, malformed, not valid yet, or not valid any more.
    pub(super) fn read(
        &self,
        token: &[u8],
        room: &str,
        unix_seconds: u64,
    ) -> Result<Claims, Refusal> {
        let payload = self.verify(token).ok_or(Refusal::BadToken)?;
        let expires = payload
            .get("exp")
            .and_then(Value::as_number)
            .ok_or(Refusal::BadToken)?;
        // A part of a second counts as none at the end and as a whole one at the beginning.
        let expires = seconds(expires, f64::floor);
        let begins = match payload.get("nbf") {
            None => 0,
            Some(Value::Number(begins)) => seconds(begins, f64::ceil),
            Some(_) => return Err(Refusal::BadToken),
        };
        let may_listen = is_for(payload.get("rooms"), room).ok_or(Refusal::BadToken)?;
        let may_say = match payload.get("say") {
            None => false,
            Some(Value::Bool(may_say)) => *may_say,
            Some(_) => return Err(Refusal::BadToken),
        };
        if expires <= unix_seconds {
            return Err(Refusal::TokenExpired);
        }
        if begins > unix_seconds {
            return Err(Refusal::TokenTooEarly);
        }
        Ok(Claims {
            may_listen,
            may_publish: may_listen && may_say,
            expires: Some(expires),
        })
    }

    /// The payload of a token in compact form, if it is signed with this key and nothing else (RFC 7515 §5.2).
    fn verify(&self, token: &[u8]) -> Option<Map<String, Value>> {
        let mut dots = token.iter().enumerate().filter(|(_, byte)| **byte == b'.');
        let (Some((first, _)), Some((second, _)), None) = (dots.next(), dots.next(), dots.next())
        else {
            return None;
        };
        let header = token.get(..first)?;
        let payload = token.get(first + 1..second)?;
        let signature = URL_SAFE_NO_PAD.decode(token.get(second + 1..)?).ok()?;
        let signed = self.0.clone().chain_update(token.get(..second)?);
        signed.verify_slice(&signature).ok()?;
        let header = object(header)?;
        // A header may name what must be understood (RFC 7515 §4.1.11), and nothing of it is.
        let is_understood = header.get("alg")? == "HS256" && !header.contains_key("crit");
        is_understood.then(|| object(payload)).flatten()
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A JSON object in base64.
fn object(part: &[u8]) -> Option<Map<String, Value>> {
    let json = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&json).ok()
}

/// A number of seconds since 1970 (RFC 7519 §2), where what is before counts as 1970 and what is too far away as the
/// farthest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates"
)]
fn seconds(number: &serde_json::Number, round: fn(f64) -> f64) -> u64 {
    match (number.as_u64(), number.as_f64()) {
        (Some(whole), _) => whole,
        (None, Some(part)) => round(part) as u64,
        (None, None) => 0,
    }
}

/// Whether a list of rooms, or the name of one, means this room; `None` if it is neither.
fn is_for(rooms: Option<&Value>, room: &str) -> Option<bool> {
    let is_meant = |name: &str| name == ALL_ROOMS || name == room;
    match rooms {
        None => Some(false),
        Some(Value::String(name)) => Some(is_meant(name)),
        Some(Value::Array(names)) => names.iter().try_fold(false, |is_found, name| {
            Some(is_meant(name.as_str()?) || is_found)
        }),
        Some(_) => None,
    }
}
