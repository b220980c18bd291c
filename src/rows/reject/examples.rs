//! The first rejects of each reason, out of a rejects file's beginning. Its rows are cleaned once more: that gives the
//! very reason for which each was refused.

use std::collections::BTreeMap;

use super::super::{Cleaner, Layout, RowOptions, csv::CsvReader, layout::REJECT_NAMES};

/// Longest text of a row that is shown, characters.
const TEXT_MAX: usize = 200;

/// A rejected row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The physical line of the file that was sent.
    pub line: u64,
    /// Why it was refused, as a sentence.
    pub message: String,
    /// The row's own fields, cut.
    pub text: String,
}

/// By field and code of the reason, at most `each`, in the file's order. `head` is the beginning of a rejects file,
/// cut anywhere unless it is the `whole` of it; `options` are the upload's.
pub fn examples(
    head: &[u8],
    whole: bool,
    options: &RowOptions,
    each: usize,
) -> BTreeMap<(&'static str, &'static str), Vec<Example>> {
    let mut found = BTreeMap::<_, Vec<Example>>::new();
    let Ok(Some(layout)) = Layout::detect(head, whole, options) else { return found };
    let Ok(mut cleaner) = Cleaner::new(&layout, options) else { return found };
    let rows = usize::try_from(layout.data_offset).ok().and_then(|at| head.get(at..)).unwrap_or_default();
    let mut reader = CsvReader::new(rows, layout.delimiter, 0, 1, options.max_record_bytes);
    // What is cut off ends as broken, or reaches to the end.
    while let Ok(Some(record)) = reader.read() {
        let Err(reason) = cleaner.clean(&record) else { continue };
        let line = record.field(0).and_then(|line| std::str::from_utf8(line).ok()?.parse().ok());
        let fields = record.iter().skip(REJECT_NAMES.len()).map(|field| options.encoding.decode(field).0);
        let text = fields.collect::<Vec<_>>().join(&char::from(layout.delimiter).to_string());
        let cut = !whole && reader.position().0 == rows.len() as u64;
        let (Some(line), false) = (line, cut) else { continue };
        let examples = found.entry((reason.field, reason.code)).or_default();
        if examples.len() < each {
            examples.push(Example { line, message: reason.message, text: text.chars().take(TEXT_MAX).collect() });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const REJECTS: &[u8] = b"_line;_field;_reason;id;name;time_of_start\r\n2;id;the id is empty;;Ada;2017-03-07\r\n\
        3;time_of_start;why;1;\"B;b\";?\r\n4;time_of_start;why;2;C\xe9;31/13/2024\r\n7;row;why;3\r\n9;id;why;;D;2017\r\n";

    fn found(head: &[u8], whole: bool, each: usize) -> Vec<(&'static str, Vec<u64>)> {
        let mut options = RowOptions::default();
        options.set("encoding", &["windows-1252"]).expect("an option");
        let found = examples(head, whole, &options, each).into_iter();
        found.map(|((_, code), of)| (code, of.iter().map(|example| example.line).collect())).collect()
    }

    #[test]
    fn rows_are_told_by_the_reason_for_which_they_were_refused() {
        let all = [
            ("id_empty", vec![2, 9]),
            ("too_few_fields", vec![7]),
            ("time_impossible", vec![4]),
            ("time_unreadable", vec![3]),
        ];
        assert_eq!(found(REJECTS, true, 5), all);
        assert_eq!(found(REJECTS, true, 1)[0], ("id_empty", vec![2]));
    }

    #[test]
    fn a_row_that_is_cut_off_is_none() {
        let whole = found(REJECTS, true, 5).iter().map(|(_, lines)| lines.len()).sum::<usize>();
        for end in 0..REJECTS.len() {
            let count = found(&REJECTS[..end], false, 5).iter().map(|(_, lines)| lines.len()).sum::<usize>();
            let rows = REJECTS[..end].windows(2).filter(|two| two == b"\r\n").count().saturating_sub(1);
            assert!(count == rows || count + 1 == rows, "{count} of {rows} at {end}");
        }
        assert_eq!(whole, 5);
    }

    #[test]
    fn texts_are_the_rows_own_and_without_a_header_too() {
        let mut options = RowOptions::default();
        options.set("header", &["false"]).expect("an option");
        options.set("columns", &["id=3,name=1,time_of_start=2"]).expect("an option");
        let rejects = b"_line,_field,_reason,name,time_of_start,id\r\n5,id,the id is empty,Ada,2017-03-07,\r\n";
        let found = examples(rejects, true, &options, 3);
        let example = &found[&("id", "id_empty")][0];
        assert_eq!((example.line, example.text.as_str()), (5, "Ada,2017-03-07,"));
        assert_eq!(example.message, "the id is empty");
    }
}
