//! What became of an upload, in sentences: the result, what a person should look at, and what they can do about it.

use super::output::{grouped, printable};
use crate::{
    rows::Existing,
    upload::{State, Upload},
};

/// At most this many reasons are listed; the rest is in the rejects file.
const REASONS: usize = 10;

/// The result in one sentence.
pub fn sentence(upload: &Upload) -> String {
    let counts = &upload.counts;
    match upload.state {
        State::Done if counts.read == 0 => "Finished. The file holds no rows.".into(),
        State::Done => {
            let replaced = match counts.replaced {
                0 => String::new(),
                replaced => format!("{} replaced, ", grouped(replaced)),
            };
            format!(
                "Finished. {} new, {replaced}{} duplicates, {} rejected.",
                grouped(counts.inserted),
                grouped(counts.duplicates),
                grouped(counts.rejected)
            )
        }
        State::Failed => {
            let why = upload.failure.as_ref().map_or("no reason was noted", |failure| &failure.message);
            format!("Failed: {}", printable(why))
        }
        State::Cancelled => {
            format!("Cancelled. {} rows were stored before.", grouped(counts.inserted + counts.replaced))
        }
        open => format!("Not finished: it is {open}."),
    }
}

/// Reasons, remarks and what can be done, a line each.
pub fn details(upload: &Upload) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(reasons(upload));
    lines.extend(remarks(upload));
    if let Some(receipt) = &upload.receipt {
        lines.extend(receipt.remarks.iter().map(|remark| printable(remark)));
    }
    if upload.state == State::Failed
        && let Some(next) = upload.failure.as_ref().and_then(|failure| failure.next.as_deref())
    {
        lines.push(format!("next: {}", printable(next)));
    }
    lines
}

fn reasons(upload: &Upload) -> Vec<String> {
    let Some(cleaned) = upload.cleaned.as_ref().filter(|cleaned| cleaned.rejected > 0) else { return Vec::new() };
    let mut lines: Vec<String> = cleaned
        .reasons
        .iter()
        .take(REASONS)
        .map(|reason| {
            let (field, code) = (&reason.field, reason.code.replace('_', " "));
            let field = if field.is_empty() { String::new() } else { format!("{field}: ") };
            let example = printable(&reason.example);
            format!("  {field}{code} ({}), e.g. line {}: {example}", grouped(reason.count), grouped(reason.first_line))
        })
        .collect();
    if cleaned.reasons.len() > REASONS {
        lines.push(format!("  and {} other reasons", cleaned.reasons.len() - REASONS));
    }
    lines.push(format!("rejected rows: userdata rejects {} -o rejects.csv", upload.id()));
    lines
}

/// What is right as far as the rules go, and may still not be what was meant.
fn remarks(upload: &Upload) -> Vec<String> {
    let (id, options) = (upload.id(), &upload.new.options);
    let mut lines = Vec::new();
    let Some(cleaned) = &upload.cleaned else { return lines };
    if cleaned.undecodable > 0 {
        let encoding = options.encoding.name();
        let count = grouped(cleaned.undecodable);
        lines.push(match &cleaned.looks_like {
            Some(label) => format!(
                "{count} rows are not {encoding}; they look like {label}: userdata again {id} --encoding {label}"
            ),
            None => format!("{count} rows are not {encoding}; name the encoding: userdata again {id} --encoding …"),
        });
    }
    let already = upload.counts.already_present;
    if upload.state == State::Done && options.existing == Existing::Keep && already > 0 {
        lines.push(format!(
            "{} rows were in the table already and stay as they are; to replace them: userdata again {id} --existing \
             replace",
            grouped(already)
        ));
    }
    if upload.counts.conflicting > 0 {
        let wins = if options.existing == Existing::Keep { "first" } else { "last" };
        let count = grouped(upload.counts.conflicting);
        lines.push(format!("{count} ids come with different names or times in this file; the {wins} line counts"));
    }
    // Formats without an offset are read in the zone as well.
    let formats = cleaned.times.formats.iter().filter(|(format, _)| !has_offset(format)).map(|(_, count)| count);
    let assumed = cleaned.times.zone + formats.sum::<u64>();
    if assumed > 0 {
        let zone = options.zone.name();
        lines.push(format!(
            "{} times have no offset and were read in {zone}; if that is not their zone: userdata again {id} \
             --existing replace --zone …",
            grouped(assumed)
        ));
    }
    lines
}

/// Whether a strftime format reads an offset or an instant.
fn has_offset(format: &str) -> bool {
    ["%z", "%:z", "%::z", "%:::z", "%#z", "%+", "%s"].iter().any(|part| format.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::table::tests::upload,
        upload::{Cleaned, Counts, Failure, ReasonCount, TimeCounts},
    };

    fn done() -> Upload {
        let mut upload = upload("users.csv", State::Done);
        upload.counts = Counts { inserted: 47_990_112, duplicates: 8_004, rejected: 1_884, ..Counts::default() };
        upload.counts.read = 48_000_000;
        upload
    }

    #[test]
    fn the_result_is_one_sentence() {
        let mut upload = done();
        assert_eq!(sentence(&upload), "Finished. 47,990,112 new, 8,004 duplicates, 1,884 rejected.");
        upload.counts.replaced = 12;
        assert_eq!(sentence(&upload), "Finished. 47,990,112 new, 12 replaced, 8,004 duplicates, 1,884 rejected.");
        upload.counts = Counts::default();
        assert_eq!(sentence(&upload), "Finished. The file holds no rows.");
    }

    #[test]
    fn reasons_come_with_their_count_and_first_line() {
        let mut upload = done();
        let reason = ReasonCount {
            field: "time_of_start".into(),
            code: "time_unreadable".into(),
            count: 1_201,
            first_line: 88,
            example: "\"31/13/2024\" is not a date".into(),
        };
        upload.cleaned = Some(Cleaned { rejected: 1_201, reasons: vec![reason], ..Cleaned::default() });
        let lines = details(&upload);
        assert_eq!(lines[0], "  time_of_start: time unreadable (1,201), e.g. line 88: \"31/13/2024\" is not a date");
        assert_eq!(lines[1], format!("rejected rows: userdata rejects {} -o rejects.csv", upload.id()));
    }

    #[test]
    fn rows_left_as_they_were_and_assumed_zones_are_told_with_a_way_out() {
        let mut upload = done();
        upload.counts.already_present = 8_000;
        let formats = [("%d-%m-%y".to_string(), 5), ("%d %z".to_string(), 9)].into();
        upload.cleaned =
            Some(Cleaned { times: TimeCounts { zone: 3, formats, ..TimeCounts::default() }, ..Cleaned::default() });
        let text = details(&upload).join("\n");
        assert!(
            text.contains("8,000 rows were in the table already and stay as they are; to replace them: userdata again")
        );
        assert!(text.contains("8 times have no offset and were read in UTC"), "{text}");
    }

    #[test]
    fn a_failure_says_why_and_what_next() {
        let mut upload = upload("users.csv", State::Failed);
        let next = Some("send it with --delimiter".to_string());
        upload.failure = Some(Failure { code: "x".into(), message: "no column id\u{1b}".into(), next });
        assert_eq!(sentence(&upload), "Failed: no column id\u{fffd}");
        assert_eq!(details(&upload), ["next: send it with --delimiter"]);
    }
}
