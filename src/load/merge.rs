//! Many sorted runs become one stream in id order, each id once: the lowest line wins in `keep` mode, the highest in
//! `replace` mode, and how many rows each stands for, and whether they conflict, is summed over the runs.

use std::sync::Arc;

use super::{
    row::{RunRow, Span, common, prefix},
    run::Run,
};
use crate::{
    error::{Error, Result},
    rows::{Existing, UserBlock, UserLines},
    store::Bounds,
};

/// Reads one run from some id on.
struct Cursor {
    run: usize,
    block: Vec<u8>,
    /// Offset of the block behind this one.
    next: u64,
    at: Span,
    ended: bool,
}

impl Cursor {
    /// Stands on the first row whose id is not `before` the range; `None` when there is none.
    fn open(runs: &[Run], run: usize, from: Option<&[u8]>, before: impl Fn(&[u8]) -> bool) -> Result<Option<Self>> {
        let next = runs[run].seek(from)?;
        let mut cursor = Self { run, block: Vec::new(), next, at: Span::default(), ended: false };
        while cursor.advance(runs)? {
            if !before(cursor.id()) {
                return Ok(Some(cursor));
            }
        }
        Ok(None)
    }

    /// Steps to the next row; false at the end.
    fn advance(&mut self, runs: &[Run]) -> Result<bool> {
        if self.at.end == self.block.len() {
            self.at = Span::default();
            match runs[self.run].read_block(self.next, &mut self.block)? {
                Some(next) => self.next = next,
                None => {
                    self.ended = true;
                    return Ok(false);
                }
            }
        }
        self.at = Span::decode(&self.block, self.at.end).ok_or_else(|| runs[self.run].damaged())?;
        Ok(true)
    }

    fn id(&self) -> &[u8] {
        self.at.id(&self.block)
    }
}

/// The row of an id that wins so far.
#[derive(Default)]
pub(crate) struct Winner {
    bytes: Vec<u8>,
    span: Span,
}

impl Winner {
    pub fn row(&self) -> RunRow<'_> {
        self.span.row(&self.bytes)
    }

    pub fn set(&mut self, row: &RunRow<'_>) {
        self.bytes.clear();
        row.encode(&mut self.bytes);
        self.span = Span::decode(&self.bytes, 0).unwrap_or_default();
    }

    /// Takes another row of the same id from a later line.
    pub fn join(&mut self, row: &RunRow<'_>, existing: Existing) {
        let mine = self.span.row(&self.bytes);
        let differs = mine.name != row.name || mine.time_of_start != row.time_of_start;
        let conflicting = mine.conflicting || row.conflicting || differs;
        let good = mine.good + row.good;
        if existing == Existing::Replace {
            self.set(row);
        }
        self.span.good = good;
        self.span.conflicting = conflicting;
    }
}

/// Streams the users of one id range. Blocking: it reads files.
pub struct Merge {
    runs: Arc<[Run]>,
    cursors: Vec<Cursor>,
    /// Of each cursor's id the part that mostly tells it apart, behind what all ids have in common.
    keys: Vec<u128>,
    common: usize,
    /// A tree of losers (Knuth, The Art of Computer Programming, volume 3, section 5.4.1): at each inner node, numbered
    /// as in a heap, the cursor that lost there; the one that won all is at 0.
    tree: Vec<usize>,
    /// Whether the row of the cursor in front was given out already.
    given: bool,
    high: Option<Vec<u8>>,
    existing: Existing,
    winner: Winner,
    /// Rows and bytes of the block before: the next is about as large.
    before: (usize, usize),
    /// Set while a step is under way: after an error nothing that follows can be trusted.
    unsure: bool,
}

impl Merge {
    /// Of the range, what lies behind `after`. `existing` is the one that the runs were made with.
    pub fn new(runs: Arc<[Run]>, bounds: &Bounds, after: Option<&[u8]>, existing: Existing) -> Result<Self> {
        let low = bounds.low.as_deref();
        let before = |id: &[u8]| low.is_some_and(|low| id < low) || after.is_some_and(|after| id <= after);
        let mut cursors = Vec::with_capacity(runs.len());
        for run in 0..runs.len() {
            cursors.extend(Cursor::open(&runs, run, low.max(after), before)?);
        }
        #[cfg(feature = "faults")]
        if low.is_none() && after.is_none() && crate::faults::drop_block() {
            drop_block(&mut cursors, &runs)?;
        }
        let common = common_of(&runs);
        let mut merge = Self {
            keys: cursors.iter().map(|cursor| prefix(cursor.id(), common)).collect(),
            tree: Vec::new(),
            runs,
            cursors,
            common,
            given: false,
            high: bounds.high.clone(),
            existing,
            winner: Winner::default(),
            before: (0, 0),
            unsure: false,
        };
        merge.play_all();
        Ok(merge)
    }

