//! The time of day, as answers carry it.

use std::fmt;
use std::str;
use std::time::{Duration, SystemTime};

use httpdate::HttpDate;

/// The length of a date in the form of RFC 9110 §5.6.7, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
const DATE_LEN: usize = 29;

/// A time of day, written out. It is made anew once per second, however many answers carry it.
#[derive(Debug, Clone, Copy)]
pub struct Date {
    unix_seconds: u64,
    text: [u8; DATE_LEN],
}

impl Date {
    /// So many seconds after the beginning of 1970.
    pub fn at(unix_seconds: u64) -> Self {
        let mut text = [b' '; DATE_LEN];
        // Up to the year 9999; a clock that is beyond it tells nothing.
        let known = Duration::from_secs(unix_seconds.min(253_402_300_799));
        let date = HttpDate::from(SystemTime::UNIX_EPOCH + known).to_string();
        for (place, byte) in text.iter_mut().zip(date.bytes()) {
            *place = byte;
        }
        Self { unix_seconds, text }
    }

    /// Lets time go on.
    #[inline]
    pub fn advance_to(&mut self, unix_seconds: u64) {
        if unix_seconds != self.unix_seconds {
            *self = Self::at(unix_seconds);
        }
    }

    /// How many seconds after the beginning of 1970 it is.
    #[inline]
    pub fn unix_seconds(&self) -> u64 {
        self.unix_seconds
    }

    /// The date as it is sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.text).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfcs_date_is_written_as_the_rfc_writes_it() {
        let mut date = Date::at(784_111_777);
        assert_eq!(date.to_string(), "Sun, 06 Nov 1994 08:49:37 GMT");
        date.advance_to(784_111_778);
        assert_eq!(date.as_bytes(), b"Sun, 06 Nov 1994 08:49:38 GMT");
        assert_eq!(Date::at(0).to_string(), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(Date::at(u64::MAX).to_string().len(), DATE_LEN);
    }
}
