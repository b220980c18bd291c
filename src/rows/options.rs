//! What a sender may say about a file: the `[rows]` keys, as configuration, query parameter, form field and flag.
//! Every value has one text form, read by `RowOptions::set` and written by serde.

mod columns;
mod max_rejects;

use std::{fmt, str::FromStr};

use bytesize::ByteSize;
use chrono_tz::Tz;
use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::time::Format;
pub use columns::Columns;
pub use max_rejects::MaxRejects;

/// Effective value of every `[rows]` key. What a newer version added to an info file or ledger is ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RowOptions {
    /// Zone of times without an offset (IANA name).
    #[schema(value_type = String)]
    pub zone: Tz,
    /// An ASCII-compatible encoding, by WHATWG label.
    #[schema(value_type = String)]
    pub encoding: &'static Encoding,
    /// `None`: the first of `, ; \t |` with which all three columns are found.
    #[schema(value_type = Option<String>)]
    pub delimiter: Option<Delimiter>,
    /// Whether the first record names the columns.
    pub header: bool,
    /// Which column holds what.
    pub columns: Columns,
    /// strftime formats that are tried before all others, in this order.
    pub formats: Vec<String>,
    /// Take blanks off the ends of ids and names.
    pub trim: bool,
    /// Which row wins when an id comes twice.
    pub existing: Existing,
    /// Longest record, bytes.
    pub max_record_bytes: u64,
    /// A number of rows, or a share of them: `10`, `1%`.
    #[schema(value_type = String)]
    pub max_rejects: MaxRejects,
}

impl Default for RowOptions {
    fn default() -> Self {
        Self {
            zone: Tz::UTC,
            encoding: encoding_rs::UTF_8,
            delimiter: None,
            header: true,
            columns: Columns::default(),
            formats: vec!["%d-%m-%y %H:%M:%S".into()],
            trim: false,
            existing: Existing::Keep,
            max_record_bytes: 1 << 20,
            max_rejects: MaxRejects::Percent(100.0),
        }
    }
}

impl RowOptions {
    /// The names that `set` knows.
    pub const NAMES: [&str; 10] = [
        "zone",
        "encoding",
        "delimiter",
        "header",
        "columns",
        "formats",
        "trim",
        "existing",
        "max_record_bytes",
        "max_rejects",
    ];

    /// Sets one option from its text, as a query parameter, form field or flag gives it. Of an option given several
    /// times (`formats`), give all its values in one call.
    pub fn set(&mut self, name: &str, values: &[&str]) -> Result<(), OptionError> {
        self.assign(name, values)?;
        self.check()
    }

    /// As `set`, for one of several options that are given together: call `check` after the last, since one alone
    /// may contradict what another is about to change (`header`, `columns`).
    pub fn assign(&mut self, name: &str, values: &[&str]) -> Result<(), OptionError> {
        let value = match values {
            [value] => *value,
            _ if name == "formats" => "",
            [] => return Err(OptionError(format!("option \"{name}\" has no value"))),
            [..] => {
                return Err(OptionError(format!("option \"{name}\" is given {} times, once is enough", values.len())));
            }
        };
        match name {
            "zone" => self.zone = parse_zone(value)?,
            "encoding" => self.encoding = parse_encoding(value)?,
            "delimiter" => self.delimiter = if value == "auto" { None } else { Some(value.parse()?) },
            "header" => self.header = parse_bool(name, value)?,
            "columns" => self.columns.set(value)?,
            "formats" => self.formats = values.iter().map(ToString::to_string).filter(|f| !f.is_empty()).collect(),
            "trim" => self.trim = parse_bool(name, value)?,
            "existing" => self.existing = value.parse()?,
            "max_record_bytes" => self.max_record_bytes = parse_size(name, value)?,
            "max_rejects" => self.max_rejects = value.parse()?,
            _ => {
                let names = Self::NAMES.join(", ");
                return Err(OptionError(format!("there is no option \"{name}\"; there are {names}")));
            }
        }
        Ok(())
    }

