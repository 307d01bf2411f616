//! Settings of who may: tokens, keys, and the hosts that are served.

use std::path::Path;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::host::{AllowedHost, Hosts, parse_hosts};
use super::secret::{Secret, SecretFile};

/// The longest token, in bytes. A longer one is a bad one.
pub const TOKEN_LEN_MAX: usize = 4 * 1024;
/// The shortest key that is as hard to guess as the digest (RFC 7518 §3.2), in bytes.
pub const JWT_KEY_LEN_MIN: usize = 32;

/// Who may listen and publish, and by what name the server is asked.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Access")]
pub struct AccessSettings {
    /// The token that publishing takes; it allows listening too. A command line can be seen by others: the
    /// environment or a file is a better place
    #[arg(
        long,
        env = "FANFARE_PUBLISH_TOKEN",
        value_name = "TOKEN",
        value_parser = secret(),
        hide_env = true,
        hide_env_values = true
    )]
    pub publish_token: Option<Secret>,

    /// A file with the publish token
    #[arg(
        long,
        env = "FANFARE_PUBLISH_TOKEN_FILE",
        value_name = "FILE",
        value_parser = secret_file(),
        hide_env = true
    )]
    pub publish_token_file: Option<SecretFile>,

    /// The token that listening takes
    #[arg(
        long,
        env = "FANFARE_LISTEN_TOKEN",
        value_name = "TOKEN",
        value_parser = secret(),
        hide_env = true,
        hide_env_values = true
    )]
    pub listen_token: Option<Secret>,

    /// A file with the listen token
    #[arg(
        long,
        env = "FANFARE_LISTEN_TOKEN_FILE",
        value_name = "FILE",
        value_parser = secret_file(),
        hide_env = true
    )]
    pub listen_token_file: Option<SecretFile>,

    /// The key of the JSON Web Tokens that a back end signs (HS256), at least 32 bytes; with it, listening and
    /// publishing take a token that names the room
    #[arg(
        long,
        env = "FANFARE_JWT_KEY",
        value_name = "KEY",
        value_parser = secret(),
        hide_env = true,
        hide_env_values = true
    )]
    pub jwt_key: Option<Secret>,

    /// A file with the key of the JSON Web Tokens
    #[arg(
        long,
        env = "FANFARE_JWT_KEY_FILE",
        value_name = "FILE",
        value_parser = secret_file(),
        hide_env = true
    )]
    pub jwt_key_file: Option<SecretFile>,

    /// A host that requests may be for: NAME for any port, or NAME:PORT; requests for others get 421. Repeatable, or
    /// separated by commas [default: all hosts]
    #[arg(
        long,
        env = "FANFARE_ALLOW_HOST",
        value_name = "HOST",
        value_parser = parse_hosts,
        hide_env = true
    )]
    pub allow_host: Vec<Hosts>,
}

/// Whatever was given is taken: an error of this parser would show it.
fn secret() -> impl TypedValueParser<Value = Secret> {
    OsStringValueParser::new().map(Secret::from)
}

fn secret_file() -> impl TypedValueParser<Value = SecretFile> {
    OsStringValueParser::new().try_map(|path| SecretFile::read(Path::new(&path)))
}

impl AccessSettings {
    /// The token that allows everything.
    pub fn publish_token(&self) -> Option<&[u8]> {
        either(
            self.publish_token.as_ref(),
            self.publish_token_file.as_ref(),
        )
    }

    /// The token that allows listening.
    pub fn listen_token(&self) -> Option<&[u8]> {
        either(self.listen_token.as_ref(), self.listen_token_file.as_ref())
    }

    /// The key of JSON Web Tokens.
    pub fn jwt_key(&self) -> Option<&[u8]> {
        either(self.jwt_key.as_ref(), self.jwt_key_file.as_ref())
    }

    /// Whether the key of JSON Web Tokens is short enough to be guessed.
    pub fn has_short_jwt_key(&self) -> bool {
        self.jwt_key()
            .is_some_and(|key| key.len() < JWT_KEY_LEN_MIN)
    }

    /// Whether requests for this host are served, as a request names it.
    #[inline]
    pub fn allows_host(&self, host: &[u8]) -> bool {
        self.allow_host.is_empty() || self.allowed_hosts().any(|allowed| allowed.is_meant(host))
    }

    fn allowed_hosts(&self) -> impl Iterator<Item = &AllowedHost> {
        self.allow_host.iter().flat_map(|list| &list.0)
    }

