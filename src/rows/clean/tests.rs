//! Every rule for ids, names and fields, by name.

use super::*;
use crate::rows::csv::CsvReader;

/// What becomes of each row behind the header.
fn clean_with(text: &[u8], options: &RowOptions) -> Vec<Result<[String; 3], &'static str>> {
    let layout = Layout::detect(text, true, options).expect("csv").expect("whole");
    let at = usize::try_from(layout.data_offset).expect("small");
    let mut reader = CsvReader::new(&text[at..], layout.delimiter, layout.data_offset, layout.data_line, 1 << 20);
    let mut cleaner = Cleaner::new(&layout, options).expect("options");
    let mut rows = Vec::new();
    while let Some(record) = reader.read().expect("csv") {
        let user = cleaner.clean(&record);
        rows.push(user.map(|user| [user.id, user.name, user.time_of_start].map(ToOwned::to_owned)).map_err(|r| r.code));
    }
    rows
}

const T: &str = "2020-01-01T00:00:00Z";

fn clean(rows: &str) -> Vec<Result<[String; 3], &'static str>> {
    clean_with(format!("id,name,time_of_start\n{rows}").as_bytes(), &RowOptions::default())
}

fn name_of(name: &str) -> String {
    clean(&format!("1,{name},{T}")).remove(0).expect("good")[1].clone()
}

fn id_of(id: &str) -> Result<String, &'static str> {
    clean(&format!("{id},n,{T}")).remove(0).map(|user| user[0].clone())
}

#[test]
fn names_are_unicode_lower_case_in_every_locale() {
    assert_eq!(name_of("ÇELİK"), "çeli\u{307}k");
    assert_eq!(name_of("ΣΊΣΥΦΟΣ"), "σίσυφος", "final sigma");
    assert_eq!(name_of("STRAẞE ISTANBUL"), "straße istanbul");
    assert_eq!(name_of(""), "");
}

#[test]
fn a_name_is_measured_after_lower_casing_in_characters() {
    assert_eq!(name_of(&"é".repeat(255)).chars().count(), 255);
    let doubled = format!("1,{},{T}", "İ".repeat(128));
    assert_eq!(clean(&doubled)[0], Err("name_too_long"));
}

#[test]
fn ids_are_kept_as_they_are_blanks_included() {
    assert_eq!(id_of(" A b "), Ok(" A b ".into()));
    assert_eq!(id_of("\"a,\"\"b\"\"\n\\\t\""), Ok("a,\"b\"\n\\\t".into()));
}

#[test]
fn ids_are_neither_empty_nor_blank_nor_hold_nul_nor_are_too_long() {
    assert_eq!(id_of(""), Err("id_empty"));
    assert_eq!(id_of(" \u{a0} "), Err("id_empty"));
    assert_eq!(id_of("a\0b"), Err("id_nul"));
    assert_eq!(id_of(&"ä".repeat(256)), Err("id_too_long"));
    assert!(id_of(&"ä".repeat(255)).is_ok());
}

#[test]
fn trim_takes_blanks_off_the_ends_of_ids_and_names() {
    let options = RowOptions { trim: true, ..RowOptions::default() };
    let text = format!("id,name,time_of_start\n a , B ,{T}\n");
    assert_eq!(clean_with(text.as_bytes(), &options)[0].as_ref().expect("good")[..2], ["a", "b"]);
}

#[test]
fn fewer_fields_are_good_as_long_as_the_three_are_there() {
    let text = format!("id,name,time_of_start,Obs.,,\n1,a,{T}\n2,b\n3,c,{T},x,y,z\n4,d,{T},,,,,\n5,e,{T},,,,x\n");
    let rows = clean_with(text.as_bytes(), &RowOptions::default());
    let codes: Vec<_> = rows.into_iter().map(Result::err).collect();
    assert_eq!(codes, [None, Some("too_few_fields"), None, None, Some("too_many_fields")]);
}

