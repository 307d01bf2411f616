//! What the broker tells about itself (`INFO`, `CONFIG GET appendfsync`): which run of it answers, and whether its data
//! are whole.

/// The longest id of a run, in bytes.
const RUN_ID_MAX: usize = 64;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// The id of this run of the broker.
    pub(super) run: Option<String>,
    /// It is a replica, which nobody can append to.
    pub(super) is_replica: bool,
    has_log: bool,
    /// Whether what it has answered is on the disk.
    pub(super) syncs_always: bool,
    was_promoted: bool,
}

impl Facts {
    /// Reads a section.
    pub(super) fn read(&mut self, section: &[u8]) {
        for line in section.split(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\r").unwrap_or(line) {
                b"role:slave" => self.is_replica = true,
                b"aof_enabled:1" => self.has_log = true,
                b"second_repl_offset:-1" => self.was_promoted = false,
                line if line.starts_with(b"second_repl_offset:") => self.was_promoted = true,
                line => {
                    if let Some(run) = line.strip_prefix(b"run_id:").and_then(run_id) {
                        self.run = Some(run);
                    }
                }
            }
        }
    }

    /// Whether another run of the broker goes on with all that its last run had. With a log that is written to the disk
    /// once a second it may lack what a node has read.
    pub(super) fn keeps(&self) -> bool {
        self.has_log && self.syncs_always && !self.was_promoted
    }
}

fn run_id(text: &[u8]) -> Option<String> {
    let is_id =
        (1..=RUN_ID_MAX).contains(&text.len()) && text.iter().all(u8::is_ascii_alphanumeric);
    is_id.then(|| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(sections: &[&str]) -> Facts {
        let mut facts = Facts {
            syncs_always: true,
            ..Facts::default()
        };
        sections
            .iter()
            .for_each(|section| facts.read(section.as_bytes()));
        facts
    }

    #[test]
    fn data_are_whole_with_a_log_and_without_a_promotion() {
        for (sections, keeps) in [
            (
                &[
                    "aof_enabled:1\r\n",
                    "role:master\r\nsecond_repl_offset:-1\r\n",
                ][..],
                true,
            ),
            (&["aof_enabled:0\r\n", "second_repl_offset:-1\r\n"], false),
            (&["aof_enabled:1\r\n", "second_repl_offset:57\r\n"], false),
            (&[], false),
        ] {
            assert_eq!(facts(sections).keeps(), keeps, "{sections:?}");
        }
    }

    #[test]
    fn a_log_that_is_written_later_may_lack_something() {
        let mut facts = facts(&["aof_enabled:1\r\n", "second_repl_offset:-1\r\n"]);
        facts.syncs_always = false;
        assert!(!facts.keeps());
    }

    #[test]
    fn a_run_has_an_id_and_a_replica_says_so() {
        let told = facts(&[
            "# Server\r\nredis_version:7.0.15\r\nrun_id:0a1b\r\n",
            "role:slave\r\n",
        ]);
        assert_eq!(told.run.as_deref(), Some("0a1b"));
        assert!(told.is_replica);
        for run in ["", "a b", &"a".repeat(RUN_ID_MAX + 1)] {
            assert_eq!(facts(&[&format!("run_id:{run}\r\n")]).run, None);
        }
        assert!(!facts(&["role:master\r\n"]).is_replica);
    }
}
