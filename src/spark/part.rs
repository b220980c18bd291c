//! `userdata spark-part`: the sorted rows of some ranges to one part each, a run file in the archive, each id once. What
//! comes out has two fields a line: `part` or `account`, and what is told of it.

use std::{
    io::{BufRead, Write},
    path::PathBuf,
    sync::Arc,
};

use tokio::runtime::Handle;

use super::{
    Version,
    clean::{ACCOUNT, HEAD, Head, own_version, unwritten},
    manifest::RangePart,
    name,
    scratch::{self, Scratch},
    text,
};
use crate::{
    archive::Archive,
    error::{Error, Result},
    load::{merge::Winner, row::RunRow, run::RunWriter},
    rows::Existing,
    store::PartFile,
    upload::UploadId,
};

/// A part's block, which is what a load holds of it.
const BLOCK_BYTES: usize = 64 << 10;
const FIELDS: usize = 7;

/// For whom parts are made, and where.
pub struct Parts {
    pub upload: UploadId,
    /// Number of the claim's fence.
    pub fence: u64,
    /// Which row of an id wins.
    pub existing: Existing,
    pub archive: Arc<dyn Archive>,
    /// Where files lie that are being collected.
    pub folder: PathBuf,
    pub runtime: Handle,
}

impl Parts {
    /// Makes the parts of all ranges that `input` has rows of. Blocking.
    pub fn make(&self, mut input: impl BufRead, mut out: impl Write) -> Result<()> {
        let (mut line, mut part) = (Vec::new(), None::<Part>);
        let mut buffers = <[Vec<u8>; 3]>::default();
        loop {
            line.clear();
            let read = input.read_until(b'\n', &mut line);
            if read.map_err(|error| Error::fatal("spark_input", "reading rows").because(error))? == 0 {
                break;
            }
            let row = Row::read(&line)?;
            if let Some(done) = part.take_if(|part| part.key != row.key) {
                if row.key < done.key {
                    return Err(unordered());
                }
                self.end(done, &mut out)?;
            }
            let part = match &mut part {
                Some(part) => part,
                none => none.insert(Part::new(row.key, Scratch::new(&self.folder)?)),
            };
            match row.id {
                [HEAD] => part.expect(&row)?,
                [ACCOUNT] => {
                    text::take(row.name, &mut buffers[0]).ok_or_else(malformed)?;
                    tell(&mut out, "account", &buffers[0])?;
                }
                _ => part.add(&row, &mut buffers, self.existing)?,
            }
        }
        if let Some(done) = part {
            self.end(done, &mut out)?;
        }
        out.flush().map_err(unwritten)
    }

    fn end(&self, part: Part, out: &mut impl Write) -> Result<()> {
        let Some(part) = part.finish(self)? else { return Ok(()) };
        let json = serde_json::to_vec(&part)
            .map_err(|error| Error::fatal("spark_account", "writing what a part holds").because(error))?;
        tell(out, "part", &json)
    }
}

fn tell(out: &mut impl Write, what: &str, json: &[u8]) -> Result<()> {
    let mut line = format!("{what}\t").into_bytes();
    text::put(json, &mut line);
    line.push(b'\n');
    out.write_all(&line).map_err(unwritten)
}

fn malformed() -> Error {
    Error::fatal("spark_input", "reading rows from Spark: a line is not what spark-clean writes")
        .next("install the same userdata on every executor and worker")
}

fn unordered() -> Error {
    Error::fatal("spark_order", "reading rows from Spark: they are not in the order of key, id and line, by bytes")
}

/// A line as it came, its fields still text.
struct Row<'a> {
    key: i32,
    id: &'a [u8],
    line: u64,
    good: u64,
    conflicting: bool,
    name: &'a [u8],
    time_of_start: &'a [u8],
}

