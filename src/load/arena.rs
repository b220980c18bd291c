//! Rows in bounded memory: collected in the file's order, sorted by id and line, each id once. Rows lie there as a run
//! holds them; what is sorted is one number a row, the part of the id that tells rows apart in front of the place.

use std::io::{self, Write};

use super::{
    row::{FRAME_BYTES, RunRow, Span, common, prefix},
    run::RunWriter,
};
use crate::rows::{Existing, User};

/// The first allocation; a small file never takes more.
const FIRST_BYTES: usize = 64 << 10;
/// In the lower bits of a place: where its row begins. Rows begin in the file's order, so equal ids stay in it.
const START_BITS: u32 = 32;
/// Bytes of an id that a place holds.
const KEY_BYTES: usize = 12;
/// Rows whose bytes are asked for at once.
const TOUCHED: usize = 32;
/// What memory brings at once: rows mostly lie in two such lines.
const LINE_BYTES: usize = 64;
/// So few rows of equal keys are compared id by id.
const FEW: usize = 24;

/// Rows that are being collected, at most so many bytes of them.
#[derive(Debug)]
pub struct Arena {
    text: Vec<u8>,
    places: Vec<u128>,
    /// What all ids have in common at their beginning, bytes.
    common: usize,
    limit_bytes: usize,
}

impl Arena {
    pub fn new(limit_bytes: usize) -> Self {
        Self { text: Vec::new(), places: Vec::new(), common: 0, limit_bytes: limit_bytes.min(u32::MAX as usize) }
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether this row still fits. An empty arena takes any row: rows are short.
    pub fn fits(&self, user: &User<'_>) -> bool {
        self.is_empty() || self.bytes() + row_bytes(user) + size_of::<u128>() <= self.limit_bytes
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.places.len() * size_of::<u128>()
    }

    /// Adds the row that began on `line`; lines must ascend.
    pub fn push(&mut self, line: u64, user: User<'_>) {
        let start = self.text.len();
        // Doubling up to the limit, but not beyond it.
        let left = self.limit_bytes.saturating_sub(self.bytes());
        reserve(&mut self.text, row_bytes(&user), left);
        reserve(&mut self.places, 1, left / size_of::<u128>());
        let (id, name, time_of_start) = (user.id.as_bytes(), user.name.as_bytes(), user.time_of_start.as_bytes());
        RunRow { line, good: 1, conflicting: false, id, name, time_of_start }.encode(&mut self.text);
        self.common = match self.places.first() {
            None => id.len(),
            Some(first) => common(&id_at(&self.text, *first)[..self.common], id),
        };
        self.places.push(start as u128);
    }

    pub fn clear(&mut self) {
        self.text.clear();
        self.places.clear();
    }

    /// Sorts by id and line.
    pub fn sort(&mut self) {
        sort_behind(&self.text, &mut self.places, self.common);
    }

    /// Writes of sorted rows the one of each id that wins: the first line (`keep`) or the last (`replace`).
    pub fn write(&self, existing: Existing, writer: &mut RunWriter<impl Write>) -> io::Result<()> {
        let (mut at, mut touched) = (0, 0);
        for rows in self.places.chunk_by(|a, b| self.same_id(*a, *b)) {
            if at >= touched {
                touched = at + TOUCHED;
                self.touch(&self.places[at..touched.min(self.places.len())]);
            }
            at += rows.len();
            match rows {
                [only] => {
                    let span = self.span(*only);
                    writer.copy(span.id(&self.text), &self.text[start(*only)..span.end])?;
                }
                _ => writer.push(&self.winner(rows, existing))?,
            }
        }
        Ok(())
    }

    /// Reads two bytes of each of these rows: sorted, they lie anywhere in memory, which brings many at once in the time
    /// of one.
    fn touch(&self, places: &[u128]) {
        let touch = |sum: u8, place: &u128| {
            let begin = start(*place);
            let next = (begin + LINE_BYTES).min(self.text.len() - 1);
            sum.wrapping_add(self.text[begin]).wrapping_add(self.text[next])
        };
        let sum = places.iter().fold(0, touch);
        std::hint::black_box(sum);
    }

    /// As `write`, row by row.
    pub fn each(&self, existing: Existing, mut take: impl FnMut(&RunRow<'_>) -> io::Result<()>) -> io::Result<()> {
        let mut rows = self.places.chunk_by(|a, b| self.same_id(*a, *b));
        rows.try_for_each(|rows| match rows {
            [only] => take(&self.row(*only)),
            _ => take(&self.winner(rows, existing)),
        })
    }

    fn same_id(&self, a: u128, b: u128) -> bool {
        a >> START_BITS == b >> START_BITS && self.row(a).id == self.row(b).id
    }

    /// Of rows of one id, in the file's order.
    fn winner(&self, rows: &[u128], existing: Existing) -> RunRow<'_> {
        let (first, last) = (self.row(rows[0]), self.row(rows[rows.len() - 1]));
        let differs = |row: RunRow<'_>| row.name != first.name || row.time_of_start != first.time_of_start;
        let conflicting = rows[1..].iter().any(|place| differs(self.row(*place)));
        let winner = if existing == Existing::Keep { first } else { last };
        RunRow { good: rows.len() as u64, conflicting, ..winner }
    }

    fn row(&self, place: u128) -> RunRow<'_> {
        self.span(place).row(&self.text)
    }

