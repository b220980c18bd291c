//! Rows in bounded memory: collected in the file's order, sorted by id and line, each id once.

use crate::rows::{Existing, User};

use super::row::{RunRow, prefix};

/// The first allocation; a small file never takes more.
const FIRST_BYTES: usize = 64 << 10;

/// Where a row lies in the arena.
#[derive(Debug, Clone, Copy)]
struct Place {
    prefix: u64,
    line: u64,
    start: usize,
    id: u16,
    name: u16,
    time: u8,
}

/// Rows that are being collected, at most so many bytes of them.
#[derive(Debug)]
pub struct Arena {
    text: Vec<u8>,
    places: Vec<Place>,
    limit_bytes: usize,
}

impl Arena {
    pub fn new(limit_bytes: usize) -> Self {
        Self { text: Vec::new(), places: Vec::new(), limit_bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether this row still fits. An empty arena takes any row: rows are short.
    pub fn fits(&self, user: &User<'_>) -> bool {
        let row = user.id.len() + user.name.len() + user.time_of_start.len() + size_of::<Place>();
        self.is_empty() || self.text.len() + self.places.len() * size_of::<Place>() + row <= self.limit_bytes
    }

    /// Adds the row that began on `line`.
    pub fn push(&mut self, line: u64, user: User<'_>) {
        let start = self.text.len();
        // Doubling up to the limit, but not beyond it.
        let left = self.limit_bytes.saturating_sub(self.text.len() + self.places.len() * size_of::<Place>());
        reserve(&mut self.text, user.id.len() + user.name.len() + user.time_of_start.len(), left);
        reserve(&mut self.places, 1, left / size_of::<Place>());
        for text in [user.id, user.name, user.time_of_start] {
            self.text.extend_from_slice(text.as_bytes());
        }
        self.places.push(Place {
            prefix: prefix(user.id.as_bytes()),
            line,
            start,
            id: user.id.len() as u16,
            name: user.name.len() as u16,
            time: user.time_of_start.len() as u8,
        });
    }

    pub fn clear(&mut self) {
        self.text.clear();
        self.places.clear();
    }

    /// Sorts by id and line.
    pub fn sort(&mut self) {
        let text = &self.text;
        let id = |place: &Place| &text[place.start..place.start + usize::from(place.id)];
        self.places.sort_unstable_by(|a, b| {
            a.prefix.cmp(&b.prefix).then_with(|| id(a).cmp(id(b))).then_with(|| a.line.cmp(&b.line))
        });
    }

    /// Of sorted rows the one of each id that wins: the first line (`keep`) or the last (`replace`).
    pub fn winners(&self, existing: Existing) -> impl Iterator<Item = RunRow<'_>> {
        self.places.chunk_by(|a, b| a.prefix == b.prefix && self.row(a).id == self.row(b).id).map(move |rows| {
            let (first, last) = (self.row(&rows[0]), self.row(&rows[rows.len() - 1]));
            let differs = |row: RunRow<'_>| row.name != first.name || row.time_of_start != first.time_of_start;
            let winner = if existing == Existing::Keep { first } else { last };
            let conflicting = rows[1..].iter().any(|place| differs(self.row(place)));
            RunRow { good: rows.len() as u64, conflicting, ..winner }
        })
    }

    fn row(&self, place: &Place) -> RunRow<'_> {
        let (id, rest) = self.text[place.start..].split_at(usize::from(place.id));
        let (name, rest) = rest.split_at(usize::from(place.name));
        let time_of_start = &rest[..usize::from(place.time)];
        RunRow { line: place.line, good: 1, conflicting: false, id, name, time_of_start }
    }
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
    use super::*;

    fn user<'a>(id: &'a str, name: &'a str) -> User<'a> {
        User { id, name, time_of_start: "2017-03-07T00:30:54.000Z" }
    }

    fn winners(existing: Existing) -> Vec<(String, String, u64, u64, bool)> {
        let mut arena = Arena::new(1000);
        for (line, (id, name)) in
            [("b", "x"), ("a", "1"), ("b", "x"), ("a", "2"), ("A", "1"), ("a", "1")].iter().enumerate()
        {
            arena.push(line as u64, user(id, name));
        }
        arena.sort();
        let text = |bytes: &[u8]| String::from_utf8(bytes.into()).unwrap();
        arena.winners(existing).map(|row| (text(row.id), text(row.name), row.line, row.good, row.conflicting)).collect()
    }

    #[test]
    fn in_keep_mode_the_lowest_line_of_an_id_wins() {
        let expected = [("A", "1", 4, 1, false), ("a", "1", 1, 3, true), ("b", "x", 0, 2, false)];
        assert_eq!(winners(Existing::Keep), expected.map(|(id, name, l, g, c)| (id.into(), name.into(), l, g, c)));
    }

    #[test]
    fn in_replace_mode_the_highest_line_of_an_id_wins() {
        let expected = [("A", "1", 4, 1, false), ("a", "1", 5, 3, true), ("b", "x", 2, 2, false)];
        assert_eq!(winners(Existing::Replace), expected.map(|(id, name, l, g, c)| (id.into(), name.into(), l, g, c)));
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
}
