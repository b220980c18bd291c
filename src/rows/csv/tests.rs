//! Every rule of taking a file apart, by name.

use std::io::Read;

use csv_core::ReadRecordResult;
use proptest::prelude::*;

use super::{CsvError, CsvReader};

type Rows = Vec<(u64, Vec<Vec<u8>>)>;
/// Offsets and lines.
type Cuts = Vec<(u64, u64)>;

fn read_all(bytes: &[u8], offset: u64, line: u64, block: usize) -> Result<(Rows, Cuts), CsvError> {
    let mut reader = CsvReader::with_block_bytes(bytes, b',', offset, line, 1 << 20, block);
    let (mut rows, mut cuts) = (Vec::new(), Vec::new());
    while let Some(record) = reader.read()? {
        rows.push((record.line, record.iter().map(<[u8]>::to_vec).collect()));
        cuts.push(reader.position());
    }
    Ok((rows, cuts))
}

fn rows(text: &str) -> Rows {
    read_all(text.as_bytes(), 0, 1, 1 << 10).expect("whole").0
}

fn lines(text: &str) -> Vec<u64> {
    rows(text).into_iter().map(|(line, _)| line).collect()
}

#[test]
fn every_kind_of_line_end_counts_once() {
    assert_eq!(lines("a\nb\nc"), [1, 2, 3]);
    assert_eq!(lines("a\r\nb\r\nc\r\n"), [1, 2, 3]);
    assert_eq!(lines("a\rb\rc"), [1, 2, 3]);
}

#[test]
fn blank_lines_are_no_records_but_are_lines() {
    assert_eq!(lines("\n\na\n\r\n\r\nb"), [3, 6]);
}

#[test]
fn quoted_line_breaks_are_physical_lines() {
    assert_eq!(lines("a,\"x\r\ny\nz\"\nb"), [1, 4]);
    assert_eq!(rows("\"x,\"\"y\"\"\n\",2"), [(1, vec![b"x,\"y\"\n".to_vec(), b"2".to_vec()])]);
}

#[test]
fn a_quote_that_never_closes_names_the_line_where_its_record_began() {
    let error = read_all(b"a\nb,\"c\nd\n", 0, 1, 16).expect_err("broken");
    assert!(error.to_string().starts_with("line 2: a quote"), "{error}");
}

#[test]
fn a_record_over_the_limit_is_broken_and_memory_stays_bounded() {
    let long = format!("a\n\"{}", "x".repeat(3 << 20));
    let error = read_all(long.as_bytes(), 0, 1, 1 << 16).expect_err("broken");
    assert!(error.to_string().starts_with("line 2: this record is longer than 1048576"), "{error}");
}

#[test]
fn the_limit_is_of_the_record_without_its_line_end_at_every_block_size() {
    for block in 1..20 {
        for end in ["", "\n", "\r\n", "\r", "\nb", "\r\nb\n"] {
            let fits = |text: &str| {
                let text = format!("{text}{end}");
                let mut reader = CsvReader::with_block_bytes(text.as_bytes(), b',', 0, 1, 8, block);
                reader.read().is_ok_and(|record| record.is_some())
            };
            assert!(fits("12345678") && fits("\"1\n3456\""), "{block} {end:?}");
            assert!(!fits("123456789") && !fits("\"1\n34567\""), "{block} {end:?}");
        }
    }
}

#[test]
fn the_bytes_of_a_bom_in_mid_file_belong_to_the_record() {
    assert_eq!(rows("\u{feff}a")[0].1, [b"\xef\xbb\xbfa".to_vec()]);
}

/// How many records were lent from the block, where the first block ends at `cut`; and all as `read_all` gives them.
fn read_cut(bytes: &[u8], cut: usize) -> (usize, Rows, Cuts) {
    let mut reader = CsvReader::new((&bytes[..cut]).chain(&bytes[cut..]), b',', 0, 1, 1 << 20);
    let (mut lent, mut rows, mut ends) = (0, Rows::new(), Vec::new());
    while let Some(record) = reader.read().expect("whole") {
        lent += record.between();
        rows.push((record.line, record.iter().map(<[u8]>::to_vec).collect()));
        ends.push(reader.position());
    }
    (lent, rows, ends)
}