    fn span(&self, place: u128) -> Span {
        Span::decode(&self.text, start(place)).unwrap_or_default()
    }
}

fn row_bytes(user: &User<'_>) -> usize {
    FRAME_BYTES + user.id.len() + user.name.len() + user.time_of_start.len()
}

fn start(place: u128) -> usize {
    place as u32 as usize
}

fn id_at(text: &[u8], place: u128) -> &[u8] {
    Span::decode(text, start(place)).unwrap_or_default().id(text)
}

/// Sorts rows whose ids have their first `skip` bytes in common by what follows, and equal ids by place.
fn sort_behind(text: &[u8], places: &mut [u128], skip: usize) {
    for place in places.iter_mut() {
        let key = prefix(id_at(text, *place), skip) >> (128 - 8 * KEY_BYTES);
        *place = key << START_BITS | start(*place) as u128;
    }
    places.sort_unstable();
    for rows in places.chunk_by_mut(|a, b| *a >> START_BITS == *b >> START_BITS) {
        if rows.len() > 1 {
            sort_equal_keys(text, rows, skip + KEY_BYTES);
        }
    }
}

/// Sorts rows whose keys do not tell them apart; they are in the order of their places.
fn sort_equal_keys(text: &[u8], rows: &mut [u128], compared: usize) {
    let first = id_at(text, rows[0]);
    let mut same = first.len();
    let mut equal = true;
    for row in &rows[1..] {
        let id = id_at(text, *row);
        equal = equal && id == first;
        same = common(&first[..same], id);
    }
    if equal {
        return;
    }
    // With many rows it pays to take keys again from behind what they have in common. An id that ends before that
    // would be told by its length alone.
    if rows.len() > FEW && same >= compared {
        return sort_behind(text, rows, same);
    }
    rows.sort_unstable_by(|a, b| id_at(text, *a).cmp(id_at(text, *b)).then_with(|| start(*a).cmp(&start(*b))));
}

