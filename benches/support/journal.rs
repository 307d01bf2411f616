//! The measurements as programs read them: a file of JSON objects, one per line, the first one about the machine.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use serde_json::{Value, json};

pub(crate) struct Journal(File);

impl Journal {
    /// Starts the journal of `bench` anew; the one of its last run is gone.
    pub(crate) fn create(bench: &str, machine: &str) -> io::Result<Self> {
        let path = path(bench);
        fs::create_dir_all(path.with_file_name(""))?;
        let mut journal = Self(File::create(path)?);
        journal.write(&json!({ "machine": machine }))?;
        Ok(journal)
    }

    pub(crate) fn write(&mut self, entry: &Value) -> io::Result<()> {
        writeln!(self.0, "{entry}")
    }
}

/// What the last run of `bench` wrote.
pub(crate) fn read(bench: &str) -> io::Result<Vec<Value>> {
    let text = fs::read_to_string(path(bench))?;
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(io::Error::from))
        .collect()
}

/// In `bench` in cargo's target directory.
fn path(bench: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    dir.join(bench).with_extension("jsonl")
}
