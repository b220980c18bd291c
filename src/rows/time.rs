//! One field of bytes to the stored time.

use chrono::{DateTime, SecondsFormat, Utc};

pub struct Times;

impl Times {
    pub fn new(_zone: chrono_tz::Tz, _formats: &[String]) -> Self {
        Self
    }

    /// Appends the stored form of `text` to `out`.
    pub fn read(&self, text: &str, out: &mut String) -> Result<Reading, TimeError> {
        if text.is_empty() {
            return Err(TimeError { code: "time_empty", message: "the time is empty".into() });
        }
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| TimeError {
            code: "time_unreadable",
            message: format!("{} is not a date", super::reject::shown(text)),
        })?;
        out.push_str(&time.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Millis, true));
        Ok(Reading { how: How::Offset, shift: Shift::None })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub how: How,
    pub shift: Shift,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Offset,
    Zone,
    Epoch,
    Format(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    None,
    Fold,
    Gap,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeError {
    pub code: &'static str,
    pub message: String,
}
