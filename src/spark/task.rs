//! What a task is told: the plan, which all tasks of a job have in common, and the chunk. Both travel as hexadecimal
//! digits of JSON, in which nothing needs quoting, in SQL or elsewhere. Secrets never travel: executors have their own
//! configuration.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Version, keys};
use crate::{
    error::{Error, Result},
    hash::hex,
    rows::{Layout, RowOptions},
    store::Bounds,
    upload::UploadId,
};

/// Where the executors find the upload's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// At the server with this address, which must be one of the executor's `worker.servers`.
    Server(String),
    /// Under this name in the archive.
    Archive(String),
}

/// What all tasks of a job have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Of the worker: an executor's program must be the same.
    pub version: Version,
    pub upload: UploadId,
    /// Number of the claim's fence.
    pub fence: u64,
    pub origin: Origin,
    pub layout: Layout,
    pub options: RowOptions,
    /// Where one id range ends and the next begins, ascending; one less than there are ranges.
    pub cuts: Vec<String>,
    /// Whether the chunks themselves are to be kept in the archive.
    pub keeps_chunks: bool,
}

impl Plan {
    /// Id ranges.
    pub fn ranges(&self) -> usize {
        self.cuts.len() + 1
    }

    /// The key of each range.
    pub fn keys(&self) -> Vec<i32> {
        keys::of_ranges(self.ranges())
    }

    /// The range that an id belongs to.
    pub fn range_of(&self, id: &[u8]) -> usize {
        self.cuts.partition_point(|cut| cut.as_bytes() <= id)
    }

    pub fn bounds(&self, range: usize) -> Bounds {
        let cut = |at: usize| self.cuts.get(at).map(|cut| cut.as_bytes().to_vec());
        Bounds { low: range.checked_sub(1).and_then(cut), high: cut(range) }
    }
}

/// Hexadecimal digits of its JSON.
pub fn encode(value: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(value)
        .map_err(|error| Error::fatal("spark_task", "writing a task for Spark").because(error))?;
    Ok(hex(&json))
}

/// Reads what `encode` wrote.
pub fn decode<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    let unreadable = || {
        Error::fatal("spark_task", "reading a task: it is none of this version")
            .next("install the userdata of the worker on every executor")
    };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    let pairs = text.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(unreadable());
    }
    let json: Vec<u8> = pairs.map(byte).collect::<Option<_>>().ok_or_else(unreadable)?;
    serde_json::from_slice(&json).map_err(|error| unreadable().because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(cuts: &[&str]) -> Plan {
        Plan {
            version: Version::own(),
            upload: UploadId::new(),
            fence: 1,
            origin: Origin::Archive("2026/11/x.csv".into()),
            layout: Layout::detect(b"id,name,time_of_start\n", true, &RowOptions::default()).unwrap().unwrap(),
            options: RowOptions::default(),
            cuts: cuts.iter().map(|cut| (*cut).into()).collect(),
            keeps_chunks: false,
        }
    }

    #[test]
    fn a_plan_travels_as_digits_alone() {
        let plan = plan(&["a'\"\t\\N\n", "ü"]);
        let text = encode(&plan).unwrap();
        assert!(text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(decode::<Plan>(text.as_bytes()).unwrap(), plan);
        for wrong in ["", "7", "zz", "7b7d", &text[2..]] {
            assert_eq!(decode::<Plan>(wrong.as_bytes()).unwrap_err().code, "spark_task", "{wrong}");
        }
    }

    #[test]
    fn an_id_belongs_to_the_range_whose_bounds_hold_it() {
        let plan = plan(&["b", "d"]);
        for (id, range) in [("", 0), ("a", 0), ("b", 1), ("c", 1), ("d", 2), ("z", 2)] {
            assert_eq!(plan.range_of(id.as_bytes()), range, "{id}");
            let Bounds { low, high } = plan.bounds(range);
            assert!(low.is_none_or(|low| low.as_slice() <= id.as_bytes()), "{id}");
            assert!(high.is_none_or(|high| id.as_bytes() < high.as_slice()), "{id}");
        }
    }
}
