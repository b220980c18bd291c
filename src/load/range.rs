//! Id ranges of equal size, from the runs' sparse indexes: disjoint, and together everything.

use super::run::Run;
use crate::store::Bounds;

/// A range is worth a connection of its own from so many blocks on.
const BLOCKS_MIN: u64 = 16;

/// At most `ranges` ranges, the first without a low, the last without a high bound; fewer where the runs are small.
pub fn bounds(runs: &[Run], ranges: usize) -> Vec<Bounds> {
    let mut keys: Vec<(&[u8], f64)> = Vec::new();
    for run in runs {
        // Of the blocks between two samples half are taken to lie before any id in between.
        let mut between = 0;
        for sample in &run.samples {
            keys.push((&sample.id, (between + sample.blocks) as f64 / 2.0));
            between = sample.blocks;
        }
    }
    keys.sort_unstable_by_key(|(id, _)| *id);
    let blocks: u64 = runs.iter().map(|run| run.totals.blocks).sum();
    let ranges = (ranges as u64).min(blocks / BLOCKS_MIN).max(1);
    let share = blocks as f64 / ranges as f64;
    let (mut bounds, mut low, mut before) = (Vec::new(), None::<Vec<u8>>, 0.0);
    for (id, weight) in keys {
        let is_new = low.as_deref().is_none_or(|low| low < id);
        if (bounds.len() as u64) < ranges - 1 && before >= share * (bounds.len() + 1) as f64 && is_new {
            bounds.push(Bounds { low: low.replace(id.to_vec()), high: Some(id.to_vec()) });
        }
        before += weight;
    }
    bounds.push(Bounds { low, high: None });
    bounds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{
        row::RunRow,
        run::{Run, RunWriter},
    };

    #[test]
    fn ranges_of_runs_that_are_alike_differ_little() {
        let mut ids: Vec<Vec<u8>> = (0_u64..200_000)
            .map(|number| format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes())
            .collect();
        let runs: Vec<Run> = ids.chunks_mut(20_000).map(run_of).collect();
        let bounds = bounds(&runs, 6);
        let counts = bounds.iter().map(|bounds| {
            let is_in = |id: &&Vec<u8>| {
                bounds.low.as_ref().is_none_or(|low| *id >= low) && bounds.high.as_ref().is_none_or(|high| *id < high)
            };
            ids.iter().filter(is_in).count()
        });
        let counts: Vec<_> = counts.collect();
        assert_eq!(counts.iter().sum::<usize>(), 200_000);
        assert!(counts.iter().all(|count| count.abs_diff(200_000 / 6) < 1000), "{counts:?}");
    }

    fn run_of(ids: &mut [Vec<u8>]) -> Run {
        ids.sort_unstable();
        let mut writer = RunWriter::new(Vec::new(), 500);
        for id in ids {
            let row = RunRow { line: 1, good: 1, conflicting: false, id, name: b"name", time_of_start: b"2020" };
            writer.push(&row).unwrap();
        }
        Run::memory(writer.finish().unwrap().0).unwrap()
    }
}
