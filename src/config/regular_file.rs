//! Files that settings name, read at start and again at SIGHUP.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// Reads a regular file of at most `len_max` bytes. At SIGHUP the loop would wait for a pipe that nobody writes to.
///
/// # Errors
/// Why the file cannot be used, in words that follow its name.
pub(super) fn read(path: &Path, len_max: usize) -> Result<Vec<u8>, String> {
    let unreadable = |error| format!("it cannot be read: {error}");
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(len_max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    match bytes.len() > len_max {
        true => Err(format!("it is larger than {len_max} bytes")),
        false => Ok(bytes),
    }
}
