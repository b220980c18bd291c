//! Which kills have hit what.

use std::{fmt, io::Write as _};

/// Kills in all, and the least of each stage and each way: kills go on until all three are reached.
const KILLS: u64 = 200;
const OF_STAGE: u64 = 25;
const OF_WAY: u64 = 40;

/// What the worker was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Archive,
    Clean,
    Split,
    Load,
    Finish,
}

impl Stage {
    pub const ALL: [Self; 5] = [Self::Archive, Self::Clean, Self::Split, Self::Load, Self::Finish];
}

/// How rows get into which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    LoadData,
    Insert,
    Sqlite,
}

impl Way {
    pub const ALL: [Self; 3] = [Self::LoadData, Self::Insert, Self::Sqlite];
}

/// What the successor has of the dead worker's run files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runs {
    Kept,
    Deleted,
    /// Another work folder, as on another machine.
    Elsewhere,
}

/// One kill that hit a claimed upload.
#[derive(Debug, Clone, Copy)]
pub struct Kill {
    pub stage: Stage,
    pub way: Way,
    pub replace: bool,
    pub runs: Runs,
    /// The worker stood still at a point, or was in full run.
    pub held: bool,
}

/// Which kills a column counts.
type Of = fn(&Kill) -> bool;

/// Kills by stage and everything else; and uploads that ended well after them.
#[derive(Debug, Default)]
pub struct Tally {
    kills: Vec<Kill>,
    pub uploads: u64,
    /// Kills that came too early or too late for a claimed upload.
    pub missed: u64,
}

impl Tally {
    pub fn add(&mut self, kill: Kill) {
        self.kills.push(kill);
    }

    pub fn is_complete(&self) -> bool {
        self.kills.len() as u64 >= KILLS
            && Stage::ALL.iter().all(|stage| self.count(|kill| kill.stage == *stage) >= OF_STAGE)
            && Way::ALL.iter().all(|way| self.count(|kill| kill.way == *way) >= OF_WAY)
    }

    fn count(&self, of: impl Fn(&Kill) -> bool) -> u64 {
        self.kills.iter().filter(|kill| of(kill)).count() as u64
    }

    /// The one of these stages that was hit the least.
    pub fn rarest(&self, stages: &[Stage]) -> Stage {
        *stages.iter().min_by_key(|stage| self.count(|kill| kill.stage == **stage)).expect("a stage")
    }

    /// On standard output itself, which the test harness does not keep to itself.
    pub fn print(&self, seed: u64) {
        let text = format!(
            "\nkills that hit a claimed upload: {}, of {} uploads; {} missed (USERDATA_TEST_SEED={seed})\n{self}",
            self.kills.len(),
            self.uploads,
            self.missed
        );
        std::io::stdout().write_all(text.as_bytes()).unwrap();
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: [(&str, Of); 11] = [
            ("all", |_| true),
            ("LOAD", |kill| kill.way == Way::LoadData),
            ("INSERT", |kill| kill.way == Way::Insert),
            ("SQLite", |kill| kill.way == Way::Sqlite),
            ("keep", |kill| !kill.replace),
            ("replace", |kill| kill.replace),
            ("runs kept", |kill| kill.runs == Runs::Kept),
            ("deleted", |kill| kill.runs == Runs::Deleted),
            ("elsewhere", |kill| kill.runs == Runs::Elsewhere),
            ("held", |kill| kill.held),
            ("running", |kill| !kill.held),
        ];
        write!(f, "{:8}", "")?;
        columns.iter().try_for_each(|(name, _)| write!(f, " {name:>9}"))?;
        for stage in Stage::ALL.map(Some).into_iter().chain([None]) {
            let name = stage.map_or("all".to_owned(), |stage| format!("{stage:?}"));
            write!(f, "\n{:8}", name.to_lowercase())?;
            for (_, of) in columns {
                let count = self.count(|kill| of(kill) && stage.is_none_or(|stage| kill.stage == stage));
                write!(f, " {count:>9}")?;
            }
        }
        writeln!(f)
    }
}
