//! One pass over every byte of a content: what the bytes are, and apart from that what was found in them. So bytes that
//! changed on their way are told from a file that the sender made wrong.

use crate::error::{Error, Kind, Result, Service};

/// A pass that reached the content's end.
#[derive(Debug)]
pub struct Pass<T> {
    /// Lower-case hex.
    pub sha256: String,
    pub bytes: u64,
    /// An error is `Rejected`: the sender's fault, if the bytes are those that were sent.
    pub found: Result<T>,
}

impl<T> Pass<T> {
    /// Goes on to the end, with `rest`, unless reading itself failed.
    pub fn to_end(found: Result<T>, rest: impl FnOnce() -> Result<(String, u64)>) -> Result<Self> {
        match found {
            Err(error) if error.kind != Kind::Rejected => Err(error),
            found => {
                let (sha256, bytes) = rest()?;
                Ok(Self { sha256, bytes, found })
            }
        }
    }

    /// What was found, if these are the bytes that were received: `size` bytes with the hash `expected`, where that
    /// is known.
    pub fn of_received(self, name: &str, size: u64, expected: Option<&str>) -> Result<(T, String)> {
        if let Some(expected) = expected.filter(|expected| *expected != self.sha256) {
            if self.bytes < size {
                return Err(ended_early(name, self.bytes, size));
            }
            return Err(changed(name, &format!("their SHA-256 is {}, it was {expected}", self.sha256)));
        }
        if expected.is_none() && self.bytes != size {
            return Err(ended_early(name, self.bytes, size));
        }
        Ok((self.found?, self.sha256))
    }
}

/// Reading ended, but not where the content does; another try may tell more.
pub fn ended_early(name: &str, bytes: u64, size: u64) -> Error {
    Error::unavailable(Service::Source, format!("reading {name}: it ended after {bytes} bytes, not after {size}"))
}

/// The bytes are not those that were received.
pub fn changed(name: &str, how: &str) -> Error {
    Error::rejected("content_changed", format!("the bytes of {name} changed after they were received: {how}"))
        .next("send the file again; nothing was stored of it")
}
