//! What was measured, what follows from it, and the tables: text, Markdown, JSON.

mod table;
mod target;

use serde::Serialize;

use crate::{load::Way, measure::Usage, rows::Expected};
pub use table::{figure, table};
pub use target::Target;

#[derive(Debug, Serialize)]
pub struct Machine {
    pub cores: u64,
    pub userdata: String,
    pub servers: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    /// Rows that were asked for.
    pub rows: u64,
    pub rounds: u32,
    /// Variables of `userdata`, where these are not its defaults.
    pub settings: Vec<(String, String)>,
    pub cases: Vec<CaseReport>,
}

#[derive(Debug, Default, Serialize)]
pub struct CaseReport {
    pub name: String,
    pub title: &'static str,
    pub expected: Expected,
    pub server: Option<String>,
    pub ways: Vec<WayReport>,
    pub targets: Vec<Target>,
    /// Wrong counts, or what kept the case from being measured.
    pub failures: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct WayReport {
    #[serde(skip)]
    pub way: Way,
    pub name: String,
    pub rows: u64,
    pub rounds: Vec<Usage>,
}

impl WayReport {
    /// The whole usage of the round with the median wall time (of two, the faster).
    pub fn median(&self) -> Usage {
        let mut rounds = self.rounds.clone();
        rounds.sort_by(|one, other| one.wall_s.total_cmp(&other.wall_s));
        rounds.get(rounds.len().saturating_sub(1) / 2).cloned().unwrap_or_default()
    }

    /// Wall time of a row, in microseconds.
    pub fn row_us(&self) -> f64 {
        self.median().wall_s * 1e6 / self.rows.max(1) as f64
    }
}

impl CaseReport {
    pub fn failed(name: String, title: &'static str, error: &dyn std::error::Error) -> Self {
        let failures = vec![format!("{name}: {error}")];
        Self { name, title, failures, ..Self::default() }
    }

    fn way(&self, wanted: impl Fn(Way) -> bool) -> Option<&WayReport> {
        let mut found: Vec<&WayReport> =
            self.ways.iter().filter(|one| wanted(one.way) && !one.rounds.is_empty()).collect();
        found.sort_by(|one, other| one.median().wall_s.total_cmp(&other.median().wall_s));
        found.first().copied()
    }

    pub fn userdata(&self) -> Option<&WayReport> {
        self.way(|way| way == Way::Userdata)
    }

    pub fn raw(&self) -> Option<&WayReport> {
        self.way(|way| way == Way::Raw)
    }

    /// The faster of the hand-made loads.
    pub fn by_hand(&self) -> Option<&WayReport> {
        self.way(|way| matches!(way, Way::ByHand(_)))
    }
}

impl Report {
    /// Holds every case against what it should reach.
    pub fn judge(&mut self) {
        let cores = self.machine.cores;
        for case in &mut self.cases {
            case.targets = target::of(case, cores);
        }
    }

    pub fn failures(&self) -> Vec<String> {
        self.cases.iter().flat_map(|case| case.failures.iter().cloned()).collect()
    }

    pub fn tables(&self, markdown: bool) -> String {
        table::render(self, markdown)
    }
}
