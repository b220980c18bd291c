//! `compose/bench archive`: a file to an FTP server by the archive's own code, by curl and by lftp, in alternating
//! rounds.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
    time::Instant,
};

use userdata::{
    archive::{Archive, ftp::Ftp},
    config::{self, FtpTls},
    meter::Meter,
    source::FileSource,
};

use crate::{
    ArchiveArgs, Result,
    measure::run,
    report::{Machine, Target},
    say,
    transfer::{Line, Transfers},
};

pub const USER: &str = "userdata";
pub const PASSWORD: &str = "test-password";
/// The time of the faster other client, times this.
const MOST: f64 = 1.1;
const WAYS: [&str; 3] = ["userdata", "curl -T", "lftp put"];
const NOTES: &[&str] = &[
    "userdata: log in, transfer under a temp name, ask for the size, rename; the others: log in, transfer. Process start \
     counts for curl and lftp (a few milliseconds).",
];

pub fn run_all(args: &ArchiveArgs) -> Result<Transfers> {
    let (host, port, root) = start_server(&args.services)?;
    let file = args.folder.join("file.bin");
    make(&file, args.size)?;
    let config = config::Ftp {
        host: host.clone(),
        port,
        user: USER.into(),
        password: PASSWORD.to_owned().into(),
        path: "bench".into(),
        tls: FtpTls::Off,
        tls_ca_file: None,
        tls_pin_sha256: None,
        layout: config::FtpLayout::Single,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let archive = Ftp::new(config).map_err(|error| error.to_string())?;
    let mut walls: [Vec<f64>; 3] = Default::default();
    for round in 1..=args.rounds {
        say(format_args!("round {round} of {}", args.rounds));
        for (at, way) in WAYS.iter().enumerate() {
            // The first of a round finds the disk as the last one left it; each is the first in turn.
            let at = (at + round as usize) % WAYS.len();
            rustix::fs::sync();
            let began = Instant::now();
            match at {
                0 => {
                    let (source, meter) = (FileSource(file.clone()), Meter::default());
                    let stored = runtime.block_on(archive.store("0.csv.part", "0.csv", &source, &meter));
                    stored.map_err(|error| error.with_next())?;
                }
                1 => {
                    let url = format!("ftp://{USER}:{PASSWORD}@{host}:{port}/bench/1.csv");
                    let mut curl = Command::new("curl");
                    run(curl.args(["--silent", "--show-error", "--ftp-create-dirs", "-T"]).arg(&file).arg(url))?;
                }
                _ => {
                    let script = format!(
                        "set ftp:ssl-allow no; open -u {USER},{PASSWORD} -p {port} {host}; put {} -o bench/2.csv; bye",
                        file.display()
                    );
                    run(Command::new("lftp").args(["-c", &script]))?;
                }
            }
            walls[at].push(began.elapsed().as_secs_f64());
            let kept = root.join(format!("bench/{at}.csv"));
            let size = fs::metadata(&kept).map_err(|error| format!("{}: {error}", kept.display()))?.len();
            if size != args.size {
                return Err(format!("{way} left {size} bytes of {}", args.size).into());
            }
            fs::remove_file(kept)?;
        }
    }
    fs::remove_file(&file)?;
    let files = format!("{} MiB", args.size >> 20);
    let lines: Vec<Line> = WAYS
        .iter()
        .zip(walls)
        .map(|(way, wall_s)| Line {
            files: files.clone(),
            bytes: args.size,
            way: (*way).into(),
            durable: "what the FTP server does",
            wall_s,
        })
        .collect();
    let faster = lines[1..].iter().map(Line::median_s).fold(f64::INFINITY, f64::min);
    let target = Target::at_most("userdata / the faster of curl and lftp", lines[0].median_s() / faster, MOST);
    let cores = std::thread::available_parallelism()?.get() as u64;
    let servers = vec!["pure-ftpd".into(), "curl".into(), "lftp".into()];
    let machine = Machine { cores, userdata: env!("CARGO_PKG_VERSION").into(), servers };
    Ok(Transfers { machine, rounds: args.rounds, lines, targets: vec![(files, target)], notes: NOTES.to_vec() })
}

fn make(path: &Path, size: u64) -> Result<()> {
    let mut file = File::create(path)?;
    let piece: Vec<u8> = (0..1_u32 << 18).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mut left = size;
    while left > 0 {
        let take = left.min(piece.len() as u64);
        file.write_all(&piece[..usize::try_from(take)?])?;
        left -= take;
    }
    file.sync_all()?;
    Ok(())
}

/// Host, port, and the folder that a login sees.
pub fn start_server(services: &Path) -> Result<(String, u16, std::path::PathBuf)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/compose/services");
    run(Command::new(script).args(["start", "pure-ftpd"]).env("USERDATA_SERVICES", services))?;
    let lines = run(Command::new(script).arg("env").env("USERDATA_SERVICES", services))?.stdout;
    let lines = String::from_utf8(lines)?;
    let value = |name: &str| {
        let line = lines.lines().find_map(|line| line.strip_prefix(&format!("export {name}=")));
        line.map(str::to_owned).ok_or_else(|| format!("compose/services does not tell {name}"))
    };
    let address = value("USERDATA_TEST_FTP")?;
    let (host, port) = address.split_once(':').ok_or("an address without a port")?;
    Ok((host.to_owned(), port.parse()?, value("USERDATA_TEST_FTP_ROOT")?.into()))
}