/// Makes room for `more` items: as much again as there are, but no more than `left` where that is enough.
fn reserve<T>(items: &mut Vec<T>, more: usize, left: usize) {
    if items.capacity() - items.len() < more {
        let double = items.len().max(FIRST_BYTES / size_of::<T>());
        items.reserve_exact(double.min(left).max(more));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        load::{merge::Merge, run::Run},
        store::Bounds,
    };

    fn user<'a>(id: &'a str, name: &'a str) -> User<'a> {
        User { id, name, time_of_start: "2017-03-07T00:30:54.000Z" }
    }

    type Won = (String, String, u64, u64, bool);

    /// What is written of rows: id, name, line, good, conflicting.
    fn written(rows: &[(&str, &str)], existing: Existing) -> Vec<Won> {
        let mut arena = Arena::new(1 << 20);
        for (line, (id, name)) in rows.iter().enumerate() {
            arena.push(line as u64, user(id, name));
        }
        arena.sort();
        let mut writer = RunWriter::new(Vec::new(), 1 << 10);
        arena.write(existing, &mut writer).unwrap();
        let run = Run::memory(writer.finish().unwrap().0).unwrap();
        let mut merge = Merge::new([run].into(), &Bounds::default(), None, existing).unwrap();
        let mut won = Vec::new();
        while let Some((_, row)) = merge.next_row().unwrap() {
            let text = |bytes: &[u8]| String::from_utf8(bytes.into()).unwrap();
            won.push((text(row.id), text(row.name), row.line, row.good, row.conflicting));
        }
        won
    }

    const ROWS: [(&str, &str); 6] = [("b", "x"), ("a", "1"), ("b", "x"), ("a", "2"), ("A", "1"), ("a", "1")];

    #[test]
    fn in_keep_mode_the_lowest_line_of_an_id_wins() {
        let expected = [("A", "1", 4, 1, false), ("a", "1", 1, 3, true), ("b", "x", 0, 2, false)];
        assert_eq!(
            written(&ROWS, Existing::Keep),
            expected.map(|(id, name, l, g, c)| (id.into(), name.into(), l, g, c))
        );
    }

    #[test]
    fn in_replace_mode_the_highest_line_of_an_id_wins() {
        let expected = [("A", "1", 4, 1, false), ("a", "1", 5, 3, true), ("b", "x", 2, 2, false)];
        assert_eq!(
            written(&ROWS, Existing::Replace),
            expected.map(|(id, name, l, g, c)| (id.into(), name.into(), l, g, c))
        );
    }

    #[test]
    fn a_full_arena_takes_no_more_but_an_empty_one_takes_any_row() {
        let mut arena = Arena::new(100);
        let long = "x".repeat(200);
        assert!(arena.fits(&user("1", &long)));
        arena.push(1, user("1", "n"));
        assert!(!arena.fits(&user("2", "n")));
        arena.clear();
        assert!(arena.fits(&user("2", "n")));
    }

    /// Ids with long common beginnings, some of which are whole ids, and some with a character of value zero.
    fn ids() -> impl Strategy<Value = Vec<String>> {
        let start = prop_oneof![Just(""), Just("a"), Just("user-number-"), Just("anna.with.a.long.name@example.")];
        let end = prop_oneof!["[ab]{0,3}", "[01]{12,14}[ab]?", "[a\0]{0,14}", Just("é".repeat(20))];
        prop::collection::vec((start, end).prop_map(|(start, end)| format!("{start}{end}")), 1..200)
    }

    proptest! {
        #[test]
        fn rows_come_in_the_order_of_their_ids_whatever_these_have_in_common(ids in ids(), shared in "x{0,20}") {
            let ids: Vec<String> = ids.into_iter().map(|id| format!("{shared}{id}")).collect();
            let mut expected = BTreeMap::<&str, (u64, u64)>::new();
            for (line, id) in ids.iter().enumerate() {
                expected.entry(id).or_insert((line as u64, 0)).1 += 1;
            }
            let rows: Vec<_> = ids.iter().map(|id| (id.as_str(), "n")).collect();
            let found: Vec<_> = written(&rows, Existing::Keep).into_iter().map(|(id, _, l, g, _)| (id, (l, g))).collect();
            prop_assert_eq!(found, expected.into_iter().map(|(id, c)| (id.to_owned(), c)).collect::<Vec<_>>());
        }
    }
}
