//! What the tasks of a job say they did, and whether it adds up. A child that ends early, a program of another
//! version, a task that counted twice: Spark calls such a job a success, and here it is found. Nothing of a job that
//! does not add up is stored.

use serde::{Deserialize, Serialize};

use super::{Version, clean::own_version, task::Plan, text};
use crate::{
    archive::StoredFile,
    error::{Error, Result},
    load::{index::Segment, tally::Tally},
    store::{Bounds, PartFile},
    wording::grouped,
};

/// What became of a chunk's rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ChunkAccount {
    pub version: Version,
    pub number: u32,
    /// The index's hash of the chunk, which its bytes had.
    pub hash: String,
    pub tally: Tally,
    /// Without a header; none where there are none.
    pub rejects: Option<StoredFile>,
    /// The chunk itself, where it was to be kept; the first one with what is in front of it.
    pub raw: Option<StoredFile>,
}

/// A part, and the range that it is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RangePart {
    pub version: Version,
    pub key: i32,
    #[serde(flatten)]
    pub file: PartFile,
    pub first: String,
    pub last: String,
}

/// What a job made of an upload, once it adds up.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    pub tally: Tally,
    /// In the order of ids; ranges without rows have none.
    pub parts: Vec<(Bounds, PartFile)>,
    /// Of the chunks, in their order: together all rejects, without a header.
    pub rejects: Vec<StoredFile>,
    /// The chunks themselves, in their order, where they were to be kept: together they are the original.
    pub raw: Vec<StoredFile>,
}

/// Collects what tasks say.
#[derive(Debug, Default)]
pub struct Collected {
    accounts: Vec<ChunkAccount>,
    parts: Vec<RangePart>,
}

impl Collected {
    /// Takes a row of the job's result: the two fields that `spark-part` writes.
    pub fn take(&mut self, what: &str, told: &[u8]) -> Result<()> {
        let mut json = Vec::new();
        text::take(told, &mut json).ok_or_else(|| unreadable(what))?;
        let unread = |error| unreadable(what).because(error);
        match what {
            "account" => self.accounts.push(serde_json::from_slice(&json).map_err(unread)?),
            "part" => self.parts.push(serde_json::from_slice(&json).map_err(unread)?),
            other => return Err(unreadable(other)),
        }
        Ok(())
    }

    /// The manifest, if everything is accounted for: each chunk once, each good row in a part, each part in its range,
    /// and all by programs of this version.
    pub fn check(mut self, plan: &Plan, chunks: &[Segment]) -> Result<Manifest> {
        let found = self.accounts.iter().map(|account| (&account.version, "one that cleaned"));
        let found = found.chain(self.parts.iter().map(|part| (&part.version, "one that made parts")));
        for (version, whose) in found {
            own_version(version, whose)?;
        }
        self.accounts.sort_by_key(|account| account.number);
        every_chunk_once(&self.accounts, chunks)?;
        let mut tally = Tally::default();
        self.accounts.iter().for_each(|account| tally.merge(&account.tally));
        let parts = in_their_ranges(plan, self.parts)?;
        let good: u64 = parts.iter().map(|(_, part)| part.good).sum();
        if good != tally.good {
            let (sent, stored) = (grouped(tally.good), grouped(good));
            let doing = format!("{sent} good rows were found by cleaning, but the parts stand for {stored}");
            return Err(Error::fatal("spark_rows_lost", refused(&doing)).next(LOOK));
        }
        let raw = if plan.keeps_chunks { whole_chunks(&self.accounts, chunks)? } else { Vec::new() };
        let rejects = self.accounts.into_iter().filter_map(|account| account.rejects).collect();
        Ok(Manifest { tally, parts, rejects, raw })
    }
}

const LOOK: &str = "see Spark's log of the job, and whether every executor runs the same userdata to its end";

fn refused(why: &str) -> String {
    format!("the Spark job does not add up: {why}; nothing was stored")
}

fn unreadable(what: &str) -> Error {
    Error::fatal("spark_result", refused(&format!("it gives a row \"{}\" that nobody can read", what.escape_debug())))
        .next("see whether spark.command names this userdata")
}

fn every_chunk_once(accounts: &[ChunkAccount], chunks: &[Segment]) -> Result<()> {
    let mut accounts = accounts.iter();
    for chunk in chunks {
        let number = chunk.number;
        match accounts.next() {
            Some(account) if account.number == number && account.hash == chunk.hash => {}
            Some(account) if account.number == number => {
                let doing = format!("chunk {number} that was cleaned is not the one that was indexed");
                return Err(Error::fatal("spark_chunk_changed", refused(&doing)).next(LOOK));
            }
            Some(account) if account.number < number => return Err(twice(account.number)),
            _ => {
                let doing = format!("nothing tells what became of chunk {number} of {}", chunks.len());
                return Err(Error::fatal("spark_chunk_missing", refused(&doing)).next(LOOK));
            }
        }
    }
    accounts.next().map_or(Ok(()), |account| Err(twice(account.number)))
}

/// The chunks as they were stored, each of its size.
fn whole_chunks(accounts: &[ChunkAccount], chunks: &[Segment]) -> Result<Vec<StoredFile>> {
    let of = |(account, chunk): (&ChunkAccount, &Segment)| {
        let size = chunk.offset + chunk.length - super::clean::raw_start(chunk);
        account.raw.clone().filter(|raw| raw.size == size).ok_or_else(|| {
            let doing = format!("chunk {} was not kept whole in the archive", chunk.number);
            Error::fatal("spark_chunk_not_kept", refused(&doing)).next(LOOK)
        })
    };
    accounts.iter().zip(chunks).map(of).collect()
}

fn twice(number: u32) -> Error {
    Error::fatal("spark_chunk_twice", refused(&format!("chunk {number} is accounted for twice"))).next(LOOK)
}

fn in_their_ranges(plan: &Plan, parts: Vec<RangePart>) -> Result<Vec<(Bounds, PartFile)>> {
    let keys = plan.keys();
    let mut ranges = vec![None; keys.len()];
    for RangePart { key, file, first, last, .. } in parts {
        let range = keys.iter().position(|known| *known == key);
        let holds = |id: &str| Some(plan.range_of(id.as_bytes())) == range;
        let Some(range) = range.filter(|_| first <= last && holds(&first) && holds(&last)) else {
            let doing = format!("the part {} holds ids of another range", file.file.name);
            return Err(Error::fatal("spark_part_outside", refused(&doing)).next(LOOK));
        };
        if let Some((_, other)) = ranges[range].replace((plan.bounds(range), file)) {
            let other: PartFile = other;
            let doing = format!("there is a second part beside {}", other.file.name);
            return Err(Error::fatal("spark_part_twice", refused(&doing)).next(LOOK));
        }
    }
    Ok(ranges.into_iter().flatten().collect())
}
