//! What became of an upload, in sentences: the result, what a person should look at, and what they can do about it.

use super::output::{self, counted, grouped, printable};
use crate::{
    error::Result,
    pipeline::process::remarks_of,
    upload::{Cleaned, State, Upload},
};

/// At most this many reasons are listed; the rest is in the rejects file.
const REASONS: usize = 10;

/// Tells the result on standard output, and the rest beside it. `name` where there are several.
pub fn tell(upload: &Upload, name: Option<&str>) -> Result<()> {
    let sentence = sentence(upload);
    output::line(name.map_or_else(|| sentence.clone(), |name| format!("{}: {sentence}", printable(name))))?;
    for detail in details(upload) {
        output::message(detail);
    }
    Ok(())
}

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
                "Finished. {} new, {replaced}{}, {} rejected.",
                grouped(counts.inserted),
                counted(counts.duplicates, "duplicate", "duplicates"),
                grouped(counts.rejected)
            )
        }
        State::Failed => {
            let why = upload.failure.as_ref().map_or("no reason was noted", |failure| &failure.message);
            format!("Failed: {}", printable(why))
        }
        State::Cancelled => {
            let stored = counts.inserted + counts.replaced;
            format!("Cancelled. {} stored before.", counted(stored, "row was", "rows were"))
        }
        open => format!("Not finished: it is {open}."),
    }
}

/// Reasons, remarks and what can be done, a line each.
pub fn details(upload: &Upload) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(cleaned) = upload.cleaned.as_ref().filter(|cleaned| cleaned.rejected > 0) {
        lines.extend(reasons(cleaned));
        // The failure's own next step names them, too.
        if upload.state != State::Failed {
            lines.push(format!("rejected rows: userdata rejects {} -o rejects.csv", upload.id()));
        }
    }
    lines.extend(remarks_of(upload).iter().map(|remark| printable(remark)));
    if upload.state == State::Failed
        && let Some(next) = upload.failure.as_ref().and_then(|failure| failure.next.as_deref())
    {
        lines.push(format!("next: {}", printable(next)));
    }
    lines
}

/// Why rows were rejected, a line each.
pub fn reasons(cleaned: &Cleaned) -> Vec<String> {
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
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::table::tests::upload,
        upload::{Counts, Failure, ReasonCount},
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
    fn a_file_refused_for_its_encoding_says_what_it_looks_like_once() {
        let mut upload = upload("users.csv", State::Failed);
        let looks_like = Some("windows-1252".into());
        upload.cleaned = Some(Cleaned { undecodable: 1_201, looks_like, ..Cleaned::default() });
        let said = details(&upload).join("\n");
        assert!(
            said.starts_with("1,201 rows are not UTF-8; the file looks like windows-1252: userdata again"),
            "{said}"
        );
        let next = Some(format!("{said}; or mend the rejected rows"));
        upload.failure = Some(Failure { code: "no_good_rows".into(), message: "all are rejects".into(), next });
        assert_eq!(details(&upload), [format!("next: {said}; or mend the rejected rows")]);
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
