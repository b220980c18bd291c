//! Every rule of finding columns and delimiter, by name.

use super::*;

fn detect(text: &str) -> Result<Layout, LayoutError> {
    detect_with(text, &RowOptions::default())
}

fn detect_with(text: &str, options: &RowOptions) -> Result<Layout, LayoutError> {
    Layout::detect(text.as_bytes(), true, options).map(|layout| layout.expect("complete"))
}

fn with(name: &str, value: &str) -> RowOptions {
    let mut options = RowOptions::default();
    options.set(name, &[value]).expect("an option");
    options
}

#[test]
fn the_original_systems_header_is_found() {
    let layout = detect("Id,name,time_of_start,Obs.,,\n1,a,07-03-17 12:30:54,ok\n").expect("csv");
    assert_eq!((layout.columns, layout.fields, layout.data_line), ([0, 1, 2], 6, 2));
    assert_eq!(layout.data_offset, 29);
}

#[test]
fn case_blanks_hyphens_and_underscores_of_column_names_do_not_matter() {
    let layout = detect("Time of-Start , NAME, I_D\n").expect("csv");
    assert_eq!(layout.columns, [2, 1, 0]);
}

#[test]
fn a_bom_is_stripped_and_the_header_may_be_quoted() {
    let layout = detect("\u{feff}\"id\",\"name\",\"time_of_start\"\r\nx").expect("csv");
    assert_eq!((layout.columns, layout.data_offset), ([0, 1, 2], 3 + 29));
}

#[test]
fn the_mark_of_utf_8_in_a_file_of_another_encoding_is_refused() {
    let error = detect_with("\u{feff}id,name,time_of_start\n", &with("encoding", "windows-1252")).expect_err("two");
    assert_eq!((error.code, error.next.as_str()), ("option_contradicted", "set encoding utf-8"));
    assert_eq!(error.message, "the file begins with the mark of UTF-8, but encoding is windows-1252");
}

#[test]
fn a_first_line_for_other_programs_is_skipped_and_lines_stay_those_of_the_file() {
    for lead in ["sep=;\n", "SEP=;\r\n", "\"sep=;\"\r", "\u{feff}sep=;\r\n\n", "#TYPE System.Data.DataRow\r\n"] {
        let layout = detect(&format!("{lead}id;name;time_of_start\n1;a;2020-01-01\n")).expect(lead);
        let (offset, line) = (lead.len() as u64 + 22, lead.lines().count() as u64 + 2);
        assert_eq!((layout.delimiter, layout.data_offset, layout.data_line), (b';', offset, line), "{lead:?}");
    }
}

#[test]
fn what_the_first_line_says_of_the_delimiter_holds() {
    let rows = "1;2|a;b|2020-01-01;x\n";
    let mut options = with("header", "false");
    let layout = detect_with(&format!("sep=|\n{rows}"), &options).expect("csv");
    assert_eq!((layout.delimiter, layout.fields, layout.data_offset, layout.data_line), (b'|', 3, 6, 2));
    let error = detect_with(&format!("sep=^\n{rows}"), &options).expect_err("never tried");
    assert_eq!(error.message, "the first line says that the delimiter is ^, but what is tried is , ; \\t |");
    options.set("delimiter", &[";"]).expect("an option");
    assert_eq!(detect_with(&format!("sep=;\n{rows}"), &options).expect("csv").data_line, 2);
    let error = detect_with(&format!("sep=|\n{rows}"), &options).expect_err("another one is set");
    assert_eq!((error.code, error.next.as_str()), ("option_contradicted", "set delimiter |, or delete the first line"));
}

#[test]
fn a_first_line_that_only_looks_like_one_for_other_programs_is_a_header() {
    assert_eq!(detect("sep=,id,name,time_of_start\n").expect("csv").columns, [1, 2, 3]);
    assert_eq!(detect("#TYPE id,id,name,time_of_start\n").expect("csv").columns, [1, 2, 3]);
    assert_eq!(detect("sep=;").expect_err("nothing else").code, "empty_file");
}

#[test]
fn the_delimiter_is_the_first_with_which_all_three_columns_are_found() {
    for delimiter in DELIMITERS {
        let sign = char::from(delimiter);
        let layout = detect(&format!("id{sign}name{sign}time_of_start\n")).expect("csv");
        assert_eq!(layout.delimiter, delimiter);
    }
}

#[test]
fn a_column_that_cannot_be_found_lists_those_that_were() {
    let error = detect("Id;Name;Started\n1;a;b\n").expect_err("no time");
    assert_eq!(error.code, "column_not_found");
    assert_eq!(error.to_string(), "there is no column \"time_of_start\"; the header has: Id, Name, Started");
    assert!(error.next.contains("columns time_of_start=COLUMN"), "{}", error.next);
}

#[test]
fn columns_may_be_mapped() {
    let layout = detect_with("Kunde,Beginn,Name\n", &with("columns", "id=kunde,time_of_start=Beginn")).expect("csv");
    assert_eq!(layout.columns, [0, 2, 1]);
}

#[test]
fn a_name_that_comes_twice_is_refused() {
    assert_eq!(detect("id,name,Name,time_of_start\n").expect_err("twice").code, "column_ambiguous");
}

