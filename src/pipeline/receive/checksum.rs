//! The checksum that a sender gives with a piece of a file.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Algorithms by their names in the protocol, as `Tus-Checksum-Algorithm` lists them.
pub const ALGORITHMS: &str = "sha1,sha256";

/// The checksum of the bytes so far, beside the one that it should be in the end.
#[derive(Clone)]
pub struct Checksum {
    state: State,
    wanted: Vec<u8>,
}

#[derive(Clone)]
enum State {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Checksum {
    /// `None` where the algorithm is another.
    pub fn new(algorithm: &str, wanted: Vec<u8>) -> Option<Self> {
        let state = match algorithm {
            "sha1" => State::Sha1(Sha1::new()),
            "sha256" => State::Sha256(Sha256::new()),
            _ => return None,
        };
        Some(Self { state, wanted })
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Sha1(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
        }
    }

    pub fn is_right(self) -> bool {
        match self.state {
            State::Sha1(state) => state.finalize().as_slice() == self.wanted,
            State::Sha256(state) => state.finalize().as_slice() == self.wanted,
        }
    }
}
