//! Hashes of bytes that stream by, and of a file's two ends. SHA-256 is what people are told and can compute themselves.
//! Its state can be written down at any offset, and another process goes on from there; where that is not needed,
//! ring's is nearly twice as quick on processors without instructions for it. What the program compares only with
//! itself is BLAKE3, which is many times as quick as either.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{
    Digest, Sha256,
    digest::common::hazmat::{SerializableState, SerializedState},
};

/// SHA-256 of the bytes so far, as text the hexadecimal form of its state.
#[derive(Clone, Default)]
pub struct HashState(Sha256);

impl HashState {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash if nothing follows, lower-case hex.
    pub fn sha256(&self) -> String {
        hex(&self.0.clone().finalize())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut state = SerializedState::<Sha256>::default();
        let digits = text.as_bytes().chunks_exact(2);
        if text.len() != 2 * state.len() {
            return None;
        }
        for (byte, digits) in state.iter_mut().zip(digits) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Sha256::deserialize(&state).ok().map(Self)
    }
}

impl fmt::Display for HashState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0.serialize()))
    }
}

impl fmt::Debug for HashState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashState({self})")
    }
}

impl PartialEq for HashState {
    fn eq(&self, other: &Self) -> bool {
        self.0.serialize() == other.0.serialize()
    }
}

impl Serialize for HashState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HashState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("no state of SHA-256"))
    }
}

/// Hashes bytes piece by piece.
pub trait Hasher: Default {
    fn update(&mut self, bytes: &[u8]);

    /// The hash of all of them, lower-case hex.
    fn finish(self) -> String;
}

/// SHA-256 from a content's beginning to its end.
pub struct WholeSha256(ring::digest::Context);

impl Default for WholeSha256 {
    fn default() -> Self {
        Self(ring::digest::Context::new(&ring::digest::SHA256))
    }
}

impl Hasher for WholeSha256 {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self) -> String {
        hex(self.0.finish().as_ref())
    }
}

/// For what no other program compares.
#[derive(Default)]
pub struct Blake3(blake3::Hasher);

impl Hasher for Blake3 {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self) -> String {
        hex(self.0.finalize().as_bytes())
    }
}

/// Hashes what is read through it.
pub struct Hashed<R, H> {
    inner: R,
    hasher: H,
    bytes: u64,
}

impl<R: Read, H: Hasher> Hashed<R, H> {
    pub fn new(inner: R) -> Self {
        Self { inner, hasher: H::default(), bytes: 0 }
    }

    /// Reads what is left; gives the hash, and how many bytes were read through it.
    pub fn finish(mut self) -> io::Result<(String, u64)> {
        io::copy(&mut self, &mut io::sink())?;
        Ok((self.hasher.finish(), self.bytes))
    }
}

impl<R: Read, H: Hasher> Read for Hashed<R, H> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hasher.update(&into[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Bytes at each end of a file that its sample is made of.
pub const SAMPLE_BYTES: usize = 64 << 10;

/// Of a file's first `SAMPLE_BYTES` and the last as many of what is behind them: with its size, enough to ask whether
/// the same file was seen before without reading all of it. Lower-case hex.
pub fn sample(file: &File, size: u64) -> io::Result<String> {
    let most = SAMPLE_BYTES as u64;
    let (head, tail) = (size.min(most), size.saturating_sub(most).min(most));
    let mut ends = Vec::with_capacity(2 * SAMPLE_BYTES);
    for (offset, length) in [(0, head), (size - tail, tail)] {
        let begin = ends.len();
        ends.resize(begin + usize::try_from(length).unwrap_or(SAMPLE_BYTES), 0);
        file.read_exact_at(&mut ends[begin..], offset)?;
    }
    Ok(sample_of(&ends))
}

/// The sample of a file whose two ends are `ends`.
pub fn sample_of(ends: &[u8]) -> String {
    hex(&Sha256::digest(ends))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_goes_on_from_a_state_that_was_written_down_at_any_offset() {
        let bytes: Vec<u8> = (0..200).collect();
        let whole = hex(&Sha256::digest(&bytes));
        for cut in 0..bytes.len() {
            let mut state = HashState::default();
            state.update(&bytes[..cut]);
            let text = serde_json::to_string(&state).unwrap();
            let mut state: HashState = serde_json::from_str(&text).unwrap();
            state.update(&bytes[cut..]);
            assert_eq!(state.sha256(), whole);
        }
    }

    #[test]
    fn what_is_read_is_hashed_to_its_end_however_little_was_asked_for() {
        let bytes: Vec<u8> = (0..200).collect();
        let mut hashed = Hashed::<_, WholeSha256>::new(bytes.as_slice());
        hashed.read_exact(&mut [0; 7]).unwrap();
        assert_eq!(hashed.finish().unwrap(), (hex(&Sha256::digest(&bytes)), 200));
    }

    /// The first of the algorithm's own test vectors: of no bytes.
    #[test]
    fn blake3_is_that_of_its_specification() {
        let nothing = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Blake3::default().finish(), nothing);
    }

    /// Notes of unfinished uploads hold it, which another version goes on with.
    #[test]
    fn a_state_is_written_as_the_words_of_fips_180_then_blocks_and_what_is_left() {
        let mut state = HashState::default();
        state.update(b"abc");
        let initial = "67e6096a85ae67bb72f36e3c3af54fa57f520e518c68059babd9831f19cde05b";
        let text = state.to_string();
        assert!(text.starts_with(&format!("{initial}0000000000000000")), "{text}");
        assert_eq!(text.len(), 2 * (32 + 8 + 64));
        assert!(text.contains("616263"), "{text}");
    }

    #[test]
    fn what_is_no_state_is_refused() {
        for text in ["", "00", &"zz".repeat(104), &"ff".repeat(104)] {
            assert!(serde_json::from_value::<HashState>(text.into()).is_err(), "{text}");
        }
    }
}