#[test]
fn a_comma_inside_a_name_never_shifts_columns() {
    assert_eq!(clean(&format!("1,Smith, Jr.,{T}\n"))[0], Err("too_many_fields"));
}

#[test]
fn text_behind_a_closing_quote_is_refused_where_it_would_be_stored() {
    let swallowed = clean(&format!("1,\"Bob,{T}\n2,Al,{T}\n3,\"Eve\",{T}\n4,Di,{T}\n"));
    assert_eq!((swallowed.len(), swallowed[0].as_ref().err()), (2, Some(&"quote_misplaced")));
    let code = |row: &str, options: &RowOptions| {
        let text = format!("id,name,time_of_start,x\n{row}\n");
        clean_with(text.as_bytes(), options).remove(0).err()
    };
    let (plain, trim) = (RowOptions::default(), RowOptions { trim: true, ..RowOptions::default() });
    for (row, untrimmed, trimmed) in [
        (format!("1,\"Smith \\\"Jr\\\"\",{T}"), Some("quote_misplaced"), Some("quote_misplaced")),
        (format!("1,a,{T},\"b\"c"), Some("quote_misplaced"), Some("quote_misplaced")),
        (format!("1,\"a\" ,{T}"), Some("quote_misplaced"), None),
        (format!("\"1\"\t,a,{T}"), Some("quote_misplaced"), None),
        (format!("1,a,\"{T}\" ,\"b\" "), None, None),
        (format!("1,\"a \"\"b\"\"\",{T}"), None, None),
        (format!("1,a \"b\" c,{T}"), None, None),
    ] {
        assert_eq!((code(&row, &plain), code(&row, &trim)), (untrimmed, trimmed), "{row}");
    }
}

#[test]
fn invalid_bytes_in_any_field_reject_the_row() {
    let text = [b"id,name,time_of_start,x\n1,\xff,".as_slice(), T.as_bytes(), b",\n2,a,", T.as_bytes(), b",\xff\n"];
    let rows = clean_with(&text.concat(), &RowOptions::default());
    assert_eq!(rows, [Err("undecodable"), Err("undecodable")]);
}

#[test]
fn another_encoding_is_decoded() {
    let mut options = RowOptions::default();
    options.set("encoding", &["windows-1252"]).expect("an option");
    let text = [b"id,name,time_of_start\n1,M\xdcLLER,".as_slice(), T.as_bytes(), b"\n"].concat();
    assert_eq!(clean_with(&text, &options)[0].as_ref().expect("good")[1], "müller");
}

#[test]
fn undecodable_rows_say_what_they_look_like() {
    let sample = b"M\xfcller\nGr\xfc\xdfe aus K\xf6ln\nFran\xe7ois Lef\xe8vre\n";
    assert_eq!(looks_like(sample).as_deref(), Some("windows-1252"));
    assert_eq!(looks_like(b""), None);
}

#[test]
fn times_of_good_rows_are_counted_by_how_they_were_read() {
    let text =
        format!("id,name,time_of_start\n1,a,{T}\n2,b,2020-01-01\n3,c,1577836800\n4,d,01-02-20 00:00:00\n,e,{T}\n");
    let layout = Layout::detect(text.as_bytes(), true, &RowOptions::default()).expect("csv").expect("whole");
    let mut cleaner = Cleaner::new(&layout, &RowOptions::default()).expect("options");
    let mut reader = CsvReader::new(&text.as_bytes()[22..], b',', 22, 2, 1000);
    while let Some(record) = reader.read().expect("csv") {
        let _ = cleaner.clean(&record);
    }
    let times = cleaner.times();
    assert_eq!((times.offset, times.zone, times.epoch), (1, 1, 1));
    assert_eq!(times.formats["%d-%m-%y %H:%M:%S"], 1);
}

#[test]
fn the_originals_marker_row_becomes_a_reject() {
    assert_eq!(clean("7,You Have Completed the Test,\n")[0], Err("time_empty"));
}
