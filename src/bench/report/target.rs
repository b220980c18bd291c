//! What a load should reach, as figures beside what it did reach.

use serde::Serialize;

use super::{CaseReport, WayReport};
use crate::load::Way;

const MIB: f64 = (1 << 20) as f64;
/// A raw load above it is held against the higher factor.
const SLOW_RAW_S: f64 = 330.0;

#[derive(Debug, Clone, Serialize)]
pub struct Target {
    pub what: String,
    pub value: f64,
    /// Largest value that is good, or the smallest where `at_least`.
    pub bound: f64,
    pub at_least: bool,
    pub met: bool,
}

impl Target {
    pub fn at_most(what: impl Into<String>, value: f64, bound: f64) -> Self {
        Self { what: what.into(), value, bound, at_least: false, met: value <= bound }
    }

    pub fn at_least(what: impl Into<String>, value: f64, bound: f64) -> Self {
        Self { what: what.into(), value, bound, at_least: true, met: value >= bound }
    }
}

pub fn of(case: &CaseReport, cores: u64) -> Vec<Target> {
    let Some(own) = case.userdata() else { return Vec::new() };
    let mut targets = Vec::new();
    let usage = own.median();
    let wall = |other: &WayReport| other.median().wall_s;
    match case.name.as_str() {
        "random" => {
            if let Some(raw) = case.raw() {
                let factor = if wall(raw) > SLOW_RAW_S { 20.0 } else { 15.0 };
                targets.push(Target::at_least("times faster than raw LOAD DATA", wall(raw) / usage.wall_s, factor));
            }
            targets.extend(of_the_limit(case, own, cores));
        }
        "overlap" | "replace" => {
            if let Some(raw) = case.raw() {
                targets.push(Target::at_least("times faster than raw LOAD DATA", wall(raw) / usage.wall_s, 20.0));
            }
        }
        "sqlite" => {
            if let Some(import) = case.way(|way| way == Way::SqliteImport) {
                let factor = wall(import) / usage.wall_s;
                targets.push(Target::at_least("times faster than sort + sqlite3 .import", factor, 2.0));
            }
        }
        "many-runs" => {
            let runs = usage.run_files.unwrap_or(0) as f64;
            targets.push(Target::at_least("run files at once", runs, 700.0));
        }
        "large" => {
            if let Some(part) = case.way(|way| matches!(way, Way::UserdataPart(_))) {
                let ratio = own.row_us() / part.row_us();
                targets.push(Target::at_most("time of a row / that of a quarter of the rows", ratio, 1.15));
            }
        }
        "small" => targets.push(Target::at_most("seconds, process start included", usage.wall_s, 0.2)),
        _ => {}
    }
    if let Some(peak) = usage.peak_bytes {
        targets.push(Target::at_most("peak memory, MiB", peak as f64 / MIB, 256.0));
    }
    targets
}

/// How near a load comes to what the machine can do at all.
fn of_the_limit(case: &CaseReport, own: &WayReport, cores: u64) -> Vec<Target> {
    let mut targets = Vec::new();
    let usage = own.median();
    let Some(server) = usage.server_cpu_s else { return targets };
    let floor = (server + usage.own_cpu_s) / cores as f64;
    targets.push(Target::at_most("wall / ((server CPU + own CPU) / cores)", usage.wall_s / floor, 1.15));
    targets.push(Target::at_most("own CPU, µs a row", usage.own_cpu_s * 1e6 / own.rows as f64, 1.2));
    if let Some(by_hand) = case.by_hand() {
        let other = by_hand.median();
        targets.push(Target::at_most("wall / that of the load by hand", usage.wall_s / other.wall_s, 0.9));
        if let Some(other) = other.server_cpu_s {
            targets.push(Target::at_most("server CPU / that of the load by hand", server / other, 1.1));
        }
    }
    targets
}
