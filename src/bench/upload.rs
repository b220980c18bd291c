//! `compose/bench upload`: files over HTTP to `userdata`, to nginx's WebDAV and to tusd, all sent by curl, on the same
//! disk in one run.

mod server;

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use crate::{
    Result, UploadArgs,
    measure::run,
    report::{Machine, Target},
    say,
    transfer::{Line, Transfers},
};
use server::{Kind, Running};

/// One kind of files.
struct Files {
    name: &'static str,
    size: u64,
    count: u64,
    /// Sent beside each other, or one after the other.
    at_once: bool,
}

const FILES: [Files; 4] = [
    Files { name: "1 MiB, 20 in turn", size: 1 << 20, count: 20, at_once: false },
    Files { name: "100 MiB", size: 100 << 20, count: 1, at_once: false },
    Files { name: "4 GiB", size: 4 << 30, count: 1, at_once: false },
    Files { name: "16 KiB, 200 at once", size: 16 << 10, count: 200, at_once: true },
];
/// From this size on a peer's answer counts although nothing of theirs is synced.
const LARGE_BYTES: u64 = 100 << 20;

const NOTES: &[&str] = &[
    "Every way is one request a file by curl to a server that was just started on an empty folder; the time is that of \
     the curl process.",
    "\"+ fsync\": and then, file by file, fsync of it and of its folder, which the server left out.",
    "userdata also reads the beginning of each file, and hashes all of it.",
];

pub fn run_all(args: &UploadArgs) -> Result<Transfers> {
    let cores = std::thread::available_parallelism()?.get() as u64;
    let servers = vec![server::version(Kind::Nginx)?, server::version(Kind::Tusd)?, "curl".into()];
    let machine = Machine { cores, userdata: env!("CARGO_PKG_VERSION").into(), servers };
    let mut report =
        Transfers { machine, rounds: args.rounds, lines: Vec::new(), targets: Vec::new(), notes: NOTES.to_vec() };
    for files in FILES.iter().filter(|files| files.size <= args.largest) {
        let source = args.folder.join("source.csv");
        make(&source, files.size)?;
        let mut lines: Vec<Line> = Vec::new();
        // Many files are removed at the end alone: a file system is slow to make files where many were just removed.
        let kept = tempfile::tempdir_in(&args.folder)?;
        for round in 1..=args.rounds {
            for kind in [Kind::Userdata, Kind::Nginx, Kind::UserdataTus, Kind::Tusd] {
                say(format_args!("{}: {}, round {round} of {}", files.name, kind.name(), args.rounds));
                for (way, durable, wall_s) in measure(kept.path(), kind, files, &source)? {
                    match lines.iter_mut().find(|line| line.way == way) {
                        Some(line) => line.wall_s.push(wall_s),
                        None => lines.push(Line {
                            files: files.name.into(),
                            bytes: files.size * files.count,
                            way,
                            durable,
                            wall_s: vec![wall_s],
                        }),
                    }
                }
            }
        }
        report.targets.extend(targets(files, &lines));
        report.lines.extend(lines);
        fs::remove_file(&source)?;
    }
    Ok(report)
}

fn targets(files: &Files, lines: &[Line]) -> Vec<(String, Target)> {
    let median = |way: &str| lines.iter().find(|line| line.way == way).map(Line::median_s);
    let Some(own) = median(Kind::Userdata.name()) else { return Vec::new() };
    let sync = if files.size >= LARGE_BYTES { "" } else { SYNC };
    let peers = [Kind::Nginx, Kind::Tusd].into_iter().filter_map(|peer| {
        let way = format!("{}{sync}", peer.name());
        let ratio = median(&way)? / own;
        Some((files.name.to_owned(), Target::at_least(format!("{way} / userdata"), ratio, 1.0)))
    });
    peers.collect()
}

const SYNC: &str = " + fsync";

/// A CSV file of users of exactly `size` bytes.
fn make(path: &Path, size: u64) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut left = size;
    let mut line = String::from("id,name,time_of_start\n");
    for number in 0_u64.. {
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(line.len());
        file.write_all(&line.as_bytes()[..take])?;
        left -= take as u64;
        if left == 0 {
            break;
        }
        line = format!("{number:016x},Ada Lovelace,2017-03-07T00:30:54Z\n");
    }
    file.into_inner()?.sync_all()?;
    Ok(())
}

/// The ways that one transfer measures, with what is on disk when the sender has its answer.
fn measure(folder: &Path, kind: Kind, files: &Files, source: &Path) -> Result<Vec<(String, &'static str, f64)>> {
    let place = tempfile::tempdir_in(folder)?.keep();
    let running = Running::start(kind, &place)?;
    let config = place.join("curl");
    fs::write(&config, requests(&running, files, source))?;
    // What others left for the disk to do is not this one's.
    rustix::fs::sync();
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--config"]).arg(&config);
    if files.at_once {
        curl.args(["--parallel", "--parallel-immediate", "--parallel-max"]).arg(files.count.to_string());
    }
    let began = Instant::now();
    run(&mut curl)?;
    let answered_s = began.elapsed().as_secs_f64();
    let kept = running.files()?;
    if !kept.durable {
        sync(&kept.paths)?;
    }
    let synced_s = began.elapsed().as_secs_f64();
    let bytes = kept.paths.iter().map(|path| Ok(fs::metadata(path)?.len())).sum::<Result<u64>>()?;
    if bytes < files.size * files.count {
        return Err(format!("{} kept {bytes} bytes of {}", kind.name(), files.size * files.count).into());
    }
    drop(running);
    if files.count == 1 {
        fs::remove_dir_all(&place)?;
    }
    Ok(match kept.durable {
        true => vec![(kind.name().into(), "file, account, names", answered_s)],
        false => vec![
            (kind.name().into(), "nothing for certain", answered_s),
            (format!("{}{SYNC}", kind.name()), "file, name", synced_s),
        ],
    })
}

/// Each file, and its folder behind it.
fn sync(paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        File::open(path)?.sync_all()?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
    }
    Ok(())
}

/// What curl is to send: a configuration with one part for each file.
fn requests(running: &Running, files: &Files, source: &Path) -> String {
    let source = source.display();
    let part = |number: u64| {
        let url = running.url(number);
        let upload =
            format!("url = \"{url}\"\nupload-file = \"{source}\"\noutput = \"/dev/null\"\nheader = \"Expect:\"\n");
        if !running.kind.speaks_tus() {
            return upload;
        }
        let size = files.size;
        format!(
            "{upload}request = \"POST\"\nheader = \"Tus-Resumable: 1.0.0\"\nheader = \"Upload-Length: {size}\"\n\
             header = \"Content-Type: application/offset+octet-stream\"\n"
        )
    };
    (0..files.count).map(part).collect::<Vec<_>>().join("next\n")
}
