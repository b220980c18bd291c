//! One segment's bytes on their way to rows: read again, cleaned into an arena, compared with the index's hash. Where
//! sorted rows and rejects go is up to who asks for it, so that every way of cleaning a file is this one.

use std::io::{self, Write};

use super::{
    arena::Arena,
    index::{Segment, csv_error},
    input::{Input, Reading, reading},
    pass,
    tally::Tally,
};
use crate::{
    error::{Error, Result},
    hash::{Blake3, Hashed},
    rows::{Cleaner, Layout, ReasonCounts, RejectWriter, RowOptions, csv::CsvReader},
};

/// Whether to go on is asked for after so many rows.
const ROWS_BETWEEN_CHECKS: u64 = 1 << 12;

/// Where the rows of a segment go.
pub trait Sink {
    /// An error when nobody wants the segment any more.
    fn check(&mut self) -> Result<()>;

    /// Takes the rows of a full arena, and empties it.
    fn full(&mut self, arena: &mut Arena) -> Result<()>;

    /// What an error of writing a reject means.
    fn unwritten(&self, error: io::Error) -> Error;
}

/// A segment, and how its rows are read.
pub struct SegmentRows<'a> {
    pub reading: &'a Reading,
    pub segment: &'a Segment,
    pub layout: &'a Layout,
    pub options: &'a RowOptions,
}

impl SegmentRows<'_> {
    /// Cleans all rows. Those that no longer fit into the arena have gone to `sink`; the rest is left in it, unsorted.
    /// Rejects are written without a header. What went out is worth nothing if this fails.
    ///
    /// `Rejected`, code `content_changed`: the bytes are not those that were indexed.
    pub fn clean(&self, arena: &mut Arena, rejects: &mut impl Write, sink: &mut impl Sink) -> Result<Tally> {
        arena.clear();
        let segment = self.segment;
        let mut input = Hashed::new(self.reading.open(segment.offset, segment.length)?);
        let cleaned = self.clean_rows(&mut input, arena, rejects, sink);
        if cleaned.as_ref().is_err_and(|error| error.code != "csv_broken") {
            return cleaned;
        }
        let (hash, bytes) = input.finish().map_err(reading)?;
        self.compare(&hash, bytes)?;
        cleaned
    }

    fn clean_rows(
        &self,
        input: &mut Hashed<Input, Blake3>,
        arena: &mut Arena,
        rejects: &mut impl Write,
        sink: &mut impl Sink,
    ) -> Result<Tally> {
        let (segment, layout) = (self.segment, self.layout);
        let (offset, line, longest) = (segment.offset, segment.first_line, self.options.max_record_bytes);
        let mut reader = CsvReader::new(input, layout.delimiter, offset, line, longest);
        let cleaner = Cleaner::new(layout, self.options);
        let mut cleaner = cleaner.map_err(|error| Error::rejected("row_options", error.to_string()))?;
        let (mut rows, mut good, mut reasons) = (0_u64, 0, ReasonCounts::default());
        let mut writer = RejectWriter::new(rejects, layout, self.options);
        while let Some(record) = reader.read().map_err(csv_error)? {
            if rows % ROWS_BETWEEN_CHECKS == 0 {
                sink.check()?;
            }
            rows += 1;
            match cleaner.clean(&record) {
                Ok(user) => {
                    #[cfg(feature = "faults")]
                    crate::faults::reached(user.id);
                    if !arena.fits(&user) {
                        sink.full(arena)?;
                    }
                    arena.push(record.line, user);
                    good += 1;
                }
                Err(reason) => {
                    reasons.add(record.line, &reason);
                    writer.write(&record, &reason).map_err(|error| sink.unwritten(error))?;
                }
            }
        }
        Ok(Tally::new(good, &reasons, &cleaner))
    }

    /// Whether the segment's bytes are the ones that were indexed.
    fn compare(&self, hash: &str, bytes: u64) -> Result<()> {
        let segment = self.segment;
        if bytes == segment.length && hash == segment.hash {
            return Ok(());
        }
        let (name, end) = (self.reading.source.name(), segment.offset + segment.length);
        if bytes < segment.length && self.reading.size()? >= end {
            return Err(pass::ended_early(&name, segment.offset + bytes, end));
        }
        Err(pass::changed(&name, &format!("the part from byte {} to {end} is not what it was", segment.offset)))
    }
}
