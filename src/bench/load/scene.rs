//! One case from its files to its report: each way starts from the same table, is measured, and its counts are held
//! against those of the file's generator.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use rusqlite::Connection;

use super::{
    peers::{self, Rule},
    plan::{Case, Plan, Way},
};
use crate::{
    LoadArgs, Result,
    database::Server,
    measure::{Stages, Stopwatch, Usage},
    product::{Counts, Product, Settings},
    report::{CaseReport, WayReport},
    rows::{self, Expected, FIRST_SEED, Kind},
    say,
};

/// Clients that fill the table before a case that needs it filled.
const FILLERS: usize = 3;

pub struct Scene<'a> {
    args: &'a LoadArgs,
    case: Case,
    plan: Plan,
    cores: u64,
    server: Option<Server>,
    /// Files, and what each way makes; removed with the value.
    folder: PathBuf,
    first: Option<First>,
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        // Whatever could not be removed goes with the folder of the run.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The file that the table holds before.
struct First {
    /// Sorted, each id once, and split.
    parts: Vec<PathBuf>,
    rows: u64,
}

struct Input {
    path: PathBuf,
    expected: Expected,
}

impl<'a> Scene<'a> {
    pub fn new(args: &'a LoadArgs, case: Case, cores: u64) -> Result<Self> {
        let plan = case.plan();
        let folder = args.folder.join(case.name());
        fs::create_dir_all(folder.join("files"))?;
        let folder = folder.canonicalize()?;
        let server = plan.engine.map(|engine| Server::start(engine, &args.services)).transpose()?;
        if let Some(server) = &server {
            server.set_pool(plan.pool_bytes)?;
            server.allow_local_infile(true)?;
        }
        Ok(Self { args, case, plan, cores, server, folder, first: None })
    }

