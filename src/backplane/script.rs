//! The scripts that run at the broker: their texts, and the hashes by which they are called.

use sha1::{Digest as _, Sha1};

/// A script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Append,
    Touch,
    Sync,
    Heartbeat,
}

impl Script {
    pub(super) const ALL: [Self; 4] = [Self::Append, Self::Touch, Self::Sync, Self::Heartbeat];

    fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Touch => "touch",
            Self::Sync => "sync",
            Self::Heartbeat => "heartbeat",
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Append => include_str!("scripts/append.lua"),
            Self::Touch => include_str!("scripts/touch.lua"),
            Self::Sync => include_str!("scripts/sync.lua"),
            Self::Heartbeat => include_str!("scripts/heartbeat.lua"),
        }
    }

    fn hash(self) -> String {
        hash(self.text())
    }
}

fn hash(text: &str) -> String {
    let digest = Sha1::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hashes of all scripts.
#[derive(Debug)]
pub(super) struct Scripts([String; Script::ALL.len()]);

impl Scripts {
    pub(super) fn new() -> Self {
        Self(Script::ALL.map(Script::hash))
    }

    pub(super) fn hash(&self, script: Script) -> &str {
        let [append, touch, sync, heartbeat] = &self.0;
        match script {
            Script::Append => append,
            Script::Touch => touch,
            Script::Sync => sync,
            Script::Heartbeat => heartbeat,
        }
    }
}

/// Name, text and hash of each script, for what stands in for a broker.
pub fn scripts() -> [(&'static str, &'static str, String); 4] {
    Script::ALL.map(|script| (script.name(), script.text(), script.hash()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_one_that_the_broker_gives() {
        // redis-cli script load 'return 1'
        assert_eq!(hash("return 1"), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
    }
}
