//! The account of an upload's rows: sums over its ranges, and the receipt.

use crate::{
    receipt::Receipt,
    rows::{Existing, RULES},
    store::Part,
    upload::{Cleaned, Counts, State, Stored, Upload},
};

pub fn sum(parts: &[Part]) -> Stored {
    parts.iter().fold(Stored::default(), |sum, Part { stored, .. }| Stored {
        good: sum.good + stored.good,
        distinct: sum.distinct + stored.distinct,
        conflicting: sum.conflicting + stored.conflicting,
        inserted: sum.inserted + stored.inserted,
        replaced: sum.replaced + stored.replaced,
    })
}

/// The account of an upload that ends, or ended, in `state`.
pub fn receipt(upload: &Upload, cleaned: &Cleaned, counts: Counts, state: State, worker: &str) -> Receipt {
    let new = &upload.new;
    Receipt {
        format: Receipt::FORMAT,
        id: new.id,
        filename: new.filename.clone(),
        size: new.size,
        sha256: new.sha256.clone().or_else(|| Some(cleaned.sha256.clone()).filter(|hash| !hash.is_empty())),
        sender: new.sender.clone(),
        state,
        counts,
        times: cleaned.times.clone(),
        reasons: cleaned.reasons.clone(),
        options: new.options.clone(),
        rules: RULES,
        remarks: remarks(upload, cleaned, &counts, state),
        archive_name: upload.archive_name.clone().or_else(|| new.place.archive.clone()),
        started_ms: new.started_ms,
        received_ms: new.received_ms,
        archived_ms: upload.archived_ms,
        finished_ms: upload.finished_ms.unwrap_or(upload.now_ms),
        worker: worker.into(),
        version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// What a person should see beside the numbers.
fn remarks(upload: &Upload, cleaned: &Cleaned, counts: &Counts, state: State) -> Vec<String> {
    let mut remarks = Vec::new();
    let id = upload.id();
    if state == State::Cancelled && counts.inserted + counts.replaced > 0 {
        let rows = counts.inserted + counts.replaced;
        remarks.push(format!("The upload was cancelled; the {rows} rows that were stored until then stay."));
    }
    if upload.new.options.existing == Existing::Keep && counts.already_present > 0 {
        remarks.push(format!(
            "{} ids were in the table already and stay as they were; to replace them: userdata again {id} --existing replace",
            counts.already_present
        ));
    }
    if counts.conflicting > 0 {
        let line = if upload.new.options.existing == Existing::Keep { "first" } else { "last" };
        remarks.push(format!(
            "{} ids come more than once with different names or times; the {line} line of each was taken.",
            counts.conflicting
        ));
    }
    if let Some(label) = &cleaned.looks_like {
        remarks.push(format!(
            "{} rows are not {}; they look like {label}: userdata again {id} --encoding {label}",
            cleaned.undecodable,
            upload.new.options.encoding.name()
        ));
    }
    if cleaned.times.zone > 0 {
        let zone = upload.new.options.zone;
        remarks.push(format!("{} times had no offset and were read in {zone}.", cleaned.times.zone));
    }
    if cleaned.times.folds + cleaned.times.gaps > 0 {
        remarks.push(format!(
            "{} times lie in an hour that came twice (the earlier instant was taken), {} in one that never was (shifted forward).",
            cleaned.times.folds, cleaned.times.gaps
        ));
    }
    remarks
}
