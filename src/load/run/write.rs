//! Writing a run: rows in order of id become blocks, and the index of their first ids.

use std::io::{self, Write};

use super::{BLOCK_HEAD_BYTES, MAGIC, TAIL_BYTES, Totals, crc32};
use crate::load::row::{RunRow, Span};

/// Writes a run to any output.
pub struct RunWriter<W> {
    out: W,
    block_bytes: usize,
    /// The block under way, its head still empty.
    block: Vec<u8>,
    /// Where in it the last row begins.
    last: usize,
    last_id: Vec<u8>,
    index: Vec<u8>,
    offset: u64,
    totals: Totals,
}

impl<W: Write> RunWriter<W> {
    /// `block_bytes`: a block is written once it holds as many.
    pub fn new(out: W, block_bytes: usize) -> Self {
        let (block, last_id, index) = (vec![0; BLOCK_HEAD_BYTES], Vec::new(), Vec::new());
        Self { out, block_bytes, block, last: 0, last_id, index, offset: 0, totals: Totals::default() }
    }

    /// Adds a row; ids must ascend.
    pub fn push(&mut self, row: &RunRow<'_>) -> io::Result<()> {
        self.begin_row(row.id, row.good);
        row.encode(&mut self.block);
        self.end_row()
    }

    /// As `push`, of a row that is there as runs hold it, and stands for itself alone.
    pub fn copy(&mut self, id: &[u8], row: &[u8]) -> io::Result<()> {
        self.begin_row(id, 1);
        self.block.extend_from_slice(row);
        self.end_row()
    }

    fn begin_row(&mut self, id: &[u8], good: u64) {
        if self.block.len() == BLOCK_HEAD_BYTES {
            put_entry(&mut self.index, self.offset, id);
        }
        self.totals.rows += 1;
        self.totals.good += good;
        self.last = self.block.len();
    }

    fn end_row(&mut self) -> io::Result<()> {
        if self.block.len() - BLOCK_HEAD_BYTES >= self.block_bytes { self.write_block() } else { Ok(()) }
    }

    fn write_block(&mut self) -> io::Result<()> {
        let (head, rows) = self.block.split_at_mut(BLOCK_HEAD_BYTES);
        head[..4].copy_from_slice(&(rows.len() as u32).to_le_bytes());
        head[4..].copy_from_slice(&crc32(&[rows]).to_le_bytes());
        self.out.write_all(&self.block)?;
        self.offset += self.block.len() as u64;
        self.totals.blocks += 1;
        self.last_id.clear();
        self.last_id.extend_from_slice(Span::decode(&self.block, self.last).unwrap_or_default().id(&self.block));
        self.block.truncate(BLOCK_HEAD_BYTES);
        Ok(())
    }

    /// Writes what is left, the index and the totals; the output is not flushed.
    pub fn finish(mut self) -> io::Result<(W, Totals)> {
        if self.block.len() > BLOCK_HEAD_BYTES {
            self.write_block()?;
        }
        put_entry(&mut self.index, self.offset, &self.last_id);
        let Totals { blocks, rows, good, .. } = self.totals;
        let numbers = [self.index.len() as u64, blocks, rows, good].map(u64::to_le_bytes).concat();
        let crc32 = crc32(&[&self.index, &numbers]);
        self.out.write_all(&self.index)?;
        self.out.write_all(&numbers)?;
        self.out.write_all(&crc32.to_le_bytes())?;
        self.out.write_all(&MAGIC)?;
        let bytes = self.offset + self.index.len() as u64 + TAIL_BYTES;
        Ok((self.out, Totals { bytes, crc32, ..self.totals }))
    }
}

fn put_entry(index: &mut Vec<u8>, offset: u64, id: &[u8]) {
    index.extend(offset.to_le_bytes());
    index.extend((id.len() as u16).to_le_bytes());
    index.extend(id);
}
