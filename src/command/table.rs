//! The list of uploads for people: a line each, as wide as it needs to be.

use super::output::{bytes, grouped, printable, span};
use crate::upload::{State, Upload};

/// Ids made by this program begin with the time of their making: twelve digits and a hyphen, rarely the same twice.
const SHORT: usize = 13;

/// The table's text, with headings.
pub fn uploads(uploads: &[Upload]) -> String {
    let ids: Vec<String> = uploads.iter().map(|upload| upload.id().to_string()).collect();
    let short = short(&ids);
    let mut rows = vec![["UPLOAD", "STATE", "FILE", "SIZE", "ROWS", "AGE", ""].map(String::from)];
    for (upload, id) in uploads.iter().zip(&ids) {
        let read = upload.cleaned.as_ref().map_or(upload.counts.read, |cleaned| cleaned.read);
        rows.push([
            id.get(..short).unwrap_or(id).into(),
            upload.state.name().into(),
            printable(&upload.new.filename),
            bytes(upload.new.size),
            if read > 0 || upload.state == State::Done { grouped(read) } else { "-".into() },
            span(upload.now_ms - upload.new.received_ms),
            note(upload),
        ]);
    }
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).enumerate().map(|(place, (cell, width))| {
            // Numbers stand at the right.
            if (3..=5).contains(&place) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// How much of these ids tells them apart.
fn short(ids: &[String]) -> usize {
    let mut sorted: Vec<&String> = ids.iter().collect();
    sorted.sort();
    let shared =
        |(one, other): (&&String, &&String)| one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let longest = sorted.iter().zip(sorted.iter().skip(1)).map(shared).max();
    longest.map_or(SHORT, |shared| (shared + 1).max(SHORT))
}

/// What it waits for, or why it failed.
fn note(upload: &Upload) -> String {
    let text = match (&upload.waiting, &upload.failure) {
        (Some(waiting), _) if upload.state.is_open() => waiting.message.clone(),
        (_, Some(failure)) if upload.state == State::Failed => failure.message.clone(),
        _ if upload.state == State::Done && upload.counts.rejected > 0 => {
            format!("{} rejected", grouped(upload.counts.rejected))
        }
        _ => String::new(),
    };
    printable(&text)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::{
        error::Service,
        rows::RowOptions,
        upload::{Counts, NewUpload, Place, UploadId, Waiting},
    };

    /// An upload as the ledger gives it, received five minutes ago.
    pub fn upload(filename: &str, state: State) -> Upload {
        let new = NewUpload {
            format: NewUpload::FORMAT,
            id: UploadId::new(),
            filename: filename.into(),
            media_type: "text/csv".into(),
            size: 1_500_000,
            sha256: None,
            sample: None,
            sender: "local".into(),
            started_ms: 0,
            received_ms: 0,
            place: Place::default(),
            options: RowOptions::default(),
            again_of: None,
        };
        Upload {
            seq: 1,
            new,
            state,
            announced_ms: None,
            archive_name: None,
            archived_ms: None,
            finished_ms: None,
            receipt_copied: false,
            attempts: 0,
            owner: None,
            lease_until_ms: None,
            next_try_ms: None,
            now_ms: 300_000,
            fence: 0,
            cancel_asked: false,
            rules: None,
            stored_before: 0,
            cleaned: None,
            counts: Counts::default(),
            progress: None,
            waiting: None,
            failure: None,
            receipt: None,
        }
    }

    #[test]
    fn a_line_tells_what_an_upload_waits_for() {
        let mut waiting = upload("a\n.csv", State::Received);
        let message = "waiting for the archive: 530 Login incorrect".to_string();
        waiting.waiting = Some(Waiting { service: Service::Archive, message, since: 0, next_try: None });
        let text = uploads(&[waiting.clone()]);
        let line = text.lines().nth(1).unwrap();
        assert!(line.starts_with(&waiting.id().to_string()[..SHORT]), "{line}");
        assert!(
            line.ends_with("received  a\u{fffd}.csv  1.5 MB     -   5m  waiting for the archive: 530 Login incorrect"),
            "{line}"
        );
    }

    #[test]
    fn shown_ids_are_long_enough_to_be_typed() {
        let ids = ["0192f0c1-aaaa-7000-8000-00", "0192f0c1-aaaa-7000-9000-00"].map(String::from);
        assert_eq!(short(&ids), "0192f0c1-aaaa-7000-9".len());
        assert_eq!(short(&ids[..1]), SHORT);
    }
}
