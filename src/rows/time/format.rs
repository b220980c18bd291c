//! Times in a configured strftime format, parsed once for all rows. Chrono reads each piece; between them it is too
//! lenient for a program that guesses nothing: it lets blanks be missing or added anywhere, so `07-03-2017:30:54`
//! would be half past five in 2020, takes 17 as the year 0017, and cuts fractions.

use std::fmt::Write;

use chrono::{
    DateTime, NaiveDateTime,
    format::{self, Fixed, Item, Numeric, Pad, ParseErrorKind, ParseResult, Parsed, StrftimeItems},
};

use super::{
    iso::is_utc,
    moment::{Basis, Fault, Moment},
};

pub struct Format {
    items: Vec<Item<'static>>,
    /// It begins with a number of one or two digits and a sign behind them.
    begins_short: bool,
}

/// Why a text does not fit.
enum Misfit {
    Other,
    /// A number that is none of its kind, such as the day 32.
    Impossible,
    /// More than nine digits.
    Fraction,
}

impl Format {
    /// Of text that is no strftime format comes a format that matches nothing.
    pub fn new(text: &str) -> Self {
        let items = StrftimeItems::new(text.trim()).parse_to_owned().unwrap_or_else(|_| vec![Item::Error]);
        let begins_short = begins_short(&items);
        Self { items, begins_short }
    }

    /// Whether a text in this format tells an instant: `%H:%M` has no date, and `%I:%M` no half of the day.
    pub fn tells_time(&self) -> bool {
        let Some(sample) = DateTime::from_timestamp(1_511_444_756, 123_456_789) else { return false };
        let mut text = String::new();
        // What cannot be written is no format; a zone in letters is one that a text may or may not make use of.
        write!(text, "{}", sample.format_with_items(self.items.iter())).is_ok()
            && matches!(self.read(text.trim()), Ok(Some(_)) | Err(_))
    }

    /// `None`: the format does not match the whole text, or does not tell a time (`%H:%M` alone). A fault: it matches,
    /// but there is no such time.
    pub fn read(&self, text: &str) -> Result<Option<Moment>, Fault> {
        // Told at a glance of every ISO time, before which the formats come.
        if self.begins_short && text.len() > 2 && text.bytes().take(3).all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        self.read_all(text)
    }

    /// As `read`, item by item.
    pub(super) fn read_all(&self, text: &str) -> Result<Option<Moment>, Fault> {
        let mut parsed = Parsed::new();
        let zone_name = match self.fit(&mut parsed, text) {
            Ok(zone_name) => zone_name,
            Err(Misfit::Fraction) => return Err(Fault::FRACTION),
            Err(Misfit::Impossible) if self.would_match(text) => return Err(Fault::NO_DATE),
            Err(_) => return Ok(None),
        };
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
        self.fit(&mut Parsed::new(), &shape).is_ok()
    }

    /// Reads the whole text, and gives what stands for `%Z`.
    fn fit<'a>(&self, parsed: &mut Parsed, text: &'a str) -> Result<Option<&'a str>, Misfit> {
        let (mut rest, mut zone_name) = (text, None);
        for (at, item) in self.items.iter().enumerate() {
            let blank = rest.starts_with(char::is_whitespace);
            rest = match item {
                Item::Space(_) | Item::OwnedSpace(_) if blank => rest.trim_start(),
                Item::Numeric(_, Pad::Space) => self.piece(parsed, at, rest)?,
                Item::Space(_) | Item::OwnedSpace(_) => return Err(Misfit::Other),
                _ if blank => return Err(Misfit::Other),
                Item::Fixed(Fixed::TimezoneName) => {
                    let (name, behind) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
                    zone_name = Some(name);
                    behind
                }
                Item::Numeric(Numeric::Nanosecond, _) => fraction(parsed, rest)?,
                Item::Fixed(Fixed::Nanosecond) if rest.starts_with('.') => fraction(parsed, &rest[1..])?,
                _ => self.piece(parsed, at, rest)?,
            };
        }
        if rest.is_empty() { Ok(zone_name) } else { Err(Misfit::Other) }
    }

    /// One item as chrono reads it, but for numbers that are too short: a year has four digits, and among numbers
    /// without a sign between them each has all of its digits.
    fn piece<'a>(&self, parsed: &mut Parsed, at: usize, text: &'a str) -> Result<&'a str, Misfit> {
        let item = &self.items[at];
        let rest = format::parse_and_remainder(parsed, text, std::iter::once(item))
            .map_err(|error| if is_impossible(error.kind()) { Misfit::Impossible } else { Misfit::Other })?;
        let Item::Numeric(number, pad) = item else { return Ok(rest) };
        let taken = &text[..text.len() - rest.len()];
        let blanks = if *pad == Pad::Space { taken.bytes().filter(u8::is_ascii_whitespace).count() } else { 0 };
        let digits = taken.bytes().filter(u8::is_ascii_digit).count() + blanks;
        let is_number = |at: usize| matches!(self.items.get(at), Some(Item::Numeric(..)));
        let touches = is_number(at + 1) || at.checked_sub(1).is_some_and(is_number);
        let least = match number {
            Numeric::Year | Numeric::IsoYear => 4,
            _ if !touches => 1,
            Numeric::Ordinal => 3,
            Numeric::Quarter | Numeric::NumDaysFromSun | Numeric::WeekdayFromMon | Numeric::Timestamp => 1,
            _ => 2,
        };
        if digits < least { Err(Misfit::Other) } else { Ok(rest) }
    }
}

fn begins_short(items: &[Item<'_>]) -> bool {
    use Numeric::{Day, Hour, Hour12, Minute, Month, Second, YearMod100};
    let sign = |text: &str| text.starts_with(|sign: char| !sign.is_ascii_digit());
    match items {
        [Item::Numeric(Day | Month | Hour | Hour12 | Minute | Second | YearMod100, _), next, ..] => match next {
            Item::Literal(text) => sign(text),
            Item::OwnedLiteral(text) => sign(text),
            _ => false,
        },
        _ => false,
    }
}

/// The digits of a fraction, for `%f` too: chrono reads `.123` with it as 123 nanoseconds, everybody else as 123
/// milliseconds; of nine digits both say the same.
fn fraction<'a>(parsed: &mut Parsed, text: &'a str) -> Result<&'a str, Misfit> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    match (digits, number.parse::<i64>()) {
        (1..=9, Ok(value)) => {
            let nanos = value * 10_i64.pow(9 - digits as u32);
            parsed.set_nanosecond(nanos).map(|_| rest).map_err(|_| Misfit::Other)
        }
        (0, _) => Err(Misfit::Other),
        _ => Err(Misfit::Fraction),
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
