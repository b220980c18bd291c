//! Records that lie whole in the block and hold no quote: there every line end ends a record and every delimiter a
//! field, so that they are found by searching for those bytes, and many records are skipped at once. Whatever else
//! there is to decide about a record, its length included, is left to the automaton's way.

use std::{io::Read, ops::Range};

use super::{CsvError, CsvReader};

/// Bytes between a record end that is skipped to and the end that is looked for: a CRLF fits between them.
const SHORT_OF_GOAL: usize = 2;

impl<R: Read> CsvReader<R> {
    /// Reads records, at least one, up to the first that ends at `offset` or behind it, which `position` then tells:
    /// the same as calling `read` until `position` is there, with the same errors, but faster. False: the file ends
    /// before.
    pub fn skip_to(&mut self, offset: u64) -> Result<bool, CsvError> {
        loop {
            self.skip_whole(offset);
            if self.read()?.is_none() {
                return Ok(false);
            }
            if self.offset >= offset {
                return Ok(true);
            }
        }
    }

    /// Skips records of the block, all of which end before `offset`.
    fn skip_whole(&mut self, offset: u64) {
        loop {
            let ahead = usize::try_from(offset.saturating_sub(self.offset)).unwrap_or(usize::MAX);
            // What lies in so many bytes is no longer than a record may be.
            let longest = usize::try_from(self.max_record_bytes).unwrap_or(usize::MAX);
            // The byte behind has to be there: it may be the LF of a CRLF.
            let known = self.quote_free_end().min(self.filled.saturating_sub(1));
            let goal = self.read.saturating_add(ahead.saturating_sub(SHORT_OF_GOAL).min(longest)).min(known);
            let records = self.block.get(self.read..goal).unwrap_or_default();
            let Some(last) = memchr::memrchr2(b'\n', b'\r', records) else { return };
            let crlf = records[last] == b'\r' && self.block[self.read + last + 1] == b'\n';
            self.take_counting(last + 1 + usize::from(crlf));
        }
    }

    /// As `take`, for many lines at once.
    fn take_counting(&mut self, count: usize) {
        let bytes = &self.block[self.read..self.read + count];
        if self.after_cr || memchr::memchr(b'\r', bytes).is_some() {
            return self.take(count);
        }
        self.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.read += count;
        self.offset += count as u64;
    }

    /// Takes a record if it lies whole in the block and holds no quote. Gives where it lies, and the number of its
    /// fields, whose ends are in `ends`.
    pub(super) fn take_whole(&mut self) -> Option<(Range<usize>, usize)> {
        let (begin, quote) = (self.read, self.quote_free_end());
        let text = &self.block[begin..quote];
        let mut fields = 0;
        for at in memchr::memchr3_iter(self.delimiter, b'\n', b'\r', text) {
            if fields == self.ends.len() {
                self.ends.resize(fields * 2, 0);
            }
            self.ends[fields] = at;
            fields += 1;
            if text[at] == self.delimiter {
                continue;
            }
            let mut behind = begin + at + 1;
            let cr = text[at] == b'\r';
            // A CR at the block's end: whether its LF follows is not known yet.
            if at as u64 > self.max_record_bytes || cr && behind == self.filled {
                return None;
            }
            let crlf = cr && self.block[behind] == b'\n';
            behind += usize::from(crlf);
            self.after_cr = cr && !crlf;
            self.line += 1;
            self.read = behind;
            self.offset += (behind - begin) as u64;
            return Some((begin..begin + at, fields));
        }
        None
    }

    /// End of the bytes from `read` on that hold no quote.
    fn quote_free_end(&mut self) -> usize {
        if self.quote < self.read {
            self.find_quote();
        }
        self.quote
    }

    pub(super) fn find_quote(&mut self) {
        let rest = &self.block[self.read..self.filled];
        self.quote = memchr::memchr(b'"', rest).map_or(self.filled, |at| self.read + at);
    }
}
