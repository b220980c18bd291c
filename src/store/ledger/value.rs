//! Parameters and columns: what the ledger's types look like in the database, and back.

use std::str::FromStr;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, Result},
    store::session::{Row, Value},
    upload::UploadId,
};

pub(super) fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

pub(super) fn maybe_text(text: Option<impl Into<String>>) -> Value {
    text.map_or(Value::Null, |text| Value::Text(text.into()))
}

pub(super) fn id(id: UploadId) -> Value {
    Value::Text(id.to_string())
}

/// A count or a size; what comes from outside is checked before it comes here.
pub(super) fn count(count: u64) -> Value {
    Value::Int(i64::try_from(count).expect("counts stay below 2^63"))
}

pub(super) fn maybe_bytes(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |bytes| Value::Bytes(bytes.to_vec()))
}

pub(super) fn json(value: &impl Serialize) -> Value {
    Value::Text(serde_json::to_string(value).expect("the ledger's types are JSON"))
}

pub(super) fn maybe_json(value: Option<&impl Serialize>) -> Value {
    value.map_or(Value::Null, json)
}

/// Takes a row's columns one after the other, in the order of its SELECT.
pub(super) struct Columns(std::vec::IntoIter<Value>);

impl Columns {
    pub(super) fn of(row: Row) -> Self {
        Self(row.into_iter())
    }

    fn next(&mut self) -> Result<Value> {
        self.0.next().ok_or_else(|| unreadable("a column is missing"))
    }

    pub(super) fn maybe_int(&mut self) -> Result<Option<i64>> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(number)),
            Value::Text(_) | Value::Bytes(_) => Err(unreadable("a number was expected")),
        }
    }

    pub(super) fn int(&mut self) -> Result<i64> {
        self.maybe_int()?.ok_or_else(|| unreadable("a number is missing"))
    }

    pub(super) fn count<T: TryFrom<i64>>(&mut self) -> Result<T> {
        self.maybe_count()?.ok_or_else(|| unreadable("a count is missing"))
    }

    pub(super) fn maybe_count<T: TryFrom<i64>>(&mut self) -> Result<Option<T>> {
        let number = self.maybe_int()?;
        number.map(|number| T::try_from(number).map_err(|_| unreadable("a count is out of range"))).transpose()
    }

    pub(super) fn flag(&mut self) -> Result<bool> {
        Ok(self.int()? != 0)
    }

    pub(super) fn maybe_text(&mut self) -> Result<Option<String>> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Bytes(_) | Value::Int(_) => Err(unreadable("text was expected")),
        }
    }

    pub(super) fn text(&mut self) -> Result<String> {
        self.maybe_text()?.ok_or_else(|| unreadable("text is missing"))
    }

    /// Text that a type reads: an id, a state.
    pub(super) fn parsed<T: FromStr>(&mut self) -> Result<T> {
        self.maybe_parsed()?.ok_or_else(|| unreadable("text is missing"))
    }

    pub(super) fn maybe_parsed<T: FromStr>(&mut self) -> Result<Option<T>> {
        let text = self.maybe_text()?;
        text.map(|text| text.parse().map_err(|_| unreadable(&format!("\"{text}\" is unknown")))).transpose()
    }

    pub(super) fn maybe_bytes(&mut self) -> Result<Option<Vec<u8>>> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Bytes(bytes) => Ok(Some(bytes)),
            Value::Text(_) | Value::Int(_) => Err(unreadable("bytes were expected")),
        }
    }

    pub(super) fn maybe_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let text = self.maybe_text()?;
        text.map(|text| serde_json::from_str(&text).map_err(|error| unreadable("JSON was expected").because(error)))
            .transpose()
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        self.maybe_json()?.ok_or_else(|| unreadable("JSON is missing"))
    }
}

fn unreadable(what: &str) -> Error {
    Error::fatal("ledger_unreadable", format!("reading a row of the ledger: {what}"))
        .next("see whether something else than userdata writes to its tables, or a newer version does")
}
