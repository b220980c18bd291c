//! One row as runs hold it: a clean user, the line it came from, and the rows of the file that it stands for.

/// A row of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunRow<'a> {
    /// Physical line of the row that won.
    pub line: u64,
    /// Good rows of the file with this id, as far as they went through here.
    pub good: u64,
    /// Whether those rows differ in name or time.
    pub conflicting: bool,
    pub id: &'a [u8],
    pub name: &'a [u8],
    pub time_of_start: &'a [u8],
}

impl RunRow<'_> {
    /// `line, good × 2 + conflicting, length of id, of name, of time` as variable-length numbers, then the texts.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_number(out, self.line);
        put_number(out, self.good << 1 | u64::from(self.conflicting));
        for text in [self.id, self.name, self.time_of_start] {
            put_number(out, text.len() as u64);
        }
        for text in [self.id, self.name, self.time_of_start] {
            out.extend_from_slice(text);
        }
    }
}

/// Where a row lies in its block.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    pub line: u64,
    pub good: u64,
    pub conflicting: bool,
    start: usize,
    id_end: usize,
    name_end: usize,
    /// Where the next row begins.
    pub end: usize,
}

impl Span {
    /// Reads the row that begins at `at`; `None` when it is not whole.
    pub fn decode(block: &[u8], at: usize) -> Option<Self> {
        let mut rest = block.get(at..)?;
        let line = take_number(&mut rest)?;
        let good = take_number(&mut rest)?;
        let mut length = || take_number(&mut rest).and_then(|length| usize::try_from(length).ok());
        let (id, name, time) = (length()?, length()?, length()?);
        let start = block.len() - rest.len();
        let id_end = start.checked_add(id)?;
        let name_end = id_end.checked_add(name)?;
        let end = name_end.checked_add(time)?;
        let span = Self { line, good: good >> 1, conflicting: good & 1 == 1, start, id_end, name_end, end };
        (end <= block.len()).then_some(span)
    }

    pub fn id<'a>(&self, block: &'a [u8]) -> &'a [u8] {
        &block[self.start..self.id_end]
    }

    pub fn row<'a>(&self, block: &'a [u8]) -> RunRow<'a> {
        RunRow {
            line: self.line,
            good: self.good,
            conflicting: self.conflicting,
            id: self.id(block),
            name: &block[self.id_end..self.name_end],
            time_of_start: &block[self.name_end..self.end],
        }
    }
}

/// The first bytes of an id as a number: where two differ, the ids compare the same way.
pub fn prefix(id: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = id.len().min(8);
    bytes[..length].copy_from_slice(&id[..length]);
    u64::from_be_bytes(bytes)
}

/// Seven bits a byte, the lowest first (LEB128).
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_row_is_read_as_it_was_written(
            line: u64, good in 0..u64::MAX / 2, conflicting: bool,
            id: Vec<u8>, name: Vec<u8>, time: Vec<u8>, before: Vec<u8>,
        ) {
            let row = RunRow { line, good, conflicting, id: &id, name: &name, time_of_start: &time };
            let mut block = before.clone();
            row.encode(&mut block);
            let span = Span::decode(&block, before.len()).unwrap();
            prop_assert_eq!(span.row(&block), row);
            prop_assert_eq!(span.end, block.len());
            for length in before.len()..block.len() {
                prop_assert!(Span::decode(&block[..length], before.len()).is_none());
            }
        }

        #[test]
        fn where_prefixes_differ_ids_compare_the_same_way(a: Vec<u8>, b: Vec<u8>) {
            if prefix(&a) != prefix(&b) {
                prop_assert_eq!(prefix(&a).cmp(&prefix(&b)), a.cmp(&b));
            }
        }
    }
}
