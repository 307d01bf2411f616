//! Who may listen and who may publish: what a token allows, if it is a good one.
//!
//! Nothing here reads a file or a clock: the keys come out of the settings, and the time is an argument. The keys can
//! be replaced while the server runs: what a client was granted before stands until it expires.

mod jwt;
mod token;

use crate::config::{AccessSettings, TOKEN_LEN_MAX};
use crate::http::status::Refusal;

use jwt::JwtKey;
use token::TokenDigest;

/// What a request needs a right for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// To receive what is published in a room.
    Listen,
    /// To publish in a room.
    Publish,
}

/// What a request is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Whether messages may be published in the room.
    pub may_publish: bool,
    /// The second since 1970 at which the grant ends, if it does.
    pub expires: Option<u64>,
}

impl Grant {
    /// Whether it has ended.
    #[inline]
    pub fn is_over(&self, unix_seconds: u64) -> bool {
        self.expires.is_some_and(|end| end <= unix_seconds)
    }
}

/// The tokens and keys that are configured. Where there is none, everybody may do everything and every token is
/// ignored.
#[derive(Debug, Default)]
pub struct Access {
    publish_token: Option<TokenDigest>,
    listen_token: Option<TokenDigest>,
    jwt_key: Option<JwtKey>,
}

/// What a good token allows in one room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claims {
    may_listen: bool,
    may_publish: bool,
    expires: Option<u64>,
}

impl Access {
    /// By the settings, which must be [checked](AccessSettings::check).
    pub fn new(settings: &AccessSettings) -> Self {
        Self {
            publish_token: settings.publish_token().map(TokenDigest::of),
            listen_token: settings.listen_token().map(TokenDigest::of),
            jwt_key: settings.jwt_key().map(JwtKey::new),
        }
    }

    /// Whether no token is configured.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.publish_token.is_none() && self.listen_token.is_none() && self.jwt_key.is_none()
    }

    /// Decides what a request about a room is granted that shows `token`, if any. `right`: what it needs, if anything.
    ///
    /// Saying something takes a token where there is a publish token or a JWT key, and listening where there is a
    /// listen token or a JWT key. The other things are open to all, but a bad token is refused anywhere.
    ///
    /// # Errors
    /// `401` where a token is needed and missing, and for a bad one; `403` for a good one without the right.
    pub fn check(
        &self,
        token: Option<&[u8]>,
        room: &str,
        right: Option<Right>,
        unix_seconds: u64,
    ) -> Result<Grant, Refusal> {
        let nobody = Claims {
            may_listen: self.listen_token.is_none() && self.jwt_key.is_none(),
            may_publish: self.publish_token.is_none() && self.jwt_key.is_none(),
            expires: None,
        };
        let claims = match token.filter(|_| !self.is_open()) {
            None => nobody,
            Some(token) => {
                let claims = self.read(token, room, unix_seconds)?;
                Claims {
                    may_listen: claims.may_listen || nobody.may_listen,
                    may_publish: claims.may_publish || nobody.may_publish,
                    ..claims
                }
            }
        };
        let is_allowed = match right {
            Some(Right::Listen) => claims.may_listen,
            Some(Right::Publish) => claims.may_publish,
            None => true,
        };
        match (is_allowed, token) {
            (true, _) => Ok(Grant {
                may_publish: claims.may_publish,
                expires: claims.expires,
            }),
            (false, None) => Err(Refusal::TokenMissing),
            (false, Some(_)) => Err(Refusal::NoRight),
        }
    }

    /// What a token says, if it is a good one.
    fn read(&self, token: &[u8], room: &str, unix_seconds: u64) -> Result<Claims, Refusal> {
        if token.len() > TOKEN_LEN_MAX {
            return Err(Refusal::BadToken);
        }
        let is = |configured: &Option<TokenDigest>| {
            configured.as_ref().is_some_and(|known| known.is_of(token))
        };
        let may_publish = is(&self.publish_token);
        if may_publish || is(&self.listen_token) {
            return Ok(Claims {
                may_listen: true,
                may_publish,
                expires: None,
            });
        }
        let key = self.jwt_key.as_ref().ok_or(Refusal::BadToken)?;
        key.read(token, room, unix_seconds)
    }
}

#[cfg(test)]
mod tests;
