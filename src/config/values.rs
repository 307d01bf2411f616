//! How the values of settings are written: counts, sizes with their unit, times with theirs.

use std::time::Duration;

use bytesize::ByteSize;
use tracing::level_filters::LevelFilter;

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

/// What to log. A word that is no level would be taken for the name of a module that says nothing, and so
/// a slip would silence the server.
pub(super) fn parse_filter(text: &str) -> Result<String, String> {
    let is_level = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
    let makes_sense = |part: &str| is_level(part) || part.contains(['=', '[']);
    if text.split(',').all(makes_sense) {
        Ok(text.to_owned())
    } else {
        Err(
            "it must be a level (off, error, warn, info, debug, trace), or a filter such as \
             fanfare=debug"
                .to_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_whole_and_not_zero() {
        assert_eq!(parse_count("1"), Ok(1));
        assert_eq!(parse_count("18446744073709551615"), Ok(usize::MAX));
        for text in ["0", "-1", "1.5", "", "many", "18446744073709551616"] {
            assert!(parse_count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_above_nothing_and_below_four_gibibytes() {
        for (text, len) in [
            ("1", 1),
            ("512B", 512),
            ("64KiB", 65_536),
            ("1 MiB", 1_048_576),
            ("4294967295B", u32::MAX as usize),
        ] {
            assert_eq!(parse_len(text), Ok(len), "{text}");
        }
        for text in ["0", "0B", "4GiB", "-1B", "", "huge", "512 apples"] {
            assert!(parse_len(text).is_err(), "{text}");
        }
    }

    #[test]
    fn filters_are_made_of_levels_and_of_what_a_level_is_set_for() {
        for text in [
            "off",
            "Info",
            "fanfare=debug",
            "warn,fanfare=trace",
            "[span]",
            "info,[x]=warn",
        ] {
            assert_eq!(parse_filter(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            ",",
            "info,",
            "inof",
            "fanfare",
            "info,fanfare",
            "warn fanfare=trace,x",
        ] {
            assert!(parse_filter(text).is_err(), "{text}");
        }
    }
}
