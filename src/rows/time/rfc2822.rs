//! RFC 2822 times, as in mail: `Tue, 07 Mar 2017 00:30:54 +0100`. Its obsolete zones in letters are read as UTC only
//! where they mean UTC: RFC 2822 gives PST and EST an offset, but other tables give them others.

use chrono::{DateTime, Timelike, format::ParseErrorKind};

use super::{
    iso::is_utc,
    moment::{Basis, Fault, Moment},
};

/// `None`: the text does not have this form.
pub fn read(text: &str) -> Result<Option<Moment>, Fault> {
    // The month is always a word; most other texts are told by that.
    if !text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        return Ok(None);
    }
    // Chrono knows UT and GMT, but not UTC.
    let front = text.strip_suffix("UTC").or_else(|| text.strip_suffix("utc"));
    let with_gmt = front.map(|front| format!("{front}GMT"));
    match DateTime::parse_from_rfc2822(with_gmt.as_deref().unwrap_or(text)) {
        Ok(_) if !told_offset(text) => Err(Fault::LETTER_ZONE),
        Ok(time) if time.nanosecond() >= 1_000_000_000 => Err(Fault::LEAP_SECOND),
        Ok(time) => {
            Ok(Some(Moment { local: time.naive_local(), basis: Basis::Offset(time.offset().local_minus_utc()) }))
        }
        Err(error) if matches!(error.kind(), ParseErrorKind::OutOfRange | ParseErrorKind::Impossible) => {
            Err(Fault::NO_DATE)
        }
        Err(_) => Ok(None),
    }
}

/// Whether the zone, the last word before a comment, is a number or means UTC.
fn told_offset(text: &str) -> bool {
    let before_comment = text.split('(').next().unwrap_or(text);
    let zone = before_comment.split_whitespace().next_back().unwrap_or_default();
    zone.contains(['+', '-']) || is_utc(zone.as_bytes())
}
