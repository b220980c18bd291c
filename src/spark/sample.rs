//! Where one id range ends and the next begins: quantiles of ids that lie at the beginnings of chunks. Reading a little
//! of many places takes a moment; letting Spark find out would clean the whole file twice.

use crate::{
    error::{Error, Kind, Result},
    load::{index::Index, input::Reading},
    rows::{Cleaner, RowOptions, csv::CsvReader},
};

/// Places that are looked at.
const PLACES_MAX: usize = 200;
/// Of each place.
const PLACE_BYTES: u64 = 32 << 10;
const PLACE_ROWS: usize = 50;

/// The ends of the first ranges of `ranges` that hold about as many rows each, ascending; fewer where few ids were
/// seen. Blocking.
pub fn cuts(reading: &Reading, index: &Index, options: &RowOptions, ranges: usize) -> Result<Vec<String>> {
    let segments = &index.segments;
    let places = segments.len().min(PLACES_MAX);
    let mut ids = Vec::with_capacity(places * PLACE_ROWS);
    for place in 0..places {
        let segment = &segments[place * segments.len() / places];
        let length = segment.length.min(PLACE_BYTES);
        let mut input = reading.open(segment.offset, length)?;
        let offset = segment.offset;
        let mut reader =
            CsvReader::new(&mut input, index.layout.delimiter, offset, segment.first_line, options.max_record_bytes);
        let cleaner = Cleaner::new(&index.layout, options);
        let mut cleaner = cleaner.map_err(|error| Error::rejected("row_options", error.to_string()))?;
        for _ in 0..PLACE_ROWS {
            let id = match reader.read().map_err(crate::load::index::csv_error) {
                Ok(Some(record)) => cleaner.clean(&record).ok().map(|user| user.id.to_owned()),
                Ok(None) => break,
                // A record that the end of what is read has cut.
                Err(error) if error.kind == Kind::Rejected => break,
                Err(error) => return Err(error),
            };
            // What reaches that end may have been cut, too.
            if reader.position().0 >= offset + length && length < segment.length {
                break;
            }
            ids.extend(id);
        }
    }
    Ok(quantiles(ids, ranges))
}

fn quantiles(mut ids: Vec<String>, ranges: usize) -> Vec<String> {
    ids.sort_unstable();
    let mut cuts: Vec<String> = Vec::new();
    for range in 1..ranges {
        let Some(id) = ids.get(range * ids.len() / ranges) else { break };
        if ids[0] < *id && cuts.last().is_none_or(|last| last < id) {
            cuts.push(id.clone());
        }
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[&str], ranges: usize) -> Vec<String> {
        quantiles(ids.iter().map(|id| (*id).into()).collect(), ranges)
    }

    #[test]
    fn ranges_are_cut_where_as_many_ids_lie_on_either_side() {
        assert_eq!(of(&["d", "a", "c", "b"], 2), ["c"]);
        assert_eq!(of(&["d", "a", "c", "b"], 4), ["b", "c", "d"]);
        assert!(of(&["a", "b"], 1).is_empty());
        assert!(of(&[], 9).is_empty());
    }

    #[test]
    fn an_id_that_comes_often_is_no_range_twice() {
        assert!(of(&["a", "a", "a", "a"], 4).is_empty());
        assert_eq!(of(&["a", "b", "b", "b", "b", "b"], 4), ["b"]);
    }
}