#[test]
fn without_a_header_columns_are_found_by_position() {
    let layout = detect_with("1;a;2020-01-01\n", &with("header", "false")).expect("csv");
    assert_eq!((layout.delimiter, layout.columns, layout.data_offset, layout.data_line), (b';', [0, 1, 2], 0, 1));
    let error = detect_with("1 a\n", &with("header", "false")).expect_err("one field");
    assert_eq!(error.to_string(), "the first line has 1 field, but column 3 is wanted");
}

#[test]
fn an_empty_file_is_refused_and_a_header_alone_is_not() {
    assert_eq!(detect("").expect_err("empty").code, "empty_file");
    assert_eq!(detect("\n\r\n").expect_err("blank").code, "empty_file");
    assert!(detect("id,name,time_of_start").is_ok());
}

#[test]
fn a_first_record_that_is_not_whole_yet_is_waited_for() {
    let options = RowOptions::default();
    assert_eq!(Layout::detect(b"id,na", false, &options), Ok(None));
    assert_eq!(Layout::detect(b"id,\"na\n", false, &options), Ok(None));
    assert_eq!(Layout::detect(b"\n\n", false, &options), Ok(None));
    assert!(Layout::detect(b"id,name,time_of_start\n", false, &options).expect("csv").is_some());
}

#[test]
fn a_first_record_beyond_the_limit_is_refused_though_more_may_come() {
    let options = with("max_record_bytes", "1000");
    let text = format!("id,\"{}\n", "x".repeat(2000));
    assert_eq!(Layout::detect(text.as_bytes(), false, &options).expect_err("long").code, "csv_broken");
}

#[test]
fn blank_lines_without_end_are_not_waited_for() {
    let options = with("max_record_bytes", "1000");
    let blank = "\n".repeat(1001);
    assert_eq!(Layout::detect(blank.as_bytes(), false, &options).expect_err("blank").code, "empty_file");
}

#[test]
fn whether_a_head_is_enough_does_not_change_what_is_found() {
    let options = RowOptions::default();
    for lead in ["\u{feff}", "sep=;\r\n", "#TYPE System.Data.DataRow\r\n"] {
        let text = format!("{lead}Id;\"no\nte\";NAME;Time_of_start\r\n1;2;3;4\r\n");
        let whole = detect(&text).expect("csv");
        for end in 0..text.len() {
            if let Some(layout) = Layout::detect(&text.as_bytes()[..end], false, &options).expect("no error") {
                assert_eq!(layout, whole, "{lead:?} {end}");
            }
        }
    }
}

#[test]
fn a_delimiter_with_which_a_quote_never_closes_is_passed_over() {
    let layout = detect("a,\"b;id;name;time_of_start\n1;2;3;4\n").expect("csv");
    assert_eq!((layout.delimiter, layout.columns), (b';', [1, 2, 3]));
}

#[test]
fn a_bar_that_is_part_of_characters_is_no_delimiter() {
    let mut options = with("encoding", "shift_jis");
    assert_eq!(delimiters(&options), [b',', b';', b'\t']);
    options.set("encoding", &["utf-8"]).expect("an option");
    assert_eq!(delimiters(&options), DELIMITERS);
}

#[test]
fn one_column_for_two_fields_is_refused() {
    let error = detect_with("My Id,time_of_start\n", &with("columns", "id=my-id,name=My_Id")).expect_err("one");
    assert_eq!(error.code, "column_ambiguous");
}

#[test]
fn a_message_shows_names_cut_and_without_control_characters() {
    let error = detect(&format!("{{\u{1b}[31m{},Größe\n", "x".repeat(1000))).expect_err("no csv");
    assert!(error.message.contains("{\\u{1b}[31mxxx") && error.message.ends_with("x…, Größe"), "{error}");
    assert!(detect(&",".repeat(1000)).expect_err("no csv").message.len() < 500);
}

#[test]
fn what_rejects_have_in_front_is_never_taken_for_the_files_own_columns() {
    let options = with("columns", "id=line,name=field,time_of_start=reason");
    let layout = detect_with("_line,_field,_reason,Line,Field,Reason\n", &options).expect("csv");
    assert_eq!(layout.columns, [3, 4, 5]);
}

#[test]
fn rejects_have_a_header_also_where_files_have_none() {
    let mut options = with("header", "false");
    options.set("columns", &["id=2,name=1,time_of_start=3"]).expect("an option");
    let layout = detect_with("_line;_field;_reason;name;id;time_of_start\r\n2;id;why;a;;x\r\n", &options).expect("csv");
    assert_eq!((layout.columns, layout.data_line, layout.names.len()), ([4, 3, 5], 2, 6));
    assert_eq!(detect_with("b;2;2020-01-01\n", &options).expect("csv").columns, [1, 0, 2]);
}

#[test]
fn a_set_delimiter_is_the_only_one_tried() {
    let options = RowOptions { delimiter: Some(Delimiter(b';')), ..RowOptions::default() };
    assert!(detect_with("id,name,time_of_start\n", &options).is_err());
}