    /// Checks what no single setting can know, and what a parser must not say.
    ///
    /// # Errors
    /// A line that says which settings contradict each other, or which one makes no sense. It shows no secret.
    pub fn check(&self) -> Result<(), String> {
        for (name, given, file) in [
            (
                "publish-token",
                &self.publish_token,
                &self.publish_token_file,
            ),
            ("listen-token", &self.listen_token, &self.listen_token_file),
            ("jwt-key", &self.jwt_key, &self.jwt_key_file),
        ] {
            if given.is_some() && file.is_some() {
                return Err(format!(
                    "--{name} and --{name}-file exclude each other; give one of them"
                ));
            }
            if given.as_ref().is_some_and(|given| given.bytes().is_empty()) {
                return Err(format!("--{name} is empty"));
            }
        }
        for (name, token) in [
            ("publish-token", self.publish_token()),
            ("listen-token", self.listen_token()),
        ] {
            if token.is_some_and(|token| !is_token(token)) {
                return Err(format!(
                    "--{name} must be 1 to {TOKEN_LEN_MAX} visible ASCII characters, without spaces"
                ));
            }
        }
        if self.publish_token().is_some() && self.publish_token() == self.listen_token() {
            return Err(
                "--publish-token and --listen-token must differ, or every listener may publish"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

fn either<'a>(given: Option<&'a Secret>, file: Option<&'a SecretFile>) -> Option<&'a [u8]> {
    given.or(file.map(SecretFile::content)).map(Secret::bytes)
}

/// Whether a request can show this token, in a header field too.
fn is_token(token: &[u8]) -> bool {
    (1..=TOKEN_LEN_MAX).contains(&token.len()) && token.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line that refuses settings, which shows nothing of `secret`.
    fn refusal(change: impl FnOnce(&mut AccessSettings)) -> String {
        let mut settings = AccessSettings::default();
        change(&mut settings);
        settings.check().expect_err("it makes no sense")
    }

    fn file(content: &str) -> SecretFile {
        let path = std::env::temp_dir().join(format!("fanfare-{content}-{}", std::process::id()));
        std::fs::write(&path, content).expect("a file");
        let file = SecretFile::read(&path).expect("a good file");
        std::fs::remove_file(path).expect("it is there");
        file
    }

    #[test]
    fn a_token_and_its_file_exclude_each_other() {
        let both = "exclude each other";
        assert!(
            refusal(|it| {
                it.publish_token = Some("a".into());
                it.publish_token_file = Some(file("b"));
            })
            .contains(both)
        );
        assert!(
            refusal(|it| {
                it.listen_token = Some("a".into());
                it.listen_token_file = Some(file("c"));
            })
            .contains(both)
        );
        let line = refusal(|it| {
            it.jwt_key = Some("a".into());
            it.jwt_key_file = Some(file("d"));
        });
        assert!(line.starts_with("--jwt-key and --jwt-key-file"), "{line}");
    }

    #[test]
    fn a_token_is_what_a_request_can_show() {
        for token in ["", "a b", " a", "a\n", "sch\u{fc}ssel", "a\u{0}"] {
            for line in [
                refusal(|it| it.publish_token = Some(token.into())),
                refusal(|it| it.listen_token = Some(token.into())),
            ] {
                assert!(line.contains("-token"), "{line}");
            }
        }
        assert!(refusal(|it| it.jwt_key = Some("".into())).contains("--jwt-key is empty"));
        let settings = AccessSettings {
            publish_token: Some("!~".into()),
            listen_token_file: Some(file("e")),
            jwt_key: Some("any b\u{fc}tes\n".into()),
            ..AccessSettings::default()
        };
        assert_eq!(settings.check(), Ok(()));
        assert_eq!(settings.listen_token(), Some(&b"e"[..]));
    }

    #[test]
    fn the_tokens_differ() {
        let line = refusal(|it| {
            it.publish_token = Some("same".into());
            it.listen_token = Some("same".into());
        });
        assert!(
            line.contains("must differ") && !line.contains("same"),
            "{line}"
        );
    }

    #[test]
    fn a_short_key_is_known() {
        let with = |len: usize| AccessSettings {
            jwt_key: Some(Secret::from(&*"k".repeat(len))),
            ..AccessSettings::default()
        };
        assert!(with(JWT_KEY_LEN_MIN - 1).has_short_jwt_key());
        assert!(!with(JWT_KEY_LEN_MIN).has_short_jwt_key());
        assert!(!AccessSettings::default().has_short_jwt_key());
    }
}
