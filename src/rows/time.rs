//! The time of a user: one field of text to the one form that is stored, RFC 3339 in UTC, so that text order is time
//! order. Configured formats come first, then what can be read in one way only; everything else is refused with its
//! reason. Pure: no clock, no zone of the machine.

mod fixed;
mod format;
mod iso;
mod moment;
mod number;
mod refusal;
mod rfc2822;
mod suggest;
mod zone;

#[cfg(test)]
mod tests;

use chrono::{NaiveDateTime, TimeDelta};
use chrono_tz::Tz;

use super::reject::shown;
pub use format::Format;
use moment::{Basis, Fault, Fields, Moment};
use zone::Zone;

/// The zone of times without an offset, and the formats that are tried before all other forms, in their order.
pub struct Times {
    zone: Zone,
    formats: Vec<Format>,
}

/// How a time was understood. Each is counted apart and shown with the result, so that a wrong reading is seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    pub how: How,
    pub shift: Shift,
}

/// What told the instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// The text has an offset.
    Offset,
    /// The text has none: read in the configured zone.
    Zone,
    /// A number of seconds, or of thousandths, millionths or billionths of one, since 1970.
    Epoch,
    /// The configured format at this position, from 0, with or without an offset in the text.
    Format(usize),
}

/// What the zone's clock changes did to a time without an offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shift {
    None,
    /// The clock showed this time twice: the earlier instant is stored.
    Fold,
    /// The clock never showed this time: it is stored shifted forward by the gap's length.
    Gap,
}

/// Why a time was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TimeError {
    /// `time_empty`, `time_unreadable`, `time_ambiguous`, `time_leap_second`, `time_out_of_range` or
    /// `time_impossible`.
    pub code: &'static str,
    /// Printable ASCII; quotes at most 60 characters of the value, so it belongs into the rejects and not into a log.
    pub message: String,
    /// Those that would read it, where it is read only with a format.
    pub formats: Vec<String>,
}

impl TimeError {
    fn new(text: &str, fault: Fault) -> Self {
        let formats = match fault {
            Fault::DAY_OR_MONTH | Fault::NEEDS_FORMAT => suggest::formats(text),
            _ => Vec::new(),
        };
        let such_as = if formats.is_empty() { "" } else { ", such as " };
        let message = format!("{} {}{such_as}{}", shown(text), fault.sentence, formats.join(" or "));
        Self { code: fault.code, message, formats }
    }
}

impl Times {
    /// Text that is no strftime format matches nothing here: `RowOptions::check` has refused it before.
    pub fn new(zone: Tz, formats: &[String]) -> Self {
        Self { zone: Zone::new(zone), formats: formats.iter().map(|format| Format::new(format)).collect() }
    }

    /// Reads one field as it stands; blanks around the time are not part of it. Appends the stored form to `out`, or
    /// nothing where the time is refused.
    pub fn read(&self, text: &str, out: &mut String) -> Result<Reading, TimeError> {
        let text = without_blanks(text);
        if text.is_empty() {
            return Err(TimeError { code: "time_empty", message: "the time is empty".into(), formats: Vec::new() });
        }
        let (utc, reading) = self.instant(text).map_err(|fault| TimeError::new(text, fault))?;
        write(utc, out);
        Ok(reading)
    }

    fn instant(&self, text: &str) -> Result<(Fields, Reading), Fault> {
        // A format that fits but tells no possible time does not keep a later form from being read: of
        // `%d/%m/%Y` and `%m/%d/%Y` the second reads 03/25/2017. If none does, its reason is the one to tell.
        let mut fits = None;
        for (position, format) in self.formats.iter().enumerate() {
            match format.read(text).and_then(|moment| moment.map(|moment| self.place(moment)).transpose()) {
                Ok(Some((utc, reading))) => return Ok((utc.into(), Reading { how: How::Format(position), ..reading })),
                Ok(None) => {}
                Err(fault) => fits = fits.or(Some(fault)),
            }
        }
        if let Some((utc, reading)) =
            fixed::read(text.as_bytes()).and_then(|(time, basis)| self.place_fields(time, basis))
        {
            return Ok((utc, reading));
        }
        for read in [iso::read, number::read, rfc2822::read] {
            match read(text) {
                Ok(Some(moment)) => return self.place(moment).map(|(utc, reading)| (utc.into(), reading)),
                Ok(None) => {}
                Err(fault) => return Err(fits.unwrap_or(fault)),
            }
        }
        Err(fits.unwrap_or_else(|| refusal::why(text)))
    }

