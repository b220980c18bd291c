//! All segments of a file, several at once: each thread takes the next that nobody has, in the file's order, with an
//! arena of its own. What comes of them is put together in the file's order, whoever did what.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    arena::Arena,
    clean::{Account, Cleaning},
    index::Segment,
    run::Run,
};
use crate::{
    error::Result,
    upload::{Stage, Unit},
};

type Finished = (Account, Vec<Run>);

/// Cleans every segment that is not finished, with `threads` of which the caller's is one. The error is that of the
/// lowest segment that fails, and then the others stop soon.
pub fn clean_all(cleaning: &Cleaning<'_>, threads: usize) -> Result<(Vec<Account>, Vec<Run>)> {
    let segments = &cleaning.index.segments;
    let total = segments.iter().map(|segment| segment.length).sum();
    cleaning.reading.meter.begin(Stage::Clean, total, Unit::Bytes);
    if let [only] = segments.as_slice() {
        let mut arena = Arena::new(cleaning.sizes.arena_bytes);
        let (account, runs) = cleaning.finish_in_memory(only, &mut arena)?;
        return Ok((vec![account], runs));
    }
    let results: Vec<_> = segments.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 1..threads.min(segments.len()) {
            scope.spawn(|| clean_some(cleaning, &next, &results));
        }
        clean_some(cleaning, &next, &results);
    });
    let (mut accounts, mut runs) = (Vec::with_capacity(segments.len()), Vec::new());
    // Behind a segment that failed there may be some that nobody took.
    for result in results.into_iter().map_while(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner)) {
        let (account, more) = result?;
        accounts.push(account);
        runs.extend(more);
    }
    assert_eq!(accounts.len(), segments.len(), "every segment is cleaned, or one has failed");
    Ok((accounts, runs))
}

/// One thread's part.
fn clean_some(cleaning: &Cleaning<'_>, next: &AtomicUsize, results: &[Mutex<Option<Result<Finished>>>]) {
    let mut arena = Arena::new(cleaning.sizes.arena_bytes);
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(segment) = cleaning.index.segments.get(at) else { return };
        let result = clean_one(cleaning, segment, &mut arena);
        let failed = result.is_err();
        *results[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        if failed {
            cleaning.failed.fetch_min(segment.number, Ordering::Relaxed);
            return;
        }
    }
}

fn clean_one(cleaning: &Cleaning<'_>, segment: &Segment, arena: &mut Arena) -> Result<Finished> {
    cleaning.check_wanted(segment.number)?;
    cleaning.reading.check_stop()?;
    cleaning.finish(segment, arena)
}
