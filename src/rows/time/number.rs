//! Bare numbers. Only those lengths are read that can mean one thing: 42801 may be a spreadsheet's day number.

use chrono::{DateTime, NaiveDateTime};

use super::moment::{Basis, Fault, Fields, Moment};

/// Of a calendar time without seconds. The same twelve digits with any other year are milliseconds: those of a time
/// between 1973 and 2001, beside which the year 9783 would be the stranger reading.
const YEARS: std::ops::Range<u64> = 1900..2100;

/// `None`: the text is no bare number.
pub fn read(text: &str) -> Result<Option<Moment>, Fault> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let signed = digits.len() < text.len();
    // Nineteen digits always fit into 64 bits.
    let (19 | 18 | 16 | 15 | 14 | 13 | 12 | 10 | 9 | 8, false, Ok(number)) = (digits.len(), signed, digits.parse())
    else {
        return Err(Fault::NUMBER);
    };
    let moment = match digits.len() {
        8 => Moment { local: calendar(number * 1_000_000)?, basis: Basis::Zone },
        14 => Moment { local: calendar(number)?, basis: Basis::Zone },
        12 if YEARS.contains(&(number / 100_000_000)) && calendar(number * 100).is_ok() => {
            return Err(Fault::TWELVE_DIGITS);
        }
        9 | 10 => epoch(number, 1)?,
        12 | 13 => epoch(number, 1_000)?,
        15 | 16 => epoch(number, 1_000_000)?,
        _ => epoch(number, 1_000_000_000)?,
    };
    Ok(Some(moment))
}

/// The fourteen digits YYYYMMDDhhmmss.
fn calendar(number: u64) -> Result<NaiveDateTime, Fault> {
    let part = |unit: u64, size: u64| u32::try_from(number / unit % size).unwrap_or(u32::MAX);
    let fields = Fields {
        year: part(10_000_000_000, 10_000),
        month: part(100_000_000, 100),
        day: part(1_000_000, 100),
        hour: part(10_000, 100),
        minute: part(100, 100),
        second: part(1, 100),
        nanos: 0,
    };
    fields.time()
}

/// A count since 1970, with so many to the second.
fn epoch(count: u64, per_second: u64) -> Result<Moment, Fault> {
    let seconds = i64::try_from(count / per_second).map_err(|_| Fault::OUT_OF_RANGE)?;
    let nanos = u32::try_from(count % per_second * (1_000_000_000 / per_second)).map_err(|_| Fault::OUT_OF_RANGE)?;
    let instant = DateTime::from_timestamp(seconds, nanos).ok_or(Fault::OUT_OF_RANGE)?;
    Ok(Moment { local: instant.naive_utc(), basis: Basis::Epoch })
}
