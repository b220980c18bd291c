//! `compose/bench load`: what is measured, and one measurement after the other.

mod peers;
mod plan;
mod scene;
mod small;

pub use plan::{Case, Way};

use std::thread::available_parallelism;

use clap::ValueEnum;

use crate::{
    LoadArgs, Result,
    report::{CaseReport, Machine, Report},
    say,
};
use scene::Scene;

/// Bytes on disk that the largest moment takes for each row: files, sorted copies, archive, run files, table, logs.
const DISK_PER_ROW: u64 = 800;

/// A case that fails does not hold up the others; the report tells it.
pub fn run(args: &LoadArgs) -> Result<Report> {
    let cases = if args.cases.is_empty() { Case::value_variants() } else { &args.cases };
    let rows = cases.iter().map(|case| case.plan().times_rows * args.rows).max().unwrap_or(0);
    check_disk(args, rows)?;
    let cores = available_parallelism()?.get() as u64;
    let machine = Machine { cores, userdata: env!("CARGO_PKG_VERSION").into(), servers: Vec::new() };
    let mut report = Report { machine, rows: args.rows, rounds: args.rounds, cases: Vec::new() };
    for case in cases {
        let measured = match case {
            Case::Small => small::run(args),
            _ => Scene::new(args, *case, cores).and_then(Scene::run),
        };
        let measured = measured.unwrap_or_else(|error| {
            say(format_args!("{}: {error}", case.name()));
            CaseReport::failed(case.name(), case.plan().title, error.as_ref())
        });
        if let Some(server) = &measured.server
            && !report.machine.servers.contains(server)
        {
            report.machine.servers.push(server.clone());
        }
        report.cases.push(measured);
    }
    report.judge();
    Ok(report)
}

fn check_disk(args: &LoadArgs, rows: u64) -> Result<()> {
    let disk = rustix::fs::statvfs(&args.folder)?;
    let (free, needed) = (disk.f_bavail * disk.f_frsize, rows * DISK_PER_ROW + (2 << 30));
    if free < needed {
        let gb = |bytes: u64| bytes.div_ceil(1_000_000_000);
        return Err(format!(
            "{} has {} GB free, {} GB are needed for {rows} rows: give fewer --rows, name cases \
             (large and many-runs are the largest), or set XDG_CACHE_HOME to another disk",
            args.folder.display(),
            gb(free),
            gb(needed)
        )
        .into());
    }
    Ok(())
}
