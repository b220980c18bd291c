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

/// Bytes on disk that a row takes at the largest moment: file, archive, run files, table, logs.
const DISK_PER_ROW: u64 = 500;
/// The same where there are a first file and sorted copies, too.
const DISK_PER_ROW_OF_PEERS: u64 = 800;

/// A case that fails does not hold up the others; the report tells it.
pub fn run(args: &LoadArgs) -> Result<Report> {
    let cases = if args.cases.is_empty() { Case::value_variants() } else { &args.cases };
    check_disk(args, cases)?;
    let cores = available_parallelism()?.get() as u64;
    let machine = Machine { cores, userdata: env!("CARGO_PKG_VERSION").into(), servers: Vec::new() };
    let settings = args.settings.clone();
    let mut report = Report { machine, rows: args.rows, rounds: args.rounds, settings, cases: Vec::new() };
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

fn check_disk(args: &LoadArgs, cases: &[Case]) -> Result<()> {
    let need = |case: &Case| {
        let plan = case.plan();
        let alone = plan.ways.iter().all(|way| matches!(way, Way::Userdata | Way::UserdataPart(_)));
        plan.times_rows * args.rows * if alone { DISK_PER_ROW } else { DISK_PER_ROW_OF_PEERS }
    };
    let disk = rustix::fs::statvfs(&args.folder)?;
    let free = disk.f_bavail * disk.f_frsize;
    let Some(largest) = cases.iter().max_by_key(|case| need(case)) else { return Ok(()) };
    let needed = need(largest) + (2 << 30);
    if free >= needed {
        return Ok(());
    }
    let gb = |bytes: u64| bytes.div_ceil(1_000_000_000);
    Err(format!(
        "{} has {} GB free, the case {} needs {} GB: give fewer --rows, name other cases, or set XDG_CACHE_HOME to \
         another disk",
        args.folder.display(),
        gb(free),
        largest.name(),
        gb(needed)
    )
    .into())
}
