//! More runs than one merge can read at once in its memory are merged in groups first.

use super::{
    clean::Cleaning,
    folder::disk,
    merge::Merge,
    run::{Run, RunWriter},
};
use crate::{
    error::{Error, Result},
    store::Bounds,
};

/// A job that is told to stop is asked for so often.
const STOP_ROWS: u64 = 1 << 16;

/// Merges neighbouring runs into larger ones until one merge can read them all.
pub fn merge_groups(mut runs: Vec<Run>, cleaning: &Cleaning<'_>) -> Result<Vec<Run>> {
    let mut round = 0;
    while runs.len() > cleaning.sizes.runs_max() {
        let groups = runs.chunks(cleaning.sizes.runs_max()).enumerate();
        let merged = groups.map(|(number, group)| match group {
            [only] => Ok(only.clone()),
            _ => merge_group(group, &format!("group-{round}-{number}.run"), cleaning),
        });
        runs = merged.collect::<Result<_>>()?;
        round += 1;
    }
    Ok(runs)
}

fn merge_group(group: &[Run], name: &str, cleaning: &Cleaning<'_>) -> Result<Run> {
    let path = cleaning.folder.path(name);
    let failed = |error| disk(&path, error);
    let mut merge = Merge::new(group.into(), &Bounds::default(), None, cleaning.options.existing)?;
    let mut staged = cleaning.folder.stage(name)?;
    let mut writer = RunWriter::new(&mut staged, cleaning.sizes.block_bytes);
    let mut rows = 0;
    while let Some((_, row)) = merge.next_row()? {
        writer.push(&row).map_err(failed)?;
        rows += 1;
        if rows % STOP_ROWS == 0 {
            cleaning.reading.check_stop()?;
        }
    }
    let (_, totals) = writer.finish().map_err(failed)?;
    let good: u64 = group.iter().map(|run| run.totals.good).sum();
    if totals.good != good {
        let doing = format!("merging runs that stand for {good} rows into one that stands for {}", totals.good);
        return Err(Error::fatal("rows_lost", doing));
    }
    cleaning.behind.write_out(staged.publish_open()?);
    Run::open(&path)
}
