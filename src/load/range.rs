//! Id ranges of equal size, from the runs' sparse indexes: disjoint, and together everything.

use super::run::Run;
use crate::store::Bounds;

/// A range is worth a connection of its own from so many blocks on.
const BLOCKS_MIN: u64 = 16;

/// At most `ranges` ranges, the first without a low, the last without a high bound; fewer where the runs are small.
pub fn bounds(runs: &[Run], ranges: usize) -> Vec<Bounds> {
    let mut keys: Vec<(&[u8], f64)> = Vec::new();
    for run in runs {
        let weight = run.totals.blocks as f64 / run.samples.len().max(1) as f64;
        keys.extend(run.samples.iter().map(|sample| (sample.id.as_slice(), weight)));
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
