//! Times in a configured strftime format, parsed once for all rows.

use chrono::{
    NaiveDateTime,
    format::{self, Fixed, Item, ParseErrorKind, ParseResult, Parsed, StrftimeItems},
};

use super::{
    iso::is_utc,
    moment::{Basis, Fault, Moment},
};

pub struct Format {
    items: Vec<Item<'static>>,
    /// Where among the items a zone's name stands (`%Z`).
    zone_name: Option<usize>,
}

impl Format {
    /// Of text that is no strftime format comes a format that matches nothing.
    pub fn new(text: &str) -> Self {
        let items = StrftimeItems::new(text).parse_to_owned().unwrap_or_else(|_| vec![Item::Error]);
        let zone_name = items.iter().position(|item| *item == Item::Fixed(Fixed::TimezoneName));
        Self { items, zone_name }
    }

    /// `None`: the format does not match the whole text, or does not tell a time (`%H:%M` alone). A fault: it matches,
    /// but there is no such time.
    pub fn read(&self, text: &str) -> Result<Option<Moment>, Fault> {
        let mut parsed = Parsed::new();
        let (whole, zone_name) = self.parse(&mut parsed, text);
        if let Err(error) = whole {
            let impossible = is_impossible(error.kind()) && self.would_match(text);
            return if impossible { Err(Fault::NO_DATE) } else { Ok(None) };
        }
        // Chrono skips the name that `%Z` stands for, so PST would be read in the configured zone.
        match zone_name {
            Some(name) if parsed.offset().is_none() && parsed.timestamp().is_none() => {
                if !is_utc(name.as_bytes()) {
                    return Err(Fault::LETTER_ZONE);
                }
                parsed.set_offset(0).map_err(|_| Fault::NO_OFFSET)?;
            }
            _ => {}
        }
        if parsed.second() == Some(60) {
            return Err(Fault::LEAP_SECOND);
        }
        let basis = match (parsed.offset(), parsed.timestamp()) {
            (Some(offset), _) => Basis::Offset(offset),
            (None, Some(_)) => Basis::Offset(0),
            (None, None) => Basis::Zone,
        };
        match local_time(&mut parsed) {
            Ok(local) => Ok(Some(Moment { local, basis })),
            Err(error) if is_impossible(error.kind()) => Err(Fault::NO_DATE),
            Err(_) => Ok(None),
        }
    }

    /// Whether the text has the format's shape. Chrono refuses the day 32 at once, without looking at the rest; with 1
    /// for each number of one or two digits it looks.
    fn would_match(&self, text: &str) -> bool {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
        let mut shape = String::with_capacity(text.len());
        for piece in text.split_inclusive(|sign: char| !sign.is_ascii_digit()) {
            let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
            let (number, sign) = piece.split_at(digits);
            shape.push_str(match digits {
                1 => "1",
                2 => "01",
                _ => number,
            });
            shape.push_str(sign);
        }
        self.parse(&mut Parsed::new(), &shape).0.is_ok()
    }

    fn parse<'a>(&self, parsed: &mut Parsed, text: &'a str) -> (ParseResult<()>, Option<&'a str>) {
        let Some(at) = self.zone_name else { return (format::parse(parsed, text, self.items.iter()), None) };
        let rest = match format::parse_and_remainder(parsed, text, self.items[..at].iter()) {
            Ok(rest) => rest,
            Err(error) => return (Err(error), None),
        };
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        (format::parse(parsed, rest, self.items[at + 1..].iter()), Some(name))
    }
}

fn is_impossible(kind: ParseErrorKind) -> bool {
    matches!(kind, ParseErrorKind::OutOfRange | ParseErrorKind::Impossible)
}

/// A date alone means midnight, an hour alone its beginning, and of two-digit years 69 to 99 are 19xx (POSIX; chrono
/// begins with 70).
fn local_time(parsed: &mut Parsed) -> ParseResult<NaiveDateTime> {
    if parsed.year().is_none() && parsed.year_div_100().is_none() && parsed.year_mod_100() == Some(69) {
        parsed.set_year_div_100(19)?;
    }
    if parsed.timestamp().is_none() && parsed.minute().is_none() && parsed.second().is_none() {
        if parsed.hour_mod_12().is_none() && parsed.hour_div_12().is_none() {
            parsed.set_hour(0)?;
        }
        parsed.set_minute(0)?;
    }
    parsed.to_naive_datetime_with_offset(parsed.offset().unwrap_or(0))
}