    /// Refuses what contradicts itself or could never work.
    pub fn check(&self) -> Result<(), OptionError> {
        let refuse = |text: String| Err(OptionError(text));
        if !self.encoding.is_ascii_compatible() {
            let label = self.encoding.name();
            return refuse(format!(
                "encoding \"{label}\" is not ASCII-compatible; convert the file to UTF-8 and send that"
            ));
        }
        let wide = !self.encoding.is_single_byte() && self.encoding != encoding_rs::UTF_8;
        let whole = self.encoding == encoding_rs::EUC_JP || self.encoding == encoding_rs::EUC_KR;
        // Second bytes of characters, which in EUC-KR are letters alone among the ASCII ones.
        if let Some(delimiter @ Delimiter(0x40..=0x7e)) = self.delimiter
            && wide
            && !whole
        {
            let label = self.encoding.name();
            return refuse(format!(
                "delimiter \"{delimiter}\" is also part of characters in {label}; convert the file to UTF-8"
            ));
        }
        if self.max_record_bytes == 0 || self.max_record_bytes > 64 << 20 {
            return refuse("max_record_bytes must be between 1 and 64 MiB".into());
        }
        for format in &self.formats {
            use chrono::format::{Item, StrftimeItems};
            if StrftimeItems::new(format).any(|item| item == Item::Error) {
                return refuse(format!("\"{format}\" is not a strftime format"));
            }
            if !Format::new(format).tells_time() {
                return refuse(format!(
                    "format \"{format}\" does not tell day, month and year, or %I has no %p: no time could be read"
                ));
            }
        }
        self.columns.check(self.header)
    }
}

fn parse_zone(text: &str) -> Result<Tz, OptionError> {
    let zone = text.parse();
    zone.map_err(|_| OptionError(format!("zone \"{text}\" is unknown; use an IANA name such as Europe/Berlin or UTC")))
}

fn parse_encoding(text: &str) -> Result<&'static Encoding, OptionError> {
    let encoding = Encoding::for_label(text.as_bytes());
    encoding.ok_or_else(|| {
        OptionError(format!("encoding \"{text}\" is unknown; use a label such as utf-8 or windows-1252"))
    })
}

fn parse_bool(name: &str, text: &str) -> Result<bool, OptionError> {
    match text {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err(OptionError(format!("{name} \"{text}\" is neither true nor false"))),
    }
}

/// A number of bytes: `1048576`, `1MiB`, `50GB`.
pub fn parse_size(name: &str, text: &str) -> Result<u64, OptionError> {
    let size = text.parse::<ByteSize>();
    size.map(|size| size.0)
        .map_err(|_| OptionError(format!("{name} \"{text}\" is not a size; write 1048576, 1MiB or 50GB")))
}

/// Serializes a type as the text of its `Display` and `FromStr`.
macro_rules! as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
use as_text;

/// A field delimiter: one ASCII byte, neither quote nor line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiter(pub u8);

as_text!(Delimiter);

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == b'\t' { f.write_str("\\t") } else { write!(f, "{}", char::from(self.0)) }
    }
}

impl FromStr for Delimiter {
    type Err = OptionError;
    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text.as_bytes() {
            b"\\t" | b"tab" => Ok(Self(b'\t')),
            &[byte]
                if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) && !byte.is_ascii_alphanumeric() =>
            {
                Ok(Self(byte))
            }
            _ => Err(OptionError(format!(
                "delimiter \"{}\" cannot be used; use one of , ; \\t | or another single ASCII sign",
                text.escape_debug()
            ))),
        }
    }
}

/// Which row wins when an id comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Existing {
    /// The first line of the file; an id that is in the table stays as it is.
    Keep,
    /// The last line of the file; a row that is in the table is replaced where it differs.
    Replace,
}

as_text!(Existing);

impl fmt::Display for Existing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep => "keep",
            Self::Replace => "replace",
        })
    }
}

impl FromStr for Existing {
    type Err = OptionError;
    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text {
            "keep" => Ok(Self::Keep),
            "replace" => Ok(Self::Replace),
            _ => Err(OptionError(format!("existing \"{text}\" is neither keep nor replace"))),
        }
    }
}

/// One clear sentence: which option, what was given, what is possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OptionError(pub String);
