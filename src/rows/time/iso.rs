//! ISO 8601 calendar dates with or without a time of day, and RFC 3339: the forms of nearly every row, so read by
//! hand, without allocation.

use super::moment::{Basis, Fault, Fields, Moment};

/// `None`: the text does not have this form.
pub fn read(text: &str) -> Result<Option<Moment>, Fault> {
    let mut scan = Scan(text.as_bytes());
    let Some((fields, basis)) = scan.time() else { return Ok(None) };
    let local = fields?.time()?;
    Ok(Some(Moment { local, basis: basis? }))
}

/// What is left of the text.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    /// The inner results are faults of a text that has the form all the same.
    fn time(&mut self) -> Option<(Result<Fields, Fault>, Result<Basis, Fault>)> {
        let mut fields = Fields { year: self.number(4)?, ..Fields::default() };
        let extended = self.take(b"-");
        fields.month = self.number(2)?;
        if extended && !self.take(b"-") {
            return None;
        }
        fields.day = self.number(2)?;
        if self.0.is_empty() {
            // Without hyphens it is a bare number, and those have rules of their own.
            return extended.then_some((Ok(fields), Ok(Basis::Zone)));
        }
        if !(self.take(b"Tt") || extended && self.take(b" ")) {
            return None;
        }
        fields.hour = self.number(2)?;
        if extended && !self.take(b":") {
            return None;
        }
        fields.minute = self.number(2)?;
        let seconds = if extended { self.take(b":") } else { self.0.first().is_some_and(u8::is_ascii_digit) };
        let mut nanos = Ok(0);
        if seconds {
            fields.second = self.number(2)?;
            if self.take(b".,") {
                nanos = self.fraction()?;
            }
        }
        let basis = self.basis()?;
        Some((nanos.map(|nanos| Fields { nanos, ..fields }), basis))
    }

    /// One to nine digits, as nanoseconds.
    fn fraction(&mut self) -> Option<Result<u32, Fault>> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match digits {
            0 => None,
            1..=9 => self.number(digits).map(|value| Ok(value * 10_u32.pow(9 - digits as u32))),
            _ => {
                self.0 = &self.0[digits..];
                Some(Err(Fault::FRACTION))
            }
        }
    }

    /// The rest of the text: nothing, or an offset, after a blank or not.
    fn basis(&mut self) -> Option<Result<Basis, Fault>> {
        if self.0.is_empty() {
            return Some(Ok(Basis::Zone));
        }
        self.take(b" ");
        if is_utc(self.0) {
            return Some(Ok(Basis::Offset(0)));
        }
        let west = self.0.first() == Some(&b'-');
        if !self.take(b"+-") {
            return None;
        }
        let hours = self.number(2)?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            self.take(b":");
            self.number(2)?
        };
        if !self.0.is_empty() {
            return None;
        }
        let seconds = (hours * 3600 + minutes * 60) as i32;
        let possible = hours < 24 && minutes < 60;
        Some(if possible { Ok(Basis::Offset(if west { -seconds } else { seconds })) } else { Err(Fault::NO_OFFSET) })
    }

    /// Exactly so many digits, at most nine.
    fn number(&mut self, digits: usize) -> Option<u32> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        let mut value = 0;
        for byte in number {
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value * 10 + u32::from(byte - b'0');
        }
        self.0 = rest;
        Some(value)
    }

    fn take(&mut self, any: &[u8]) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if any.contains(first) => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }
}

/// The zones in letters that mean the same everywhere.
pub fn is_utc(name: &[u8]) -> bool {
    ["Z", "UTC", "GMT", "UT"].iter().any(|utc| name.eq_ignore_ascii_case(utc.as_bytes()))
}