#[test]
fn only_a_record_with_a_quote_or_over_the_blocks_end_is_taken_apart_by_the_automaton() {
    let text = b"ab,,c\nde\r\n\n,f,\rg,\"h\n\",i\nj,k\"l\n\r\nmn,o\n";
    let (lent, whole, ends) = read_cut(text, text.len());
    assert_eq!((lent, whole.len()), (4, 6));
    for cut in 0..text.len() {
        let (lent, rows, cut_ends) = read_cut(text, cut);
        assert!((3..=4).contains(&lent), "{cut}: {lent}");
        assert_eq!((rows, cut_ends), (whole.clone(), ends.clone()), "{cut}");
    }
}

/// What stands behind the closing quote of each field of the first record.
fn behind_quotes(text: &str) -> Vec<String> {
    let mut reader = CsvReader::new(text.as_bytes(), b',', 0, 1, 1 << 20);
    let record = reader.read().expect("whole").expect("a record");
    record.raw_fields(b',').map(|field| String::from_utf8_lossy(field.behind_quote).into_owned()).collect()
}

#[test]
fn text_behind_a_closing_quote_is_told_apart() {
    assert_eq!(behind_quotes("a,b \"c\" d,\n"), ["", "", ""]);
    assert_eq!(behind_quotes("\"\",\"a\"\"b\",\"c,\n\"\"\"\n"), ["", "", ""]);
    assert_eq!(behind_quotes("1,\"a \\\"b\\\"\",\"c\" ,d"), ["", "b\\\"\"", " ", ""]);
    assert_eq!(behind_quotes("1,\"a,2\n2,b,2\n3,\"c\",2\n"), ["", "c\"", ""]);
}

/// What a field means that stands in the file like this, up to what is behind its closing quote.
fn unquoted(field: &[u8]) -> Vec<u8> {
    let inside = field.strip_prefix(b"\"").and_then(|field| field.strip_suffix(b"\""));
    let (mut bytes, mut value) = (inside.unwrap_or(field).iter(), Vec::new());
    while let Some(byte) = bytes.next() {
        value.push(*byte);
        if *byte == b'"' && inside.is_some() {
            bytes.next();
        }
    }
    value
}

fn csv_like() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => Just(b'a'), 2 => Just(b','), 2 => Just(b'"'), 2 => Just(b'\n'), 2 => Just(b'\r'), 1 => any::<u8>()
    ];
    proptest::collection::vec(byte, 0..200)
}

/// As `csv_like`, with few quotes: whole records lie between them.
fn plain_like() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![40 => Just(b'a'), 10 => Just(b','), 1 => Just(b'"'), 6 => Just(b'\n'), 3 => Just(b'\r')];
    proptest::collection::vec(byte, 0..400)
}

/// Where one stops who goes on to the first record end at least `step` bytes ahead, again and again, and the error or
/// the position at the end.
fn stops(
    mut reader: CsvReader<&[u8]>,
    step: u64,
    go_on: fn(&mut CsvReader<&[u8]>, u64) -> Result<bool, CsvError>,
) -> (Cuts, Result<(u64, u64), String>) {
    let mut stops = Vec::new();
    loop {
        let offset = reader.position().0 + step;
        match go_on(&mut reader, offset) {
            Ok(true) => stops.push(reader.position()),
            Ok(false) => return (stops, Ok(reader.position())),
            Err(error) => return (stops, Err(error.to_string())),
        }
    }
}

fn read_to(reader: &mut CsvReader<&[u8]>, offset: u64) -> Result<bool, CsvError> {
    while reader.read()?.is_some() {
        if reader.position().0 >= offset {
            return Ok(true);
        }
    }
    Ok(false)
}

