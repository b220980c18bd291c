//! Seeking in runs, and damage of any kind.

use super::*;
use crate::load::row::{RunRow, Span};

fn run_of(ids: &[&str]) -> Vec<u8> {
    let mut writer = RunWriter::new(Vec::new(), 1);
    for (line, id) in ids.iter().enumerate() {
        let row = RunRow {
            line: line as u64,
            good: 2,
            conflicting: false,
            id: id.as_bytes(),
            name: b"n",
            time_of_start: b"t",
        };
        writer.push(&row).unwrap();
    }
    writer.finish().unwrap().0
}

#[test]
fn a_reader_starts_at_the_block_that_can_hold_an_id() {
    let run = Run::memory(run_of(&["b", "d", "f"])).unwrap();
    assert_eq!((run.totals.blocks, run.totals.rows, run.totals.good), (3, 3, 6));
    let mut block = Vec::new();
    for (id, expected) in [("a", "b"), ("b", "b"), ("c", "b"), ("d", "d"), ("e", "d"), ("z", "f")] {
        let offset = run.seek(Some(id.as_bytes())).unwrap();
        run.read_block(offset, &mut block).unwrap();
        let first = Span::decode(&block, 0).unwrap();
        assert_eq!(first.id(&block), expected.as_bytes(), "from {id}");
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let whole = run_of(&["b", "d", "f"]);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let read = || -> Result<()> {
            let run = Run::memory(bytes)?;
            let (mut offset, mut block) = (0, Vec::new());
            while let Some(next) = run.read_block(offset, &mut block)? {
                offset = next;
            }
            Ok(())
        };
        assert_eq!(read().unwrap_err().code, "run_damaged", "byte {at}");
    }
}

#[test]
fn every_cut_is_noticed() {
    let whole = run_of(&["b", "d", "f"]);
    for length in 0..whole.len() {
        assert_eq!(Run::memory(whole[..length].to_vec()).unwrap_err().code, "run_damaged", "{length} bytes");
    }
}

#[test]
fn at_most_65_first_ids_are_sampled() {
    let ids: Vec<String> = (0..1000).map(|number| format!("{number:04}")).collect();
    let run = Run::memory(run_of(&ids.iter().map(String::as_str).collect::<Vec<_>>())).unwrap();
    let phase = run.totals.crc32 % 16;
    let second = if phase == 0 { 16 } else { phase };
    assert_eq!(run.samples.len() as u32, 2 + (999 - second) / 16);
    assert_eq!((run.samples[0].id.as_slice(), run.last_id.as_slice()), (&b"0000"[..], &b"0999"[..]));
    assert_eq!(run.samples[1].id, format!("{second:04}").into_bytes());
    assert!(run.samples[1..run.samples.len() - 1].iter().all(|sample| sample.blocks == 16));
    assert_eq!(run.samples.iter().map(|sample| sample.blocks).sum::<u64>(), 1000);
    let mut block = Vec::new();
    for (number, id) in ids.iter().enumerate() {
        run.read_block(run.seek(Some(id.as_bytes())).unwrap(), &mut block).unwrap();
        assert_eq!(Span::decode(&block, 0).unwrap().line, number as u64);
    }
}
