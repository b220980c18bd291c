//! Why a text that no form reads is refused: the most useful reason that can be told for certain.

use chrono::NaiveDate;

use super::{
    iso,
    moment::{Fault, Moment},
    rfc2822,
};

/// The reason for a text without any reading.
pub fn why(text: &str) -> Fault {
    if has_long_year(text) {
        return Fault::OUT_OF_RANGE;
    }
    if has_zone_in_letters(text) {
        return Fault::LETTER_ZONE;
    }
    short_date(text).unwrap_or(Fault::UNREADABLE)
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

/// Three short numbers with slashes, dots or hyphens at the beginning, alone or with more behind them.
fn short_date(text: &str) -> Option<Fault> {
    let end = text.find(|sign: char| !sign.is_ascii_digit() && !matches!(sign, '/' | '.' | '-')).unwrap_or(text.len());
    if !text[end..].starts_with([' ', 'T', ',']) && end < text.len() {
        return None;
    }
    let mut parts = text[..end].split(['/', '.', '-']);
    let (Some(one), Some(two), Some(three), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let short = |part: &str| matches!(part.len(), 1 | 2);
    if !short(one) || !short(two) || !matches!(three.len(), 2 | 4) {
        return None;
    }
    let (Ok(one), Ok(two), Ok(last)) = (one.parse(), two.parse(), three.parse::<i32>()) else { return None };
    // The century is open, but it decides only about the 29th of February: 2000 allows it wherever one could.
    let year = |number: i32| if number < 100 { 2000 + number } else { number };
    let day_first = NaiveDate::from_ymd_opt(year(last), two, one);
    let month_first = NaiveDate::from_ymd_opt(year(last), one, two);
    let year_first = (three.len() == 2)
        .then(|| NaiveDate::from_ymd_opt(2000 + i32::try_from(one).ok()?, two, u32::try_from(last).ok()?))
        .flatten();
    Some(match [day_first, month_first, year_first].iter().flatten().count() {
        0 => Fault::NO_DATE,
        1 => Fault::ORDER,
        _ => Fault::DAY_OR_MONTH,
    })
}
