//! How the values of settings are written: counts, sizes with their unit, times with theirs.

use std::time::Duration;

use bytesize::ByteSize;

/// A number of things, at least one.
pub(super) fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err("it must be a whole number".to_owned()),
    }
}

/// A size in bytes, from 1 B to below 4 GiB.
pub(super) fn parse_len(text: &str) -> Result<usize, String> {
    let size: ByteSize = text
        .parse()
        .map_err(|_| "it must be a size, such as 512B, 64KiB or 1MiB".to_owned())?;
    match usize::try_from(size.as_u64()) {
        Ok(0) => Err("it must be at least 1B".to_owned()),
        Ok(len) if len <= u32::MAX as usize => Ok(len),
        _ => Err("it must be below 4GiB".to_owned()),
    }
}

/// A time that is not zero.
pub(super) fn parse_wait(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("it must not be zero".to_owned()),
        Ok(wait) => Ok(wait),
        Err(_) => Err("it must be a time, such as 500ms, 10s or 2min".to_owned()),
    }
}
