//! What was measured of Spark, and its table.

use serde::Serialize;

use crate::{
    measure::Usage,
    report::{Machine, Target, figure, table},
};

const MIB: u64 = 1 << 20;
/// Most seconds that a small upload may take longer by a warm Spark than by one worker.
const OVERHEAD_S: f64 = 10.0;
const NOTES: [&str; 3] = [
    "From the start of `userdata import` to its end: archive, cleaning, parts, table, receipt.",
    "CPU: own = userdata's process, Spark = Connect server, master, workers, executors and what these start, server = MySQL.",
    "Memory: own = userdata's process, task = the largest of userdata's processes on an executor, executor = the larger JVM.",
];

#[derive(Debug, Serialize)]
pub struct Report {
    machine: Machine,
    /// Until master, workers, executors and Connect server had answered a first query.
    start_s: f64,
    rounds: u32,
    lines: Vec<Line>,
    target: Target,
}

/// One way with one file: the round with the median time.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub rows: u64,
    pub bytes: u64,
    pub way: String,
    pub spark: bool,
    pub usage: Usage,
    pub spark_cpu_s: f64,
    pub task_peak_bytes: u64,
    pub executor_peak_bytes: u64,
}

/// Of at least one.
pub fn median(mut rounds: Vec<Line>) -> Line {
    rounds.sort_by(|one, other| one.usage.wall_s.total_cmp(&other.usage.wall_s));
    rounds.swap_remove((rounds.len() - 1) / 2)
}

impl Report {
    /// The lines: a first upload, then of each file one worker and Spark.
    pub fn new(machine: Machine, start_s: f64, rounds: u32, lines: Vec<Line>) -> Self {
        let overhead = lines[2].usage.wall_s - lines[1].usage.wall_s;
        let target = Target::at_most("seconds longer by a warm Spark, small file", overhead, OVERHEAD_S);
        Self { machine, start_s, rounds, lines, target }
    }

    pub fn tables(&self, markdown: bool) -> String {
        let machine = &self.machine;
        let servers = machine.servers.join(", ");
        let mut text = format!(
            "{} cores, userdata {}, {servers}, median of {} rounds; Spark starts in {:.0} s\n\n",
            machine.cores, machine.userdata, self.rounds, self.start_s
        );
        let head = [
            "file",
            "way",
            "wall s",
            "rows/s",
            "own CPU s",
            "Spark CPU s",
            "server CPU s",
            "own MiB",
            "task MiB",
            "executor MiB",
        ];
        let mut rows = vec![head.map(String::from)];
        for line in &self.lines {
            let usage = &line.usage;
            let only = |shown: String| if line.spark { shown } else { String::new() };
            let mib = |bytes: u64| (bytes / MIB).to_string();
            rows.push([
                format!("{} rows, {:.1} MB", line.rows, line.bytes as f64 / 1e6),
                line.way.clone(),
                format!("{:.1}", usage.wall_s),
                figure(line.rows as f64 / usage.wall_s),
                format!("{:.1}", usage.own_cpu_s),
                only(format!("{:.1}", line.spark_cpu_s)),
                format!("{:.1}", usage.server_cpu_s.unwrap_or_default()),
                usage.peak_bytes.map(mib).unwrap_or_default(),
                only(mib(line.task_peak_bytes)),
                only(mib(line.executor_peak_bytes)),
            ]);
        }
        text += &table(&rows, 2, markdown);
        text.push('\n');
        for note in NOTES {
            text += &format!("{}{note}\n", if markdown { "- " } else { "" });
        }
        let target = &self.target;
        let met = if target.met { "met" } else { "missed" };
        text + &format!("\n{}: {:.1} s, wanted ≤ {} s: {met}\n", target.what, target.value, target.bound)
    }
}