proptest! {
    #[test]
    fn records_equal_those_of_csv_core_at_every_block_size(
        bytes in prop_oneof![csv_like(), plain_like()],
        block in prop_oneof![1_usize..64, Just(1 << 10)],
    ) {
        let Ok((rows, _)) = read_all(&bytes, 0, 1, block) else { return Ok(()) };
        let mut whole = Vec::new();
        let mut core = csv_core::Reader::new();
        let _ = core.read_record(b"\n", &mut [], &mut []);
        let (mut rest, mut text, mut ends) = (&bytes[..], vec![0; 4096], vec![0; 512]);
        let (mut used, mut ended) = (0, 0);
        loop {
            let (result, taken, wrote, more) = core.read_record(rest, &mut text[used..], &mut ends[ended..]);
            rest = &rest[taken..];
            (used, ended) = (used + wrote, ended + more);
            match result {
                ReadRecordResult::Record => {
                    let starts = std::iter::once(0).chain(ends.iter().copied());
                    let fields = starts.zip(&ends[..ended]).map(|(start, end)| text[start..*end].to_vec());
                    whole.push(fields.collect::<Vec<_>>());
                    (used, ended) = (0, 0);
                }
                ReadRecordResult::End => break,
                _ => {}
            }
        }
        prop_assert_eq!(rows.into_iter().map(|(_, fields)| fields).collect::<Vec<_>>(), whole);
    }

    #[test]
    fn fields_are_what_stands_in_the_file_without_quotes_and_with_what_is_behind_them(
        bytes in prop_oneof![csv_like(), plain_like()],
        block in prop_oneof![1_usize..64, Just(1 << 10)],
    ) {
        let mut reader = CsvReader::with_block_bytes(&bytes[..], b',', 0, 1, 1 << 20, block);
        while let Ok(Some(record)) = reader.read() {
            let fields = record.raw_fields(b',').map(|field| {
                let quoted = field.bytes.len() - field.behind_quote.len();
                [unquoted(&field.bytes[..quoted]), field.behind_quote.to_vec()].concat()
            });
            prop_assert_eq!(fields.collect::<Vec<_>>(), record.iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_cut_behind_any_record_changes_nothing(bytes in prop_oneof![csv_like(), plain_like()]) {
        let Ok((rows, cuts)) = read_all(&bytes, 0, 1, 16) else { return Ok(()) };
        for (number, (offset, line)) in cuts.into_iter().enumerate() {
            let at = usize::try_from(offset).expect("small");
            let (tail, _) = read_all(&bytes[at..], offset, line, 16).expect("the same records");
            prop_assert_eq!(&tail[..], &rows[number + 1..]);
        }
    }

    #[test]
    fn whether_a_file_is_broken_does_not_depend_on_the_block_size(bytes in csv_like(), block in 1_usize..64) {
        prop_assert_eq!(read_all(&bytes, 0, 1, block).is_ok(), read_all(&bytes, 0, 1, 1 << 16).is_ok());
    }

    #[test]
    fn skipping_stops_where_reading_every_record_stops_with_the_same_lines_and_errors(
        bytes in prop_oneof![csv_like(), plain_like()],
        block in prop_oneof![1_usize..64, Just(1 << 10)],
        longest in prop_oneof![1_u64..40, Just(1 << 20)],
        step in 0_u64..150,
    ) {
        let reader = || CsvReader::with_block_bytes(&bytes[..], b',', 0, 1, longest, block);
        let skipped = stops(reader(), step, |reader, offset| reader.skip_to(offset));
        prop_assert_eq!(skipped, stops(reader(), step, read_to));
    }

    #[test]
    fn where_the_first_block_ends_does_not_matter(bytes in plain_like(), cut in 0_usize..400) {
        let Ok((rows, ends)) = read_all(&bytes, 0, 1, 1 << 10) else { return Ok(()) };
        let (_, cut_rows, cut_ends) = read_cut(&bytes, cut.min(bytes.len()));
        prop_assert_eq!((cut_rows, cut_ends), (rows, ends));
    }
}
