//! Why a text that no form reads is refused: the most useful reason that can be told for certain.

use super::{
    iso,
    moment::{Fault, Moment},
    rfc2822,
    suggest::{self, ShortDate},
};

/// The reason for a text without any reading.
pub fn why(text: &str) -> Fault {
    if has_long_year(text) {
        return Fault::OUT_OF_RANGE;
    }
    if has_zone_in_letters(text) {
        return Fault::LETTER_ZONE;
    }
    match ShortDate::of(text).map(|date| date.orders.len()) {
        Some(0) => Fault::NO_DATE,
        Some(2..) => Fault::DAY_OR_MONTH,
        _ if suggest::formats(text).is_empty() => Fault::UNREADABLE,
        _ => Fault::NEEDS_FORMAT,
    }
}

/// `12017-03-07`, `-0001-01-01`, `+002017-03-07T00:00`: ISO 8601 needs an agreement for these, and there is none.
fn has_long_year(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let year = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let longest = if unsigned.len() < text.len() { 4 } else { 5 };
    let month = unsigned.as_bytes()[year..].strip_prefix(b"-");
    year >= longest && month.and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
}

/// Whether the text is a time but for a last word such as PST, EST or CET.
fn has_zone_in_letters(text: &str) -> bool {
    let letters = text.bytes().rev().take_while(u8::is_ascii_alphabetic).count();
    let (time, zone) = text.split_at(text.len() - letters);
    let time = time.trim_end();
    let reads = |result: Result<Option<Moment>, Fault>| matches!(result, Ok(Some(_)));
    !["", "AM", "PM"].iter().any(|half| zone.eq_ignore_ascii_case(half))
        && (reads(iso::read(time)) && time.contains(':') || reads(rfc2822::read(&format!("{time} +0000"))))
}
