//! What a person would use instead, with the care of somebody who knows how: sorted by GNU sort, split by id, loaded
//! over several connections. None of it cleans, counts or remembers anything.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rusqlite::Connection;

use crate::{
    Result,
    database::Server,
    measure::{ended, run},
};

const SORT_MEMORY: &str = "256M";

/// How lines of equal ids, and rows in the table, are dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub replace: bool,
}

impl Rule {
    fn keyword(self) -> &'static str {
        if self.replace { "REPLACE" } else { "IGNORE" }
    }
}

fn load_data(file: &Path, rule: Rule, header: bool) -> String {
    format!(
        "LOAD DATA LOCAL INFILE '{}' {} INTO TABLE userinfo CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' \
         OPTIONALLY ENCLOSED BY '\"' LINES TERMINATED BY '\\n' IGNORE {} LINES (id, name, time_of_start)",
        file.display(),
        rule.keyword(),
        u8::from(header)
    )
}

/// The file as it is, in its order.
pub fn raw(server: &Server, file: &Path, rule: Rule) -> Result<()> {
    run(&mut server.as_user(&load_data(file, rule, true))).map(drop)
}

/// By id and each id once, into `sorted.csv` of a folder: the first line of an id, or with `replace` the last.
pub fn sort(file: &Path, folder: &Path, rule: Rule, cores: u64) -> Result<PathBuf> {
    let sorted = folder.join("sorted.csv");
    // What a shell does best; the names come as parameters.
    let script = format!(
        "set -o pipefail; tail -n +2 \"$1\" {}| LC_ALL=C sort -S {SORT_MEMORY} --parallel={cores} -T \"$2\" -t, -k1,1 -s -u \
         -o \"$3\"",
        if rule.replace { "| tac " } else { "" }
    );
    run(Command::new("bash").args(["-c", &script, "sort"]).args([file, folder, &sorted]))?;
    Ok(sorted)
}

/// Into parts of about equal size: disjoint id ranges, since it is sorted.
pub fn split(sorted: &Path, parts: usize) -> Result<Vec<PathBuf>> {
    let start = sorted.with_file_name("part-");
    run(Command::new("split").arg(format!("--number=l/{parts}")).arg("--suffix-length=2").arg(sorted).arg(&start))?;
    let folder = sorted.parent().unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("part-")) {
            found.push(path);
        }
    }
    Ok(found)
}

/// One client each file, all at once.
pub fn load_at_once(server: &Server, files: &[PathBuf], rule: Rule) -> Result<()> {
    let mut begun = Vec::new();
    for file in files {
        let mut command = server.as_user(&load_data(file, rule, false));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        begun.push((command, child));
    }
    let ends: Vec<_> = begun.into_iter().map(|(command, child)| (command, child.wait_with_output())).collect();
    for (command, output) in ends {
        let output = output?;
        ended(&command, output.status, &output.stderr)?;
    }
    Ok(())
}

/// Sorted, split and loaded; the copies lie in `folder`.
pub fn by_hand(server: &Server, file: &Path, folder: &Path, rule: Rule, clients: usize, cores: u64) -> Result<()> {
    let sorted = sort(file, folder, rule, cores)?;
    load_at_once(server, &split(&sorted, clients)?, rule)
}

/// The same table as `userdata` makes in SQLite, with the defaults of `sqlite3`.
pub fn create_sqlite(database: &Path) -> Result<()> {
    Ok(Connection::open(database)?.execute_batch(include_str!("../../../sql/sqlite/users.sql"))?)
}

pub fn sqlite_import(file: &Path, database: &Path, folder: &Path, rule: Rule, cores: u64) -> Result<()> {
    let sorted = sort(file, folder, rule, cores)?;
    let import = format!(".import {} userinfo", sorted.display());
    run(Command::new("sqlite3").arg(database).args([".mode csv", &import])).map(drop)
}