    pub fn run(mut self) -> Result<CaseReport> {
        let rows = self.args.rows * self.plan.times_rows;
        if self.plan.filled {
            self.first = Some(self.first_file()?);
        }
        let whole = self.input("users.csv", rows, &self.plan.kind)?;
        let mut ways = Vec::new();
        let mut inputs = Vec::new();
        for way in self.plan.ways {
            let part = match way {
                Way::Raw if self.args.without_raw => continue,
                Way::UserdataPart(part) => Some(self.input("part.csv", rows / part, &self.plan.kind)?),
                _ => None,
            };
            let rows = part.as_ref().map_or(rows, |input| input.expected.rows);
            ways.push(WayReport { way: *way, name: way.name(), rows, rounds: Vec::new() });
            inputs.push(part);
        }
        let mut failures = Vec::new();
        for round in 0..self.args.rounds {
            // Whatever a place in the order gives or takes, the other round gives the others.
            let mut order: Vec<usize> = (0..ways.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for at in order {
                let way = ways[at].way;
                if way == Way::Raw && round > 0 {
                    continue;
                }
                let input = inputs[at].as_ref().unwrap_or(&whole);
                // One that fails does not hold up the others.
                match self.measure(way, input, &mut failures) {
                    Ok(usage) => {
                        self.tell(way, round, input, &usage);
                        ways[at].rounds.push(usage);
                    }
                    Err(error) => {
                        let failure = format!("{}: {}: {error}", self.case.name(), way.name());
                        say(&failure);
                        failures.push(failure);
                    }
                }
            }
        }
        let server = self.server.as_ref().map(|server| format!("{} {}", server.engine.name(), server.version));
        let title = self.plan.title;
        let (name, expected) = (self.case.name(), whole.expected);
        Ok(CaseReport { name, title, expected, server, ways, failures, ..CaseReport::default() })
    }

    fn first_file(&self) -> Result<First> {
        let kind = Kind { seed: FIRST_SEED, overlap: 0.0, ..self.plan.kind };
        let first = self.input("first.csv", self.args.rows, &kind)?;
        let folder = self.folder.join("first");
        fs::create_dir(&folder)?;
        let sorted = peers::sort(&first.path, &folder, Rule { replace: false }, self.cores)?;
        let parts = peers::split(&sorted, FILLERS)?;
        fs::remove_file(&first.path)?;
        fs::remove_file(&sorted)?;
        Ok(First { parts, rows: first.expected.distinct })
    }

    fn input(&self, name: &str, rows: u64, kind: &Kind) -> Result<Input> {
        let path = self.folder.join("files").join(name);
        let began = Instant::now();
        let expected =
            rows::write(&path, rows, kind).map_err(|error| format!("writing {}: {error}", path.display()))?;
        let (mb, s) = (expected.bytes / 1_000_000, began.elapsed().as_secs_f64());
        say(format_args!("{}: made {name}, {rows} rows, {mb} MB, in {s:.1} s", self.case.name()));
        Ok(Input { path, expected })
    }

    fn tell(&self, way: Way, round: u32, input: &Input, usage: &Usage) {
        let server = usage.server_cpu_s.map_or_else(String::new, |s| format!(", server CPU {s:.1} s"));
        let stages = usage.stages.map_or_else(String::new, |stages| {
            let Stages { archive_s, clean_s, load_s } = stages;
            format!(" (archive {archive_s:.1}, clean {clean_s:.1}, load {load_s:.1})")
        });
        say(format_args!(
            "{}: {}, round {}: {:.1} s{stages}{server}, own CPU {:.1} s, {:.0} rows/s",
            self.case.name(),
            way.name(),
            round + 1,
            usage.wall_s,
            usage.own_cpu_s,
            input.expected.rows as f64 / usage.wall_s
        ));
    }

    fn rule(&self) -> Rule {
        Rule { replace: self.plan.existing == "replace" }
    }

    fn measure(&self, way: Way, input: &Input, failures: &mut Vec<String>) -> Result<Usage> {
        let work = self.folder.join("work");
        if work.exists() {
            fs::remove_dir_all(&work)?;
        }
        fs::create_dir(&work)?;
        let settings = Settings {
            server: self.server.as_ref(),
            existing: self.plan.existing,
            files: &self.folder.join("files"),
            more: &self.args.settings,
        };
        let product = Product::new(&work.join("userdata"), &settings)?;
        if let Some(server) = &self.server {
            self.prepare(server, &product)?;
        }
        let usage = match (way, &self.server) {
            (Way::Userdata | Way::UserdataPart(_), server) => {
                let pid = server.as_ref().map(|server| server.pid);
                let mut usage = product.import(&input.path, pid, input.expected.bad > 0)?;
                usage.stages = self.stages(&product)?;
                self.check_counts(&product.counts()?, &input.expected, failures);
                self.check_table(way, &product.embedded_database(), &input.expected, failures)?;
                usage
            }
            (Way::SqliteImport, _) => {
                let database = work.join("userdata.db");
                peers::create_sqlite(&database)?;
                rustix::fs::sync();
                let watch = Stopwatch::start(None)?;
                peers::sqlite_import(&input.path, &database, &work, self.rule(), self.cores)?;
                let usage = watch.stop()?;
                self.check_table(way, &database, &input.expected, failures)?;
                usage
            }
            (Way::Raw | Way::ByHand(_), Some(server)) => {
                let watch = Stopwatch::start(Some(server.pid))?;
                match way {
                    Way::ByHand(clients) => {
                        peers::by_hand(server, &input.path, &work, self.rule(), clients, self.cores)?;
                    }
                    _ => peers::raw(server, &input.path, self.rule())?,
                }
                let usage = watch.stop()?;
                self.check_table(way, Path::new(""), &input.expected, failures)?;
                usage
            }
            (Way::Raw | Way::ByHand(_), None) => return Err(format!("{} needs a server", way.name()).into()),
        };
        drop(product);
        fs::remove_dir_all(&work)?;
        Ok(usage)
    }

    /// The same beginning for every way: tables as `userdata db init` makes them, filled where the case says so.
    fn prepare(&self, server: &Server, product: &Product) -> Result<()> {
        server.allow_local_infile(true)?;
        server.empty()?;
        product.init()?;
        if let Some(first) = &self.first {
            peers::load_at_once(server, &first.parts, Rule { replace: false })?;
        }
        server.allow_local_infile(self.plan.local_infile)?;
        server.settle()
    }

    fn stages(&self, product: &Product) -> Result<Option<Stages>> {
        const HISTORY: &str = "SELECT state, MIN(at_ms) FROM userdata_upload_event GROUP BY state";
        let lines = match &self.server {
            Some(server) => server.ask(&format!("USE {}; {HISTORY}", crate::database::DATABASE))?,
            None => {
                let ledger = Connection::open(product.embedded_database())?;
                let mut rows = ledger.prepare(HISTORY)?;
                let line = |row: &rusqlite::Row| Ok(format!("{} {}", row.get::<_, String>(0)?, row.get::<_, i64>(1)?));
                rows.query_map([], line)?.collect::<rusqlite::Result<Vec<_>>>()?.join("\n")
            }
        };
        Ok(Stages::from_history(&lines))
    }

    /// Every count that `userdata` gives, against the generator's.
    fn check_counts(&self, counts: &Counts, expected: &Expected, failures: &mut Vec<String>) {
        let present = expected.borrowed;
        let (replaced, already_present) = if self.rule().replace { (present, 0) } else { (0, present) };
        let right = Counts {
            read: expected.rows,
            inserted: expected.distinct - present,
            replaced,
            duplicates: expected.repeated + already_present,
            rejected: expected.bad,
            repeated_in_file: expected.repeated,
            already_present,
        };
        if *counts != right {
            failures.push(format!("{}: userdata counted {counts:?}, right is {right:?}", self.case.name()));
        }
    }

    fn check_table(&self, way: Way, sqlite: &Path, expected: &Expected, failures: &mut Vec<String>) -> Result<()> {
        let sql = "SELECT COUNT(*) FROM userinfo";
        let found = match &self.server {
            Some(server) => server.number(&format!("USE {}; {sql}", crate::database::DATABASE))?,
            None => Connection::open(sqlite)?.query_row(sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs(),
        };
        let before = self.first.as_ref().map_or(0, |first| first.rows);
        let right = before + expected.distinct - expected.borrowed;
        if found != right {
            let (name, way) = (self.case.name(), way.name());
            failures.push(format!("{name}: after {way} the table holds {found} rows, right is {right}"));
        }
        Ok(())
    }
}
