//! Many sorted runs become one stream in id order, each id once: the lowest line wins in `keep` mode, the highest in
//! `replace` mode, and how many rows each stands for, and whether they conflict, is summed over the runs.

use std::{cmp::Ordering, sync::Arc};

use super::{
    row::{RunRow, Span, prefix},
    run::Run,
};
use crate::{
    error::{Error, Result},
    rows::{Existing, User, UserBlock},
    store::Bounds,
};

/// Reads one run from some id on.
struct Cursor {
    run: usize,
    block: Vec<u8>,
    /// Offset of the block behind this one.
    next: u64,
    prefix: u64,
    at: Span,
}

impl Cursor {
    /// Stands on the first row whose id is not `before` the range; `None` when there is none.
    fn open(runs: &[Run], run: usize, from: Option<&[u8]>, before: impl Fn(&[u8]) -> bool) -> Result<Option<Self>> {
        let next = runs[run].seek(from)?;
        let mut cursor = Self { run, block: Vec::new(), next, prefix: 0, at: Span::default() };
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
            let Some(next) = runs[self.run].read_block(self.next, &mut self.block)? else { return Ok(false) };
            self.next = next;
            self.at = Span::default();
        }
        self.at = Span::decode(&self.block, self.at.end).ok_or_else(|| runs[self.run].damaged())?;
        self.prefix = prefix(self.id());
        Ok(true)
    }

    fn id(&self) -> &[u8] {
        self.at.id(&self.block)
    }

    /// By id, then by line.
    fn order(&self, other: &Self) -> Ordering {
        let ids = self.prefix.cmp(&other.prefix).then_with(|| self.id().cmp(other.id()));
        ids.then_with(|| self.at.line.cmp(&other.at.line))
    }
}

/// The row of an id that wins so far.
#[derive(Default)]
struct Winner {
    bytes: Vec<u8>,
    span: Span,
}

impl Winner {
    fn set(&mut self, row: &RunRow<'_>) {
        self.bytes.clear();
        row.encode(&mut self.bytes);
        self.span = Span::decode(&self.bytes, 0).unwrap_or_default();
    }

    /// Takes another row of the same id from a later line.
    fn join(&mut self, row: &RunRow<'_>, existing: Existing) {
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
    /// A binary heap: the lowest is at 0.
    heap: Vec<Cursor>,
    high: Option<Vec<u8>>,
    existing: Existing,
    winner: Winner,
    /// Set while a step is under way: after an error nothing that follows can be trusted.
    unsure: bool,
}

impl Merge {
    /// Of the range, what lies behind `after`. `existing` is the one that the runs were made with.
    pub fn new(runs: Arc<[Run]>, bounds: &Bounds, after: Option<&[u8]>, existing: Existing) -> Result<Self> {
        let low = bounds.low.as_deref();
        let before = |id: &[u8]| low.is_some_and(|low| id < low) || after.is_some_and(|after| id <= after);
        let mut heap = Vec::with_capacity(runs.len());
        for run in 0..runs.len() {
            heap.extend(Cursor::open(&runs, run, low.max(after), before)?);
        }
        let mut merge =
            Self { runs, heap, high: bounds.high.clone(), existing, winner: Winner::default(), unsure: false };
        #[cfg(feature = "faults")]
        if low.is_none() && after.is_none() && crate::faults::drop_block() {
            merge.drop_block()?;
        }
        for place in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(place);
        }
        Ok(merge)
    }

    /// The next users, at most `max_rows`, and no more once they hold `max_bytes`; none at the end of the range.
    /// After an error the merge is of no further use.
    pub fn next(&mut self, max_rows: usize, max_bytes: usize) -> Result<UserBlock> {
        if std::mem::replace(&mut self.unsure, true) {
            return Err(Error::fatal("merge_failed", "merging sorted runs, which had failed before"));
        }
        let mut users = UserBlock::default();
        while users.len() < max_rows.max(1) && (users.is_empty() || users.bytes() < max_bytes) {
            let Some((run, row)) = self.next_row()? else { break };
            let text = |bytes| std::str::from_utf8(bytes);
            let (Ok(id), Ok(name), Ok(time_of_start)) = (text(row.id), text(row.name), text(row.time_of_start)) else {
                return Err(self.runs[run].damaged());
            };
            users.push(User { id, name, time_of_start }, row.good, row.conflicting);
        }
        self.unsure = false;
        Ok(users)
    }

    /// The next id's winner, with everything that it stands for, and the run whose row came first.
    pub fn next_row(&mut self) -> Result<Option<(usize, RunRow<'_>)>> {
        let Some(first) = self.heap.first().filter(|first| self.high.as_deref().is_none_or(|high| first.id() < high))
        else {
            return Ok(None);
        };
        let run = first.run;
        self.winner.set(&first.at.row(&first.block));
        self.advance_first()?;
        while let Some(next) = self.heap.first().filter(|next| next.id() == self.winner.span.id(&self.winner.bytes)) {
            self.winner.join(&next.at.row(&next.block), self.existing);
            self.advance_first()?;
        }
        Ok(Some((run, self.winner.span.row(&self.winner.bytes))))
    }

    fn advance_first(&mut self) -> Result<()> {
        if !self.heap[0].advance(&self.runs)? {
            self.heap.swap_remove(0);
        }
        self.sift_down(0);
        Ok(())
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let children = 2 * place + 1..(2 * place + 3).min(self.heap.len());
            let Some(child) = children.min_by(|&a, &b| self.heap[a].order(&self.heap[b])) else { return };
            if self.heap[place].order(&self.heap[child]).is_le() {
                return;
            }
            self.heap.swap(place, child);
            place = child;
        }
    }

    #[cfg(feature = "faults")]
    fn drop_block(&mut self) -> Result<()> {
        if let Some(first) = self.heap.first_mut() {
            first.at.end = first.block.len();
            if !first.advance(&self.runs)? {
                self.heap.swap_remove(0);
            }
        }
        Ok(())
    }
}