impl<'a> Row<'a> {
    fn read(line: &'a [u8]) -> Result<Self> {
        // A last line without its end was cut.
        let line = line.strip_suffix(b"\n").ok_or_else(malformed)?;
        let mut fields = [&line[..0]; FIELDS];
        let mut found = line.split(|byte| *byte == b'\t');
        for field in &mut fields {
            *field = found.next().ok_or_else(malformed)?;
        }
        let [key, id, line, good, conflicting, name, time_of_start] = fields;
        let conflicting = match conflicting {
            b"0" => false,
            b"1" => true,
            _ => return Err(malformed()),
        };
        if found.next().is_some() {
            return Err(malformed());
        }
        let (key, line, good) = (number(key)?, number(line)?, number(good)?);
        Ok(Self { key, id, line, good, conflicting, name, time_of_start })
    }
}

fn number<T: std::str::FromStr>(field: &[u8]) -> Result<T> {
    std::str::from_utf8(field).ok().and_then(|text| text.parse().ok()).ok_or_else(malformed)
}

/// The part under way.
struct Part {
    key: i32,
    writer: RunWriter<Scratch>,
    /// Rows that the heads announce, and rows that came.
    expected: u64,
    came: u64,
    /// Id, as text, and line of the row before.
    before: (Vec<u8>, u64),
    winner: Winner,
    first: Option<Vec<u8>>,
}

impl Part {
    fn new(key: i32, scratch: Scratch) -> Self {
        Self {
            key,
            writer: RunWriter::new(scratch, BLOCK_BYTES),
            expected: 0,
            came: 0,
            before: (Vec::new(), 0),
            winner: Winner::default(),
            first: None,
        }
    }

    fn expect(&mut self, row: &Row<'_>) -> Result<()> {
        let mut json = Vec::new();
        text::take(row.name, &mut json).ok_or_else(malformed)?;
        let head: Head = serde_json::from_slice(&json).map_err(|error| malformed().because(error))?;
        own_version(&head.version, "the one that cleaned the rows")?;
        self.expected += head.rows;
        Ok(())
    }

    fn add(&mut self, row: &Row<'_>, buffers: &mut [Vec<u8>; 3], existing: Existing) -> Result<()> {
        let (before, line) = &self.before;
        let same = row.id == before.as_slice();
        if row.id < before.as_slice() || (same && row.line <= *line) {
            return Err(unordered());
        }
        let fields = [row.id, row.name, row.time_of_start];
        for (field, buffer) in fields.into_iter().zip(&mut *buffers) {
            text::take(field, buffer).ok_or_else(malformed)?;
            std::str::from_utf8(buffer).map_err(|error| malformed().because(error))?;
        }
        let [id, name, time_of_start] = buffers;
        let (line, good, conflicting) = (row.line, row.good, row.conflicting);
        let clean = RunRow { line, good, conflicting, id, name, time_of_start };
        if same {
            self.winner.join(&clean, existing);
        } else {
            self.flush()?;
            self.winner.set(&clean);
            self.first.get_or_insert_with(|| id.clone());
        }
        self.came += 1;
        self.before.0.clear();
        self.before.0.extend_from_slice(row.id);
        self.before.1 = row.line;
        Ok(())
    }

    /// Writes the row that won.
    fn flush(&mut self) -> Result<()> {
        if self.came == 0 {
            return Ok(());
        }
        self.writer.push(&self.winner.row()).map_err(scratch::unwritten)
    }

    /// Stores it; `None` when there are no rows.
    fn finish(mut self, parts: &Parts) -> Result<Option<RangePart>> {
        if self.came != self.expected {
            let (came, expected) = (self.came, self.expected);
            let doing = format!("reading the rows of a range: {expected} were sent to Spark, {came} came");
            return Err(Error::fatal("spark_rows_lost", doing));
        }
        self.flush()?;
        let Some(first) = self.first else { return Ok(None) };
        let last = self.winner.row().id.to_vec();
        let (scratch, totals) = self.writer.finish().map_err(scratch::unwritten)?;
        let name = name::part(parts.upload, parts.fence, self.key);
        let file = scratch.store(parts.archive.as_ref(), name, &parts.runtime)?;
        let file = PartFile { file, rows: totals.rows, good: totals.good };
        let text = |id: Vec<u8>| String::from_utf8(id).map_err(|error| malformed().because(error));
        let (first, last) = (text(first)?, text(last)?);
        Ok(Some(RangePart { version: Version::own(), key: self.key, file, first, last }))
    }
}
