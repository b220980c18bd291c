//! Files that are wrong in one way each, and what must be said of them.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

pub const GOOD: &[u8] = b"id,name,time_of_start\n1,Ada,2017-03-07T00:30:54Z\n2,BOB,2017-03-07T00:30:55Z\n";

/// A file that is refused before it is an upload.
pub struct Refused {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub code: &'static str,
    /// Parts of the message and of what is to be done next.
    pub says: &'static str,
    pub next: &'static str,
}

pub fn refused() -> Vec<Refused> {
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(GOOD.iter().flat_map(|byte| [*byte, 0])).collect();
    let zip = [b"PK\x03\x04\x14\0\0\0\x08\0".as_slice(), &[0; 16], b"\x09\0\0\0users.csv", &[7; 99]].concat();
    let xlsx =
        [b"PK\x03\x04\x14\0\0\0\x08\0".as_slice(), &[0; 16], b"\x13\0\0\0[Content_Types].xml", &[7; 99]].concat();
    let gzip_start = gzip(GOOD)[..20].to_vec();
    let wide = format!("id,{}\n", "y".repeat(3 << 20));
    let all: [(&str, Vec<u8>, &str, &str, &str); 11] = [
        ("empty.csv", vec![], "empty_file", "the file is empty", "header line"),
        ("blank.csv", b"\n\r\n\n".to_vec(), "empty_file", "nothing but blank lines", "header line"),
        (
            "column.csv",
            b"id;name;begin\n1;a;2017\n".to_vec(),
            "column_not_found",
            "there is no column \"time_of_start\"; the header has: id, name, begin",
            "columns time_of_start=COLUMN",
        ),
        ("twice.csv", b"id,name,ID,time_of_start\n".to_vec(), "column_ambiguous", "more than once", "another name"),
        ("users.zip", zip, "not_csv", "a zip archive", "take the CSV file out of it"),
        ("users.xlsx", xlsx, "not_csv", "an Excel workbook", "save the sheet as CSV"),
        ("utf16.csv", utf16, "not_csv", "UTF-16 text", "UTF-8"),
        ("users.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n".to_vec(), "not_csv", "a PDF document", "as CSV"),
        (
            "quote.csv",
            b"id,\"name,time_of_start\n1,a,2017-03-07\n".to_vec(),
            "csv_broken",
            "line 1: a quote that is opened in this record never closes",
            "close the quote",
        ),
        (
            "wide.csv",
            wide.into_bytes(),
            "csv_broken",
            "line 1: this record is longer than 1048576 bytes",
            "close the quote",
        ),
        ("cut.csv.gz", gzip_start, "broken_gzip", "damaged or cut off", "compress it again"),
    ];
    let of = |(name, bytes, code, says, next)| Refused { name, bytes, code, says, next };
    all.into_iter().map(of).collect()
}

/// A file that is taken, and ends as `failed` without a row stored.
pub struct Broken {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub code: &'static str,
    pub says: &'static str,
    pub next: &'static str,
}

pub fn broken() -> Vec<Broken> {
    let long_record = [GOOD, b"3,", &vec![b'y'; 2 << 20], b",2017-03-07\n", GOOD].concat();
    let rows: String = (0..2_000).map(|number| format!("{number},a{:x},2017-03-07\n", number * 7_919)).collect();
    let mut cut = gzip(&[GOOD, rows.as_bytes()].concat());
    cut.truncate(cut.len() - 9);
    let all: [(&str, Vec<u8>, &str, &str, &str); 4] = [
        (
            "quote.csv",
            [GOOD, b"3,\"never, 2017-03-07\n4,b,2017-03-07\n"].concat(),
            "csv_broken",
            "line 4: a quote that is opened in this record never closes",
            "mend that line",
        ),
        (
            "long.csv",
            long_record,
            "csv_broken",
            "line 4: this record is longer than 1048576 bytes (max_record_bytes)",
            "mend that line",
        ),
        ("cut.csv.gz", cut, "gzip_truncated", "the gzip content ends too early", "gzip -t"),
        (
            "none.csv",
            b"id,name,time_of_start\n1,a,x\n2,b,31/02/2020\n".to_vec(),
            "no_good_rows",
            "all its 2 rows are rejects",
            "userdata rejects",
        ),
    ];
    let of = |(name, bytes, code, says, next)| Broken { name, bytes, code, says, next };
    all.into_iter().map(of).collect()
}

/// A file with good rows and bad ones: counts, and the codes of the reasons.
pub struct Mixed {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub good: u64,
    pub reasons: &'static [&'static str],
}

pub fn mixed() -> Vec<Mixed> {
    let long_id = [GOOD, &[b'x'; 300], b",a,2017-03-07\n"].concat();
    let all: [(&str, Vec<u8>, u64, &[&str]); 5] = [
        ("header.csv", b"id,name,time_of_start\n".to_vec(), 0, &[]),
        (
            "ragged.csv",
            [GOOD, b"3,c\n4,d,2017-03-07,,,\n5,e,2017-03-07,too,much\n"].concat(),
            3,
            &["too_few_fields", "too_many_fields"],
        ),
        ("latin1.csv", [GOOD, b"3,M\xfcller,2017-03-07\n"].concat(), 2, &["undecodable"]),
        ("nul.csv", [GOOD, b"3\0,c,2017-03-07\n4,d\0,2017-03-07\n"].concat(), 3, &["id_nul"]),
        ("id300.csv", long_id, 2, &["id_too_long"]),
    ];
    let of = |(name, bytes, good, reasons)| Mixed { name, bytes, good, reasons };
    all.into_iter().map(of).collect()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
