//! One row as arenas and runs hold it: a clean user, the line it came from, and the rows of the file that it stands for.
//! Both hold the same bytes, so that a row of an id that occurs once is copied, not written anew.

use crate::rows::FIELD_ENDS;

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

/// Lengths of id and name (u16 each) and time (u8), flags, the lower half of the line (u32).
const HEAD_BYTES: usize = 10;
/// Of a row beside its three fields.
pub const FRAME_BYTES: usize = HEAD_BYTES + FIELD_ENDS.len();
/// Behind the head of a row that stands for several, or of a line beyond 32 bits: the line's upper half (u32), `good`
/// (u64).
const WIDE_BYTES: usize = 12;
const CONFLICTING: u8 = 1;
const WIDE: u8 = 2;

impl RunRow<'_> {
    /// Numbers are little-endian. What follows the head is a line of a `UserBlock`. A clean user's lengths fit: at most
    /// 255 characters, a time of at most 30.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let wide = self.good != 1 || self.line > u64::from(u32::MAX);
        let flags = if self.conflicting { CONFLICTING } else { 0 } | if wide { WIDE } else { 0 };
        let mut head = [0; HEAD_BYTES];
        head[..2].copy_from_slice(&(self.id.len() as u16).to_le_bytes());
        head[2..4].copy_from_slice(&(self.name.len() as u16).to_le_bytes());
        head[4] = self.time_of_start.len() as u8;
        head[5] = flags;
        head[6..].copy_from_slice(&(self.line as u32).to_le_bytes());
        out.extend_from_slice(&head);
        if wide {
            out.extend_from_slice(&((self.line >> 32) as u32).to_le_bytes());
            out.extend_from_slice(&self.good.to_le_bytes());
        }
        for (text, end) in [self.id, self.name, self.time_of_start].into_iter().zip(FIELD_ENDS) {
            out.extend_from_slice(text);
            out.push(end);
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
    /// Where the ends of id and name stand.
    id_end: usize,
    name_end: usize,
    /// Where the next row begins.
    pub end: usize,
}

impl Span {
    /// Reads the row that begins at `at`; `None` when it is not whole.
    pub fn decode(block: &[u8], at: usize) -> Option<Self> {
        let (head, rest) = block.get(at..)?.split_first_chunk::<HEAD_BYTES>()?;
        let length = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
        let mut line = u64::from(u32::from_le_bytes([head[6], head[7], head[8], head[9]]));
        let (mut good, mut start) = (1, at + HEAD_BYTES);
        if head[5] & WIDE != 0 {
            let (upper, rest) = rest.split_first_chunk()?;
            line |= u64::from(u32::from_le_bytes(*upper)) << 32;
            good = u64::from_le_bytes(*rest.first_chunk()?);
            start += WIDE_BYTES;
        }
        let id_end = start + length(0);
        let name_end = id_end + 1 + length(2);
        let end = name_end + 1 + usize::from(head[4]) + 1;
        let conflicting = head[5] & CONFLICTING != 0;
        (end <= block.len()).then_some(Self { line, good, conflicting, start, id_end, name_end, end })
    }

    pub fn id<'a>(&self, block: &'a [u8]) -> &'a [u8] {
        &block[self.start..self.id_end]
    }

    /// The line of a `UserBlock`, and where in it the ends of id and name stand.
    pub fn line<'a>(&self, block: &'a [u8]) -> (&'a [u8], [usize; 2]) {
        (&block[self.start..self.end], [self.id_end - self.start, self.name_end - self.start])
    }

    pub fn row<'a>(&self, block: &'a [u8]) -> RunRow<'a> {
        RunRow {
            line: self.line,
            good: self.good,
            conflicting: self.conflicting,
            id: self.id(block),
            name: &block[self.id_end + 1..self.name_end],
            time_of_start: &block[self.name_end + 1..self.end - 1],
        }
    }
}

/// The first sixteen bytes of what follows an id's first `skip` bytes, as a number: where the ids have those first bytes
/// in common and these numbers differ, they compare the same way.
pub fn prefix(id: &[u8], skip: usize) -> u128 {
    let rest = id.get(skip..).unwrap_or_default();
    let bytes = match rest.first_chunk() {
        Some(bytes) => *bytes,
        None => {
            let mut bytes = [0; 16];
            bytes[..rest.len()].copy_from_slice(rest);
            bytes
        }
    };
    u128::from_be_bytes(bytes)
}

/// How many bytes two ids have in common at their beginning.
pub fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..max)
    }

    proptest! {
        #[test]
        fn a_row_is_read_as_it_was_written(
            line in prop_oneof![any::<u64>(), 0..100_u64], good in prop_oneof![Just(1_u64), any::<u64>()],
            conflicting: bool, id in bytes(300), name in bytes(300), time in bytes(40), before in bytes(20),
        ) {
            let row = RunRow { line, good, conflicting, id: &id, name: &name, time_of_start: &time };
            let mut block = before.clone();
            row.encode(&mut block);
            let span = Span::decode(&block, before.len()).unwrap();
            prop_assert_eq!(span.row(&block), row);
            prop_assert_eq!(span.end, block.len());
            let (line, [id_end, name_end]) = span.line(&block);
            let expected = [&*id, b"\t", &*name, b"\t", &*time, b"\n"].concat();
            prop_assert_eq!((line, id_end, name_end), (&*expected, id.len(), id.len() + 1 + name.len()));
            for length in before.len()..block.len() {
                prop_assert!(Span::decode(&block[..length], before.len()).is_none());
            }
        }

        #[test]
        fn where_prefixes_differ_ids_compare_the_same_way(
            a in prop::collection::vec(0..3_u8, 0..40), b in prop::collection::vec(0..3_u8, 0..40), skip in 0..40_usize,
        ) {
            let skip = skip.min(common(&a, &b));
            if prefix(&a, skip) != prefix(&b, skip) {
                prop_assert_eq!(prefix(&a, skip).cmp(&prefix(&b, skip)), a.cmp(&b));
            }
        }
    }
}
