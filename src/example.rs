//! The example file: every kind of row, with what becomes of it. `userdata example` writes it, the page links to it.

/// A CSV file that loads without any setting.
pub const CSV: &[u8] = include_bytes!("example.csv");

/// The name under which it is offered.
pub const NAME: &str = "users-example.csv";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rows::{Cleaner, Layout, RowOptions, csv::CsvReader};

    /// What the row's note says must come true.
    #[test]
    fn every_line_of_the_example_becomes_what_its_note_says() {
        let options = RowOptions::default();
        let layout = Layout::detect(CSV, true, &options).expect("csv").expect("whole");
        let mut cleaner = Cleaner::new(&layout, &options).expect("options");
        let mut reader = CsvReader::new(CSV, layout.delimiter, 0, 1, options.max_record_bytes);
        reader.read().expect("the header");
        let (mut ids, mut rejects, mut duplicates, mut times) = (BTreeSet::new(), Vec::new(), Vec::new(), Vec::new());
        while let Some(record) = reader.read().expect("csv") {
            let note = record.field(record.len() - 1).unwrap_or_default();
            let said = |word: &[u8]| note.starts_with(word);
            match cleaner.clean(&record) {
                Ok(user) if ids.contains(user.id) => {
                    assert!(said(b"duplicate: "), "line {}", record.line);
                    duplicates.push(record.line);
                }
                Ok(user) => {
                    // A short row has no note, and is good all the same.
                    assert!(said(b"good: ") || record.len() == 3, "line {}", record.line);
                    ids.insert(user.id.to_owned());
                    times.push((record.line, user.time_of_start.to_owned()));
                }
                Err(reason) => {
                    assert!(said(b"reject: ") || record.len() < 3, "line {}: {}", record.line, reason.message);
                    rejects.push((record.line, reason.code));
                }
            }
        }
        let expected = [
            (2, "2017-03-07T12:30:54.000Z"),
            (3, "2017-03-07T11:30:54.000Z"),
            (4, "2017-03-07T12:30:54.250Z"),
            (5, "2017-03-07T00:00:00.000Z"),
            (6, "2017-03-07T12:30:54.000Z"),
            (7, "2017-03-07T12:30:54.250Z"),
            (8, "2017-03-07T12:30:54.000Z"),
            (9, "2017-03-07T11:30:54.000Z"),
            (10, "2017-03-07T11:30:54.000Z"),
            (12, "2017-03-07T11:30:54.000Z"),
            (13, "2017-03-07T11:30:54.000Z"),
            (15, "2017-03-07T11:30:54.000Z"),
        ];
        assert_eq!(times, expected.map(|(line, time)| (line, time.to_owned())));
        assert_eq!(duplicates, [14]);
        let expected = [
            (16, "id_empty"),
            (17, "time_ambiguous"),
            (18, "time_impossible"),
            (19, "time_leap_second"),
            (20, "time_ambiguous"),
            (21, "time_unreadable"),
            (22, "too_many_fields"),
            (23, "too_few_fields"),
        ];
        assert_eq!(rejects, expected);
    }
}
