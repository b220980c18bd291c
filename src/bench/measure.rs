//! What a piece of work costs: wall time, CPU seconds of the processes it starts and of the server, peak memory. CPU
//! times are the kernel's own account in /proc, in steps of a hundredth of a second.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::Result;

/// Ticks a second in /proc: fixed for programs on Linux, whatever the kernel's own clock (proc(5), USER_HZ).
const TICKS_PER_S: f64 = 100.0;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Looks at memory between two looks into the work folder.
const LOOKS_PER_COUNT: u32 = 10;

/// What one piece of work cost.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Usage {
    pub wall_s: f64,
    /// User and system time of all processes started for it.
    pub own_cpu_s: f64,
    /// The server's in the same time; none without a server.
    pub server_cpu_s: Option<f64>,
    pub peak_bytes: Option<u64>,
    /// Most run files that lay in the work folder at once.
    pub run_files: Option<u64>,
    pub stages: Option<Stages>,
}

/// What the ledger's history says of the time in between.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Stages {
    pub archive_s: f64,
    pub clean_s: f64,
    pub load_s: f64,
}

impl Stages {
    /// From lines of a state's name and the milliseconds when it began. None where a state is missing.
    pub fn from_history(lines: &str) -> Option<Self> {
        let at = |state: &str| {
            let line = lines.lines().find_map(|line| line.strip_prefix(state)?.trim().parse::<i64>().ok());
            line.map(|ms| ms as f64 / 1000.0)
        };
        let (archiving, archived) = (at("archiving")?, at("archived")?);
        let (loading, done) = (at("loading")?, at("done")?);
        Some(Self { archive_s: archived - archiving, clean_s: loading - archived, load_s: done - loading })
    }
}

/// Runs from its beginning to `stop`.
#[derive(Debug)]
pub struct Stopwatch {
    began: Instant,
    children_s: f64,
    server: Option<(u32, f64)>,
}

impl Stopwatch {
    pub fn start(server: Option<u32>) -> Result<Self> {
        let server = server.map(|pid| Ok::<_, Box<dyn std::error::Error>>((pid, cpu_s(pid)?))).transpose()?;
        let children_s = children_cpu_s()?;
        Ok(Self { server, children_s, began: Instant::now() })
    }

    /// All children must have been waited for: only then does the kernel add up what they used.
    pub fn stop(self) -> Result<Usage> {
        let wall_s = self.began.elapsed().as_secs_f64();
        let server_cpu_s = match self.server {
            Some((pid, before)) => Some(cpu_s(pid)? - before),
            None => None,
        };
        let own_cpu_s = children_cpu_s()? - self.children_s;
        Ok(Usage { wall_s, own_cpu_s, server_cpu_s, ..Usage::default() })
    }
}

/// CPU seconds that a running process has used, all its threads.
pub fn cpu_s(pid: u32) -> Result<f64> {
    // utime and stime, the fields 14 and 15.
    ticks(&format!("/proc/{pid}/stat"), 14)
}

/// As `cpu_s`, and of the children that it has waited for.
pub fn with_children_cpu_s(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    Ok(ticks(&path, 14)? + ticks(&path, 16)?)
}

/// The session that a process is in, the field 6; none where it has ended.
pub fn session(pid: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ")?.1.split(' ').nth(3)?.parse().ok()
}

/// CPU seconds of all children waited for, and of theirs.
fn children_cpu_s() -> Result<f64> {
    // cutime and cstime, the fields 16 and 17.
    ticks("/proc/self/stat", 16)
}

/// The sum of a field and the next one, which count from 1 (proc(5)).
fn ticks(path: &str, field: usize) -> Result<f64> {
    let text = fs::read_to_string(path).map_err(|error| format!("reading {path}: {error}"))?;
    // The second field is a name in brackets, which may hold anything.
    let (_, rest) = text.rsplit_once(") ").ok_or_else(|| format!("{path} is not of the known form"))?;
    let two =
        rest.split(' ').skip(field - 3).take(2).map(str::parse::<u64>).collect::<std::result::Result<Vec<_>, _>>();
    Ok(two?.iter().sum::<u64>() as f64 / TICKS_PER_S)
}

/// Keeps this process's own settings from a command: `userdata` takes every variable of that prefix for one of its own.
pub fn forget_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("USERDATA_") {
            command.env_remove(name);
        }
    }
}

/// Runs a command to its end; what it printed, or an error that holds it.
pub fn run(command: &mut Command) -> Result<Output> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    ended(command, output.status, &output.stderr)?;
    Ok(output)
}

/// An error unless it went well, with what the command said last.
pub fn ended(command: &Command, status: ExitStatus, stderr: &[u8]) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = said.lines().collect();
    let last = lines[lines.len().saturating_sub(10)..].join("\n");
    Err(format!("{command:?} ended with {status}:\n{last}").into())
}

/// Waits for a child, looking at its memory and into its work folder meanwhile. The watch stops at its end.
pub fn wait(child: &mut Child, work: &Path, watch: Stopwatch) -> Result<(ExitStatus, Usage)> {
    let ended = AtomicBool::new(false);
    let (peak, runs) = (AtomicU64::new(0), AtomicU64::new(0));
    let pid = child.id();
    let (status, usage) = thread::scope(|scope| {
        scope.spawn(|| {
            let mut look = 0;
            while !ended.load(Ordering::Relaxed) {
                // A high-water mark: what is missed is only a growth in the last moment.
                peak.fetch_max(peak_bytes(pid).unwrap_or(0), Ordering::Relaxed);
                if look % LOOKS_PER_COUNT == 0 {
                    runs.fetch_max(run_files(work), Ordering::Relaxed);
                }
                look += 1;
                thread::sleep(LOOK_EVERY);
            }
        });
        let status = child.wait();
        let usage = watch.stop();
        ended.store(true, Ordering::Relaxed);
        (status, usage)
    });
    let usage = Usage { peak_bytes: Some(peak.into_inner()), run_files: Some(runs.into_inner()), ..usage? };
    Ok((status?, usage))
}

/// Most memory that a process has had, bytes.
pub fn peak_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Run files below a folder, which is being worked in.
fn run_files(folder: &Path) -> u64 {
    let mut found = 0;
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "run") {
                found += 1;
            }
        }
    }
    found
}
