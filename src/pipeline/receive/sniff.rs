//! The beginning of a file, read while the rest arrives: a file that cannot be read is refused before it was sent.

use std::{borrow::Cow, io::Read};

use bytesize::ByteSize;
use flate2::read::MultiGzDecoder;

use crate::{
    error::{Error, Result},
    rows::{Layout, LayoutError, RowOptions, is_gzip},
};

/// Reads the beginning of a file until it is known to be readable with its options, or known not to be.
pub struct Sniffer<'a> {
    options: &'a RowOptions,
    head: Vec<u8>,
    /// Length of `head` at the last look, and looks since it last doubled.
    looked_at: usize,
    looks: u32,
}

/// Bytes in front of the first record that are not its own: byte order mark, blank lines, a gzip header.
pub const LEAD_BYTES: u64 = 128 << 10;
/// Bytes without which no look is taken: enough to tell gzip, zip and other formats from text.
const MAGIC_BYTES: usize = 16;
/// Looks at a head that has not doubled, so that a sender of single bytes does not cost a look each.
const LOOKS_MAX: u32 = 32;

impl<'a> Sniffer<'a> {
    pub fn new(options: &'a RowOptions) -> Self {
        Self { options, head: Vec::new(), looked_at: 0, looks: 0 }
    }

    /// Adds bytes; true once the file is known to be readable. `Rejected` when it is not.
    pub fn add(&mut self, bytes: &[u8]) -> Result<bool> {
        self.head.extend_from_slice(bytes);
        if self.head.len() < MAGIC_BYTES {
            return Ok(false);
        }
        if self.head.len() >= 2 * self.looked_at {
            (self.looked_at, self.looks) = (self.head.len(), 0);
        } else if self.looks < LOOKS_MAX && memchr::memchr2(b'\n', b'\r', bytes).is_some() {
            self.looks += 1;
        } else {
            return Ok(false);
        }
        let found = self.look(false)?.is_some();
        if !found && self.head.len() as u64 > self.most() {
            let text = format!("there is no complete first record within {}", ByteSize(self.most()));
            return Err(Error::rejected("record_too_long", text)
                .next("check delimiter and quotes of the first line, or raise max_record_bytes"));
        }
        Ok(found)
    }

    /// The file ends here.
    pub fn end(self) -> Result<()> {
        self.look(true).map(|_| ())
    }

    /// Within so many bytes the first record must end.
    pub fn most(&self) -> u64 {
        self.options.max_record_bytes + LEAD_BYTES
    }

    /// What the first bytes tell; `complete`: they are the whole file.
    pub fn look(&self, complete: bool) -> Result<Option<Layout>> {
        let (text, complete) = plain(&self.head, complete, self.most())?;
        Layout::detect(&text, complete, self.options).map_err(rejected)
    }
}

/// A file's beginning as a reader meets it: expanded where it is gzip, at most `most` bytes of that; and whether this
/// is all of the file. `Rejected` where the gzip is damaged.
pub fn plain(head: &[u8], complete: bool, most: u64) -> Result<(Cow<'_, [u8]>, bool)> {
    if !is_gzip(head) {
        return Ok((Cow::Borrowed(head), complete));
    }
    let mut expanded = Vec::new();
    let ended = match MultiGzDecoder::new(head).take(most).read_to_end(&mut expanded) {
        Ok(_) => (expanded.len() as u64) < most,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && !complete => false,
        Err(error) => {
            return Err(Error::rejected("broken_gzip", "the file is gzip, but damaged or cut off")
                .because(error)
                .next("compress it again, or send it as it is"));
        }
    };
    Ok((Cow::Owned(expanded), complete && ended))
}

fn rejected(error: LayoutError) -> Error {
    Error::rejected(error.code, error.message).next(error.next)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    const USERS: &[u8] = b"id,name,time_of_start\n1,Ada,2017-03-07T00:30:54Z\n";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Bytes that were needed when they came one by one.
    fn needed(file: &[u8]) -> Result<usize> {
        let options = RowOptions::default();
        let mut sniffer = Sniffer::new(&options);
        for (at, byte) in file.iter().enumerate() {
            if sniffer.add(std::slice::from_ref(byte))? {
                return Ok(at + 1);
            }
        }
        sniffer.end().map(|()| file.len())
    }

    #[test]
    fn a_file_is_known_with_its_first_record() {
        assert_eq!(needed(USERS).unwrap(), 22);
        assert_eq!(needed(&USERS[..21]).unwrap(), 21, "header only, without a line end");
        assert_eq!(needed(b"first,second\nvalue,value\n").unwrap_err().code, "column_not_found");
        assert_eq!(needed(b"").unwrap_err().code, "empty_file");
    }

    #[test]
    fn gzip_is_looked_into() {
        assert!(needed(&gzip(USERS)).unwrap() <= gzip(USERS).len());
        assert_eq!(needed(&gzip(b"first,second\n1,2\n")).unwrap_err().code, "column_not_found");
        assert_eq!(needed(&gzip(b"")).unwrap_err().code, "empty_file");
        let mut long = USERS.to_vec();
        long.extend((0..200_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()));
        let long = gzip(&long);
        assert!(needed(&long).unwrap() < long.len() / 2, "its beginning is enough");
        let cut = gzip(USERS);
        assert_eq!(needed(&cut[..14]).unwrap_err().code, "broken_gzip");
    }

    #[test]
    fn a_first_record_that_never_ends_is_refused_in_bounded_memory() {
        let options = RowOptions { max_record_bytes: 1000, ..RowOptions::default() };
        let mut sniffer = Sniffer::new(&options);
        let refused = (0..1000).find_map(|_| sniffer.add(&[b'x'; 1000]).err());
        assert!(refused.is_some());
        assert!(sniffer.head.len() <= 2 * (1000 + LEAD_BYTES as usize));
    }
}
