//! `compose/bench spark`: uploads by a Spark with two executors and by one worker alone, on the same services: MySQL, an
//! FTP server. On one machine this shows what Spark costs, not what a cluster gains.

mod cluster;
mod report;

use std::{cell::OnceCell, fs, path::PathBuf, sync::atomic::Ordering};

use cluster::Cluster;
use report::{Line, Report};

use crate::{
    Result, SparkArgs, archive,
    database::{DATABASE, Engine, Server},
    product::{Counts, Product, Settings},
    report::Machine,
    rows::{self, Expected, Ids, Kind, Times},
    say,
};

/// About 1.5 MB.
const SMALL_ROWS: u64 = 20_000;

struct Scene<'a> {
    args: &'a SparkArgs,
    database: Server,
    /// Variables that name the archive; with Spark, more of them.
    archive: Vec<(String, String)>,
    cluster: Cluster,
}

pub fn run(args: &SparkArgs) -> Result<Report> {
    let (host, port, _) = archive::start_server(&args.services)?;
    let (user, password, port) = (archive::USER, archive::PASSWORD, port.to_string());
    let keys = [("host", &*host), ("port", &*port), ("user", user), ("password", password), ("path", "bench")];
    let lines: String = keys.iter().map(|(key, value)| format!("{key} = \"{value}\"\n")).collect();
    say("starting Spark: master, two workers, Connect server");
    let cluster = Cluster::start(&args.services, &format!("[archive]\nkind = \"ftp\"\n[archive.ftp]\n{lines}"))?;
    say(format_args!("it answered after {:.1} s", cluster.start_s));
    let mut archive = vec![("USERDATA_ARCHIVE__KIND".to_owned(), "ftp".to_owned())];
    for (key, value) in keys {
        archive.push((format!("USERDATA_ARCHIVE__FTP__{}", key.to_uppercase()), value.to_owned()));
    }
    let scene = Scene { args, database: Server::start(Engine::MySql, &args.services)?, archive, cluster };
    let mut lines = Vec::new();
    let small = scene.input("small.csv", SMALL_ROWS)?;
    lines.push(Line { spark: true, way: "first upload of a new Spark".into(), ..scene.measure(&small, true)? });
    lines.extend(scene.both(&small)?);
    lines.extend(scene.both(&scene.input("users.csv", args.rows)?)?);
    let cores = std::thread::available_parallelism()?.get() as u64;
    let servers =
        vec![format!("MySQL {}", scene.database.version), "pure-ftpd".into(), "Spark, two executors of 1 GB".into()];
    let machine = Machine { cores, userdata: env!("CARGO_PKG_VERSION").into(), servers };
    Ok(Report::new(machine, scene.cluster.start_s, args.rounds, lines))
}

struct Input {
    path: PathBuf,
    expected: Expected,
    /// What the first upload made of it.
    outcome: OnceCell<Outcome>,
}

/// What must be the same whoever cleaned the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    /// The server's checksum over all rows.
    table: String,
    /// Lines, reasons, rows.
    rejects: Vec<u8>,
}

impl Scene<'_> {
    fn input(&self, name: &str, rows: u64) -> Result<Input> {
        let path = self.args.folder.join(name);
        let kind = Kind { ids: Ids::Uuid, times: Times::Offset, bad: 0.001, seed: 3, overlap: 0.0 };
        let expected =
            rows::write(&path, rows, &kind).map_err(|error| format!("writing {}: {error}", path.display()))?;
        say(format_args!("made {name}: {rows} rows, {} MB", expected.bytes / 1_000_000));
        Ok(Input { path, expected, outcome: OnceCell::new() })
    }

    /// One worker, and Spark, in alternating order: of each the round with the median time.
    fn both(&self, input: &Input) -> Result<[Line; 2]> {
        let mut rounds = [Vec::new(), Vec::new()];
        for round in 0..self.args.rounds {
            for at in 0..2 {
                let spark = (at + round) % 2 == 1;
                rounds[usize::from(spark)].push(self.measure(input, spark)?);
            }
        }
        Ok(rounds.map(report::median))
    }

    /// One import into an empty table; its counts are compared with the generator's, table and rejects with those of
    /// the imports before.
    fn measure(&self, input: &Input, spark: bool) -> Result<Line> {
        self.database.empty()?;
        let mut more = self.archive.clone();
        if spark {
            more.push(("USERDATA_SPARK__REMOTE".into(), self.cluster.remote.clone()));
            more.push(("USERDATA_SPARK__MIN_BYTES".into(), "1".into()));
        }
        let settings =
            Settings { server: Some(&self.database), existing: "keep", files: &self.args.folder, more: &more };
        let product = Product::new(&self.args.folder.join("product"), &settings)?;
        product.init()?;
        self.database.settle()?;
        let before = self.cluster.cpu_s();
        let (usage, peaks) = self.cluster.watched(|| product.import(&input.path, Some(self.database.pid), true));
        let usage = usage.map_err(|error| format!("{error}\n(Spark's log: {})", self.cluster.log().display()))?;
        let counts = product.counts()?;
        let (expected, rows) = (&input.expected, input.expected.rows);
        let wanted = Counts {
            read: rows,
            inserted: expected.distinct,
            duplicates: expected.repeated,
            repeated_in_file: expected.repeated,
            rejected: expected.bad,
            ..Counts::default()
        };
        if counts != wanted {
            return Err(format!("the counts are {counts:?} instead of {wanted:?}").into());
        }
        let way = if spark { "Spark" } else { "one worker" };
        let table = self.database.ask(&format!("CHECKSUM TABLE {DATABASE}.userinfo EXTENDED"))?;
        let outcome = Outcome { table, rejects: product.rejects()? };
        if input.outcome.get_or_init(|| outcome.clone()) != &outcome {
            return Err(format!("after {way} the table or the rejects are not what they were before").into());
        }
        say(format_args!("{way}: {rows} rows in {:.1} s", usage.wall_s));
        Ok(Line {
            rows,
            bytes: fs::metadata(&input.path)?.len(),
            way: way.into(),
            spark,
            usage,
            spark_cpu_s: self.cluster.cpu_s() - before,
            task_peak_bytes: peaks.task.load(Ordering::Relaxed),
            executor_peak_bytes: peaks.executor.load(Ordering::Relaxed),
        })
    }
}