    /// The next users, at most `max_rows`, and no more once they hold `max_bytes`; none at the end of the range.
    /// After an error the merge is of no further use.
    pub fn next(&mut self, max_rows: usize, max_bytes: usize) -> Result<UserBlock> {
        if std::mem::replace(&mut self.unsure, true) {
            return Err(Error::fatal("merge_failed", "merging sorted runs, which had failed before"));
        }
        let (rows, bytes) = self.before;
        let mut users = UserLines::with_capacity(rows, bytes);
        while users.len() < max_rows.max(1) && (users.is_empty() || users.bytes() < max_bytes) {
            let Some((_, block, span)) = self.next_span()? else { break };
            let (line, ends) = span.line(block);
            users.push(line, ends, span.good, span.conflicting);
        }
        let users = users.finish().ok_or_else(|| self.unsound())?;
        self.before = (users.len(), users.bytes());
        self.unsure = false;
        Ok(users)
    }

    /// A row that no clean user has, though the checksum of its block holds. It may be of any run: all are made again.
    fn unsound(&self) -> Error {
        let damaged: Vec<Error> = self.runs.iter().map(Run::damaged).collect();
        let first = damaged.into_iter().next();
        first.unwrap_or_else(|| Error::fatal("merge_failed", "merging no runs"))
    }

    /// The next id's winner, with everything that it stands for, and the run whose row came first.
    pub fn next_row(&mut self) -> Result<Option<(usize, RunRow<'_>)>> {
        Ok(self.next_span()?.map(|(run, block, span)| (run, span.row(block))))
    }

    /// As `next_row`: the row lies in the bytes that come with it.
    fn next_span(&mut self) -> Result<Option<(usize, &[u8], Span)>> {
        if std::mem::take(&mut self.given) {
            self.advance_first()?;
        }
        let Some(&first) = self.tree.first() else { return Ok(None) };
        let cursor = &self.cursors[first];
        if cursor.ended || self.high.as_deref().is_some_and(|high| cursor.id() >= high) {
            return Ok(None);
        }
        let run = cursor.run;
        if !self.has_twin(first) {
            self.given = true;
            let cursor = &self.cursors[first];
            return Ok(Some((run, &cursor.block, cursor.at)));
        }
        self.winner.set(&cursor.at.row(&cursor.block));
        loop {
            self.advance_first()?;
            let next = &self.cursors[self.tree[0]];
            if next.ended || next.id() != self.winner.span.id(&self.winner.bytes) {
                return Ok(Some((run, &self.winner.bytes, self.winner.span)));
            }
            self.winner.join(&next.at.row(&next.block), self.existing);
        }
    }

    /// Whether another cursor stands on the same id: then one of those that lost to this very cursor does.
    fn has_twin(&self, first: usize) -> bool {
        let mut node = (first + self.cursors.len()) / 2;
        while node > 0 {
            let other = self.tree[node];
            if self.keys[other] == self.keys[first] {
                let (other, first) = (&self.cursors[other], &self.cursors[first]);
                if !other.ended && other.id() == first.id() {
                    return true;
                }
            }
            node /= 2;
        }
        false
    }

    fn advance_first(&mut self) -> Result<()> {
        let first = self.tree[0];
        let cursor = &mut self.cursors[first];
        self.keys[first] = if cursor.advance(&self.runs)? { prefix(cursor.id(), self.common) } else { u128::MAX };
        let (mut winner, mut node) = (first, (first + self.cursors.len()) / 2);
        while node > 0 {
            let other = self.tree[node];
            if self.is_before(other, winner) {
                self.tree[node] = winner;
                winner = other;
            }
            node /= 2;
        }
        self.tree[0] = winner;
        Ok(())
    }

    /// Finds who wins at every node, from the leaves up.
    fn play_all(&mut self) {
        let count = self.cursors.len();
        let mut winners = vec![0; count];
        winners.extend(0..count);
        self.tree = vec![0; count];
        for node in (1..count).rev() {
            let (left, right) = (winners[2 * node], winners[2 * node + 1]);
            let (winner, loser) = if self.is_before(right, left) { (right, left) } else { (left, right) };
            (winners[node], self.tree[node]) = (winner, loser);
        }
        if count > 1 {
            self.tree[0] = winners[1];
        }
    }

    /// By id, then by line; a cursor that ended is behind all others.
    fn is_before(&self, a: usize, b: usize) -> bool {
        if self.keys[a] != self.keys[b] {
            return self.keys[a] < self.keys[b];
        }
        let (a, b) = (&self.cursors[a], &self.cursors[b]);
        (a.ended, a.id(), a.at.line) < (b.ended, b.id(), b.at.line)
    }
}

/// How many bytes all ids of all runs have in common at their beginning.
fn common_of(runs: &[Run]) -> usize {
    let ids = || runs.iter().filter_map(|run| Some((run.first_id()?, run.last_id.as_slice())));
    let lowest = ids().map(|(first, _)| first).min();
    let highest = ids().map(|(_, last)| last).max();
    lowest.zip(highest).map_or(0, |(lowest, highest)| common(lowest, highest))
}

#[cfg(feature = "faults")]
fn drop_block(cursors: &mut Vec<Cursor>, runs: &[Run]) -> Result<()> {
    if let Some(first) = cursors.first_mut() {
        first.at.end = first.block.len();
        if !first.advance(runs)? {
            cursors.swap_remove(0);
        }
    }
    Ok(())
}