    fn place(&self, moment: Moment) -> Result<(NaiveDateTime, Reading), Fault> {
        let (utc, how, shift) = match moment.basis {
            Basis::Offset(seconds) => {
                let utc = moment.local.checked_sub_signed(TimeDelta::seconds(seconds.into()));
                (utc.ok_or(Fault::OUT_OF_RANGE)?, How::Offset, Shift::None)
            }
            Basis::Epoch => (moment.local, How::Epoch, Shift::None),
            Basis::Zone if self.zone.is_utc() => (moment.local, How::Zone, Shift::None),
            Basis::Zone => {
                in_range(moment.local)?;
                let (seconds, shift) = self.zone.offset(moment.local);
                (moment.local - TimeDelta::seconds(seconds.into()), How::Zone, shift)
            }
        };
        in_range(utc)?;
        Ok((utc, Reading { how, shift }))
    }

    /// As `place`, without a detour over chrono's types; `None` where only that can tell what is wrong.
    fn place_fields(&self, local: Fields, basis: Basis) -> Option<(Fields, Reading)> {
        let (seconds, how, shift) = match basis {
            Basis::Offset(seconds) => (seconds, How::Offset, Shift::None),
            Basis::Zone if self.zone.is_utc() => (0, How::Zone, Shift::None),
            Basis::Zone => {
                let (seconds, shift) = self.zone.offset(local.time().ok()?);
                (seconds, How::Zone, shift)
            }
            Basis::Epoch => return None,
        };
        Some((local.minus(seconds)?, Reading { how, shift }))
    }
}

/// As `trim`, told at a glance where there are none.
fn without_blanks(text: &str) -> &str {
    match text.as_bytes() {
        [b'!'..=b'~', .., b'!'..=b'~'] => text,
        _ => text.trim(),
    }
}

/// Four digits are all that the stored form has for a year.
fn in_range(time: NaiveDateTime) -> Result<(), Fault> {
    if moment::has_year(time.date()) { Ok(()) } else { Err(Fault::OUT_OF_RANGE) }
}

/// Writes RFC 3339 in UTC by hand: `DateTime::format` takes several times as long as the rest of a reading.
fn write(utc: Fields, out: &mut String) {
    let mut form = *b"0000-00-00T00:00:00.000000000Z";
    let mut put = |at: usize, value: u32| {
        form[at] = b'0' + (value / 10 % 10) as u8;
        form[at + 1] = b'0' + (value % 10) as u8;
    };
    put(0, utc.year / 100);
    put(2, utc.year % 100);
    put(5, utc.month);
    put(8, utc.day);
    put(11, utc.hour);
    put(14, utc.minute);
    put(17, utc.second);
    let mut end = 23;
    if utc.nanos > 0 {
        let mut nanos = utc.nanos;
        for digit in form[20..29].iter_mut().rev() {
            *digit = b'0' + (nanos % 10) as u8;
            nanos /= 10;
        }
        end = match utc.nanos {
            nanos if nanos.is_multiple_of(1_000_000) => 23,
            nanos if nanos.is_multiple_of(1_000) => 26,
            _ => 29,
        };
    }
    form[end] = b'Z';
    // All of it is ASCII.
    out.push_str(std::str::from_utf8(&form[..=end]).unwrap_or_default());
}
