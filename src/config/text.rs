//! Values of the configuration: each may stand as what it is or as text, because environment variables and flags are
//! always text and mean the same. A value that cannot be read is refused with what is possible instead.

use std::{fmt, marker::PhantomData, net::SocketAddr, time::Duration};

use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

use crate::rows::options::parse_size;

/// A value that has a text form.
pub(super) trait FromText: Sized {
    /// Completes "it must be …".
    const POSSIBLE: &'static str;
    /// Whether it may stand as a bare number, or as a bare `true` or `false`.
    const NUMBER: bool = false;
    const SWITCH: bool = false;

    fn from_text(text: &str) -> Option<Self>;
}

macro_rules! number {
    ($($type:ty: $possible:literal),* $(,)?) => {$(
        impl FromText for $type {
            const POSSIBLE: &'static str = $possible;
            const NUMBER: bool = true;
            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )*};
}

number! {
    u16: "a number from 0 to 65535",
    i32: "a whole number",
    u32: "a whole number from 0",
    usize: "a whole number from 0",
}

impl FromText for bool {
    const POSSIBLE: &'static str = "true or false";
    const SWITCH: bool = true;
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl FromText for String {
    const POSSIBLE: &'static str = "text in quotes";
    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }
}

impl FromText for SocketAddr {
    const POSSIBLE: &'static str = "an address and a port, such as 127.0.0.1:9000 or [::]:9000";
    fn from_text(text: &str) -> Option<Self> {
        let text = text.strip_prefix("localhost:").map_or(text.to_string(), |port| format!("127.0.0.1:{port}"));
        text.parse().ok()
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub u64);

impl FromText for Size {
    const POSSIBLE: &'static str = "a size, such as 1048576, 256MiB or 50GB";
    const NUMBER: bool = true;
    fn from_text(text: &str) -> Option<Self> {
        parse_size("", text).ok().map(Self)
    }
}

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub Duration);

impl FromText for Span {
    const POSSIBLE: &'static str = "a length of time, such as 30s, 12h or 1d";
    fn from_text(text: &str) -> Option<Self> {
        humantime::parse_duration(text).ok().map(Self)
    }
}

/// Something librdkafka reads from text, however it was written.
#[derive(Debug, Clone)]
pub(super) struct Property(pub SecretString);

impl FromText for Property {
    const POSSIBLE: &'static str = "text, a number, true or false";
    const NUMBER: bool = true;
    const SWITCH: bool = true;
    fn from_text(text: &str) -> Option<Self> {
        Some(Self(text.into()))
    }
}

/// Reads a `T` from its own form or from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text<T>(pub T);

impl<'de, T: FromText> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor(PhantomData)).map(Self)
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: FromText> TextVisitor<T> {
    fn read<E: de::Error>(text: &str) -> Result<T, E> {
        let shown = text.escape_debug();
        T::from_text(text).ok_or_else(|| E::custom(format!("\"{shown}\" is not possible, it must be {}", T::POSSIBLE)))
    }

    fn bare<E: de::Error>(allowed: bool, text: impl fmt::Display) -> Result<T, E> {
        if allowed {
            Self::read(&text.to_string())
        } else {
            Err(E::custom(format!("{text} is not possible, it must be {}", T::POSSIBLE)))
        }
    }
}

impl<T: FromText> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(T::POSSIBLE)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        Self::read(text)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        Self::bare(T::NUMBER, number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        Self::bare(T::NUMBER, number)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        Self::bare(T::NUMBER, number)
    }

    fn visit_bool<E: de::Error>(self, switch: bool) -> Result<T, E> {
        Self::bare(T::SWITCH, switch)
    }
}

/// A secret: text, and no message ever shows it.
#[derive(Debug, Clone)]
pub(super) struct Secret(pub SecretString);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hidden;
        impl Visitor<'_> for Hidden {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("text in quotes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret(text.into()))
            }
        }
        deserializer.deserialize_any(Hidden)
    }
}

/// Several texts: a list, or one text with commas between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct List(pub Vec<String>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;
        impl<'de> Visitor<'de> for Items {
            type Value = List;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list of texts, or one text with commas")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<List, E> {
                Ok(List(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Into::into).collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List, A::Error> {
                let mut list = Vec::new();
                while let Some(Text(item)) = items.next_element::<Text<String>>()? {
                    list.push(item);
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_any(Items)
    }
}

/// A `[rows]` value as the texts that `RowOptions::assign` takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OptionTexts(pub Vec<String>);

impl<'de> Deserialize<'de> for OptionTexts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = OptionTexts;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("text, a number, true or false")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OptionTexts, E> {
                Ok(OptionTexts(vec![text.into()]))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<OptionTexts, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<OptionTexts, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_bool<E: de::Error>(self, switch: bool) -> Result<OptionTexts, E> {
                self.visit_str(&switch.to_string())
            }
        }
        deserializer.deserialize_any(Scalar)
    }
}
