//! JSON Web Tokens as a back end mints them (RFC 7515 §3.1), and others.

#![allow(dead_code, reason = "each test uses a part of this module")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// The key of all tests, of the least length that is not warned of.
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A part of a token.
pub(crate) fn encode(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

/// The signature under any key.
pub(crate) fn signature(signed: &str, key: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("keys have any length");
    encode(mac.chain_update(signed).finalize().into_bytes())
}

/// The token whose first two parts are these, as they travel.
pub(crate) fn sign(signed: &str, key: &str) -> String {
    format!("{signed}.{}", signature(signed, key))
}

/// A token with any header, under any key.
pub(crate) fn mint_with(header: &Value, payload: &Value, key: &str) -> String {
    let signed = format!(
        "{}.{}",
        encode(header.to_string()),
        encode(payload.to_string())
    );
    sign(&signed, key)
}

/// A token as it should be.
pub(crate) fn mint(payload: &Value) -> String {
    mint_with(&json!({"alg": "HS256", "typ": "JWT"}), payload, KEY)
}
