//! What both connections send first.

use super::command::Encoder;
use super::settings::Settings;

/// Encodes who logs in, and the database. Returns how many answers follow.
pub(super) fn encode(settings: &Settings, out: &mut Vec<u8>) -> usize {
    let mut encoder = Encoder::new(out, &settings.prefix);
    let mut answers = 0;
    if let Some(password) = &settings.password {
        match &settings.user {
            Some(user) => encoder.command("AUTH", 3).text(user.as_bytes()),
            None => encoder.command("AUTH", 2),
        };
        encoder.text(password.bytes());
        answers += 1;
    }
    if settings.db > 0 {
        encoder.command("SELECT", 2).number(settings.db.into());
        answers += 1;
    }
    answers
}
