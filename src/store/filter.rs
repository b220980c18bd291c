//! Which uploads a list has.

use std::str::FromStr;

use crate::upload::State;

/// Which states to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum States {
    /// A worker has something to do yet, or it is still arriving.
    Open,
    Ended,
    One(State),
}

impl States {
    pub fn has(self, state: State) -> bool {
        match self {
            Self::Open => state.is_open() || state == State::Receiving,
            Self::Ended => !Self::Open.has(state),
            Self::One(one) => one == state,
        }
    }
}

impl FromStr for States {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "open" => Ok(Self::Open),
            "ended" => Ok(Self::Ended),
            state => state.parse().map(Self::One).map_err(|error: String| format!("{error}, open, ended")),
        }
    }
}

/// A file's two ends and its size: the same file, unless somebody wants it to seem so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// `hash::sample`
    pub sample: String,
    pub size: u64,
}

/// Which uploads to list.
#[derive(Debug, Clone)]
pub struct Filter {
    pub state: Option<States>,
    /// Only what this sender handed over.
    pub sender: Option<String>,
    /// Only what has, by all that can be told, this content.
    pub content: Option<Content>,
    /// Part of a file name or the beginning of an id.
    pub search: Option<String>,
    /// Only what was registered before this `seq`.
    pub before: Option<u64>,
    pub limit: u32,
}

impl Default for Filter {
    fn default() -> Self {
        Self { state: None, sender: None, content: None, search: None, before: None, limit: 50 }
    }
}
