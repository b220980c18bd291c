//! The cases by name, and what each consists of.

use clap::ValueEnum;

use crate::{
    database::{DEFAULT_POOL, Engine},
    rows::{FIRST_SEED, Ids, Kind, Times},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Random ids into an empty table of a default MySQL
    Random,
    /// A second file, half of whose ids are in the table
    Overlap,
    /// The same with existing = "replace", beside LOAD DATA … REPLACE
    Replace,
    /// MariaDB with its defaults
    Mariadb,
    /// Ids 1, 2, 3, …
    Sequential,
    /// E-mail addresses as ids
    Email,
    /// Times in eight forms, 0.1 % bad rows
    Mixed,
    /// A buffer pool of 2 GB
    #[value(name = "pool-2g")]
    Pool2g,
    /// A server that forbids LOAD DATA LOCAL
    Insert,
    /// Embedded: SQLite
    Sqlite,
    /// Eight times the rows: at least 700 run files
    ManyRuns,
    /// Four times the rows
    Large,
    /// 1,000 rows, embedded, process start included
    Small,
}

/// What does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Userdata,
    /// `userdata` with a file of that part of the rows, to compare the time a row.
    UserdataPart(u64),
    /// `LOAD DATA LOCAL` of the file as it is.
    Raw,
    /// GNU sort, split, and as many clients with `LOAD DATA LOCAL` at once.
    ByHand(usize),
    /// GNU sort and `sqlite3 .import`.
    SqliteImport,
}

impl Way {
    pub fn name(self) -> String {
        match self {
            Self::Userdata => "userdata".into(),
            Self::UserdataPart(part) => format!("userdata, 1/{part} of the rows"),
            Self::Raw => "LOAD DATA, raw file".into(),
            Self::ByHand(clients) => format!("sort + split + LOAD DATA, {clients} clients"),
            Self::SqliteImport => "sort + sqlite3 .import".into(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub title: &'static str,
    pub times_rows: u64,
    pub kind: Kind,
    /// Whether the table holds the first file before.
    pub filled: bool,
    pub existing: &'static str,
    /// None: SQLite.
    pub engine: Option<Engine>,
    pub pool_bytes: u64,
    pub local_infile: bool,
    pub ways: &'static [Way],
}

const ALL: &[Way] = &[Way::Userdata, Way::ByHand(2), Way::ByHand(3), Way::Raw];
const ALONE: &[Way] = &[Way::Userdata];

impl Case {
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub fn plan(self) -> Plan {
        let kind = Kind { ids: Ids::Uuid, times: Times::Offset, bad: 0.0, seed: FIRST_SEED, overlap: 0.0 };
        let second = Kind { seed: FIRST_SEED + 1, overlap: 0.5, ..kind };
        let plan = Plan {
            title: "random ids, empty table",
            times_rows: 1,
            kind,
            filled: false,
            existing: "keep",
            engine: Some(Engine::MySql),
            pool_bytes: DEFAULT_POOL,
            local_infile: true,
            ways: ALL,
        };
        match self {
            Self::Random => plan,
            Self::Overlap => {
                Plan { title: "second file, 50 % of its ids in the table", kind: second, filled: true, ..plan }
            }
            Self::Replace => Plan {
                title: "the same, replacing what is there",
                kind: second,
                filled: true,
                existing: "replace",
                ..plan
            },
            Self::Mariadb => Plan { title: "random ids, MariaDB", engine: Some(Engine::MariaDb), ..plan },
            Self::Sequential => Plan { title: "sequential ids", kind: Kind { ids: Ids::Sequential, ..kind }, ..plan },
            Self::Email => Plan { title: "e-mail addresses as ids", kind: Kind { ids: Ids::Email, ..kind }, ..plan },
            Self::Mixed => Plan {
                title: "times in eight forms, 0.1 % rejects",
                kind: Kind { times: Times::Mixed, bad: 0.001, ..kind },
                ways: ALONE,
                ..plan
            },
            Self::Pool2g => Plan { title: "random ids, buffer pool 2 GB", pool_bytes: 2 << 30, ..plan },
            Self::Insert => {
                Plan { title: "random ids, LOAD DATA LOCAL forbidden", local_infile: false, ways: ALONE, ..plan }
            }
            Self::Sqlite => {
                Plan { title: "random ids, SQLite", engine: None, ways: &[Way::Userdata, Way::SqliteImport], ..plan }
            }
            Self::ManyRuns => Plan { title: "8 times the rows, run files", times_rows: 8, ways: ALONE, ..plan },
            Self::Large => {
                Plan { title: "4 times the rows", times_rows: 4, ways: &[Way::UserdataPart(4), Way::Userdata], ..plan }
            }
            Self::Small => Plan { title: "1,000 rows, embedded", engine: None, ways: ALONE, ..plan },
        }
    }
}
