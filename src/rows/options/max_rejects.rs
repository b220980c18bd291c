//! How many rows of a file may be refused before all of it is.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{OptionError, as_text};

/// How many rejects a file may have and still be loaded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxRejects {
    Rows(u64),
    /// Of all rows, 0 to 100.
    Percent(f64),
}

impl MaxRejects {
    /// Whether a file with so many rejects among so many rows may be loaded.
    pub fn allows(self, rejected: u64, read: u64) -> bool {
        match self {
            Self::Rows(rows) => rejected <= rows,
            // Divided, since exactly at the limit the quotient is the very float that the limit was read as.
            Self::Percent(percent) => rejected as f64 * 100.0 / read.max(1) as f64 <= percent,
        }
    }
}

as_text!(MaxRejects);

impl fmt::Display for MaxRejects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => rows.fmt(f),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for MaxRejects {
    type Err = OptionError;
    fn from_str(text: &str) -> Result<Self, OptionError> {
        let percent = text.strip_suffix('%').and_then(|percent| percent.trim().parse::<f64>().ok());
        match (percent, text.parse()) {
            (Some(percent), _) if (0.0..=100.0).contains(&percent) => Ok(Self::Percent(percent)),
            (None, Ok(rows)) => Ok(Self::Rows(rows)),
            _ => Err(OptionError(format!("max_rejects \"{text}\" is neither a number of rows nor a share such as 1%"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_rejects_is_exact_and_is_shown_as_it_was_given() {
        for rows in 1..100 {
            for (text, read) in [(format!("{rows}%"), 100), (format!("0.{rows:02}%"), 10_000)] {
                let limit = text.parse::<MaxRejects>().expect("a share");
                assert!(limit.allows(rows, read) && !limit.allows(rows + 1, read), "{text}");
            }
        }
        for text in ["29%", "0.57%", "100%", "0%", "29"] {
            let limit = text.parse::<MaxRejects>().expect("a limit");
            assert_eq!((limit.to_string(), limit.allows(0, 0)), (text.to_owned(), true));
        }
    }
}
