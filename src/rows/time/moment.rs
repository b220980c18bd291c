//! What a form of writing yields: a wall clock's time and what it is relative to, or why the text is no time.

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};

/// A time as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub local: NaiveDateTime,
    pub basis: Basis,
}

/// What a written time is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Seconds east of UTC.
    Offset(i32),
    /// The configured zone.
    Zone,
    /// UTC, as a number since 1970.
    Epoch,
}

/// A code and the end of a sentence that begins with the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub code: &'static str,
    pub sentence: &'static str,
}

impl Fault {
    const fn new(code: &'static str, sentence: &'static str) -> Self {
        Self { code, sentence }
    }

    pub const NO_DATE: Self = Self::new("time_impossible", "is not a date");
    pub const NO_TIME_OF_DAY: Self = Self::new("time_impossible", "has a time of day that no clock shows");
    pub const NO_OFFSET: Self = Self::new("time_impossible", "has an offset of a day or more, or of 60 minutes");
    pub const LEAP_SECOND: Self =
        Self::new("time_leap_second", "is a leap second, which databases refuse; write the second after it");
    pub const OUT_OF_RANGE: Self = Self::new("time_out_of_range", "is outside the years 0000 to 9999 in UTC");
    pub const FRACTION: Self =
        Self::new("time_unreadable", "has more than nine fraction digits, and nothing is cut to fit");
    pub const LETTER_ZONE: Self = Self::new(
        "time_ambiguous",
        "has a zone in letters that means different offsets in different places; write the offset, such as +01:00",
    );
    pub const DAY_OR_MONTH: Self =
        Self::new("time_ambiguous", "does not say which is the day and which the month; set formats");
    pub const NEEDS_FORMAT: Self = Self::new("time_unreadable", "is read only with a format; set formats");
    pub const TWELVE_DIGITS: Self = Self::new(
        "time_ambiguous",
        "may be milliseconds since 1970 or a calendar time; set formats, such as %Y%m%d%H%M",
    );
    pub const NUMBER: Self = Self::new(
        "time_unreadable",
        "is a number that tells no time for certain; epochs have 9 or 10 digits (s), 12 or 13 (ms), 15 or 16 (us), \
         18 or 19 (ns) and no sign",
    );
    pub const UNREADABLE: Self =
        Self::new("time_unreadable", "is not a time in a known form; write 2017-03-07T00:30:54Z, or set formats");
}

/// A calendar time in numbers, not yet known to be possible.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fields {
    pub year: u32,
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub nanos: u32,
}

impl Fields {
    /// The second 60 is refused as a leap second whatever the date, 24:00 as no time of day.
    pub fn time(self) -> Result<NaiveDateTime, Fault> {
        let year = i32::try_from(self.year).map_err(|_| Fault::OUT_OF_RANGE)?;
        let date = NaiveDate::from_ymd_opt(year, self.month, self.day).ok_or(Fault::NO_DATE)?;
        if self.second == 60 && self.hour < 24 && self.minute < 60 {
            return Err(Fault::LEAP_SECOND);
        }
        date.and_hms_nano_opt(self.hour, self.minute, self.second, self.nanos).ok_or(Fault::NO_TIME_OF_DAY)
    }

    /// So many seconds earlier, less than a day; `None` where either time is not possible.
    pub fn minus(self, seconds: i32) -> Option<Self> {
        const DAY_S: i32 = 86_400;
        if self.hour >= 24 || self.minute >= 60 || self.second >= 60 {
            return None;
        }
        let date = NaiveDate::from_ymd_opt(self.year as i32, self.month, self.day)?;
        if seconds == 0 {
            return Some(self);
        }
        let of_day = (self.hour * 3600 + self.minute * 60 + self.second) as i32 - seconds;
        let (date, of_day) = match of_day {
            0..DAY_S => (None, of_day as u32),
            ..0 => (Some(date.pred_opt()?), (of_day + DAY_S) as u32),
            _ => (Some(date.succ_opt()?), (of_day - DAY_S) as u32),
        };
        let time = Self { hour: of_day / 3600, minute: of_day / 60 % 60, second: of_day % 60, ..self };
        match date {
            Some(date) if !has_year(date) => None,
            Some(date) => Some(Self { year: date.year().unsigned_abs(), month: date.month(), day: date.day(), ..time }),
            None => Some(time),
        }
    }
}

/// Of a time in the years that can be stored.
impl From<NaiveDateTime> for Fields {
    fn from(time: NaiveDateTime) -> Self {
        Self {
            year: time.year().unsigned_abs(),
            month: time.month(),
            day: time.day(),
            hour: time.hour(),
            minute: time.minute(),
            second: time.second(),
            nanos: time.nanosecond(),
        }
    }
}

/// Whether four digits are enough for the year.
pub fn has_year(date: NaiveDate) -> bool {
    (0..=9999).contains(&date.year())
}
