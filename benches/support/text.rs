//! Numbers as people read them.

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three or four digits of a time, with its unit.
pub(crate) fn duration(microseconds: f64) -> String {
    if microseconds < 1_000.0 {
        let digits = match microseconds {
            ..10.0 => 3,
            ..100.0 => 1,
            _ => 0,
        };
        format!("{microseconds:.digits$} us")
    } else {
        format!("{:.2} ms", microseconds / 1_000.0)
    }
}

/// The nearest whole number, none below zero.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
pub(crate) fn whole(value: f64) -> u64 {
    value.round() as u64
}
