//! The account of an upload's rows: sums over its ranges, and the receipt.

use crate::{
    error::{Error, Result},
    receipt::Receipt,
    rows::{Existing, RULES, RowOptions},
    store::Part,
    upload::{Cleaned, Counts, State, Stored, TimeCounts, Upload},
    wording::{counted, grouped},
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

/// What a person should see beside the numbers, and what they can do about it. Everything that shows a receipt shows
/// these, and nothing adds to them.
fn remarks(upload: &Upload, cleaned: &Cleaned, counts: &Counts, state: State) -> Vec<String> {
    let (id, options) = (upload.id(), &upload.new.options);
    let keeps = options.existing == Existing::Keep;
    let mut remarks = Vec::new();
    let stored = counts.inserted + counts.replaced;
    if state == State::Cancelled && stored > 0 {
        let rows = counted(stored, "row that was stored until then stays", "rows that were stored until then stay");
        remarks.push(format!("it was cancelled; the {rows}"));
    }
    if upload.stored_before > 0 {
        let rows =
            counted(upload.stored_before, "row that was stored before counts", "rows that were stored before count");
        remarks.push(format!("it was loaded again from the start; the {rows} as already in the table"));
    }
    let others = counts.already_present.saturating_sub(upload.stored_before);
    if keeps && others > 0 {
        let ids = counted(others, "id was in the table already and stays as it was", SEVERAL_STAY);
        remarks.push(format!("{ids}; to have this file's instead: userdata again {id} --existing replace"));
    }
    if counts.conflicting > 0 {
        let line = if keeps { "first" } else { "last" };
        let ids = counted(counts.conflicting, "id comes", "ids come");
        remarks.push(format!("{ids} more than once with different names or times; the {line} line was taken"));
    }
    remarks.extend(other_options(&again(upload), options, cleaned));
    let assumed = assumed(&cleaned.times);
    if assumed > 0 {
        let (times, zone) = (counted(assumed, "time has", "times have"), options.zone);
        remarks.push(format!(
            "{times} no offset and counted as {zone}; if that is not their zone: userdata again {id} --existing replace \
             --zone ZONE"
        ));
    }
    remarks.extend(clock_changes(&cleaned.times));
    remarks
}

/// Times of which only the option told the zone. Formats without an offset are read in it as well.
pub fn assumed(times: &TimeCounts) -> u64 {
    let formats = times.formats.iter().filter(|(format, _)| !has_offset(format)).map(|(_, count)| count);
    times.zone + formats.sum::<u64>()
}

const SEVERAL_STAY: &str = "ids were in the table already and stay as they were";

/// How rows that were rejected could be read after all, and the command that does it: this one, with other flags.
pub fn other_options(command: &str, options: &RowOptions, cleaned: &Cleaned) -> Vec<String> {
    let encoding = other_encoding(command, options, cleaned);
    encoding.into_iter().chain(other_formats(command, options, cleaned)).collect()
}

pub const TOO_MANY_REJECTS: &str = "too_many_rejects";

/// Whether a file whose rows are so may be stored; `Rejected` when not.
pub fn may_be_stored(options: &RowOptions, cleaned: &Cleaned) -> Result<()> {
    let (read, rejected, limit) = (cleaned.read, cleaned.rejected, options.max_rejects);
    if read > 0 && cleaned.good == 0 {
        let text = match read {
            1 => "its only row is a reject; nothing was stored".into(),
            _ => format!("all its {} rows are rejects; nothing was stored", grouped(read)),
        };
        return Err(Error::rejected("no_good_rows", text));
    }
    if limit.allows(rejected, read) {
        return Ok(());
    }
    let (read, rejected) = (grouped(read), grouped(rejected));
    let text =
        format!("{rejected} of {read} rows are rejects, more than max_rejects ({limit}) allows; nothing was stored");
    Err(Error::rejected(TOO_MANY_REJECTS, text))
}

/// The command that loads an upload's bytes once more.
pub fn again(upload: &Upload) -> String {
    format!("userdata again {}", upload.id())
}

/// What a person should see beside the numbers of an upload, whatever became of it; but for what a failure's next step
/// says already.
pub fn remarks_of(upload: &Upload) -> Vec<String> {
    if let Some(receipt) = &upload.receipt {
        return receipt.remarks.clone();
    }
    let next = upload.failure.as_ref().and_then(|failure| failure.next.as_deref()).unwrap_or_default();
    let options = |cleaned| other_options(&again(upload), &upload.new.options, cleaned);
    let found = upload.cleaned.iter().flat_map(options);
    found.filter(|remark| !next.contains(remark)).collect()
}

fn other_encoding(command: &str, options: &RowOptions, cleaned: &Cleaned) -> Option<String> {
    let encoding = options.encoding.name();
    let rows = counted(cleaned.undecodable, "row is", "rows are");
    match &cleaned.looks_like {
        _ if cleaned.undecodable == 0 => None,
        Some(label) => {
            Some(format!("{rows} not {encoding}; the file looks like {label}: {command} --encoding {label}"))
        }
        None => Some(format!("{rows} not {encoding}; name the encoding: {command} --encoding LABEL")),
    }
}

/// The command names the formats that hold already, too: they are given all or none.
fn other_formats(command: &str, options: &RowOptions, cleaned: &Cleaned) -> Option<String> {
    let wanted = &cleaned.format_wanted;
    let times = counted(wanted.rows, "time is", "times are");
    let (names, format) = match &*wanted.formats {
        [] => return None,
        [one] => (format!("{one} reads {}", if wanted.rows == 1 { "it" } else { "them all" }), quoted(one)),
        several => (format!("{}, as you know", several.join(" or ")), "FORMAT".into()),
    };
    let before = options.formats.iter().map(|format| quoted(format));
    let flags: String = before.chain([format]).map(|format| format!(" --formats {format}")).collect();
    Some(format!("{times} read only with a format; {names}: {command}{flags}"))
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn clock_changes(times: &TimeCounts) -> Vec<String> {
    let lie = |count| counted(count, "time lies", "times lie");
    let twice = (times.folds > 0)
        .then(|| format!("{} in an hour that came twice; the earlier one was taken", lie(times.folds)));
    let never = (times.gaps > 0)
        .then(|| format!("{} in an hour that the clocks left out; moved on by that hour", lie(times.gaps)));
    twice.into_iter().chain(never).collect()
}

/// Whether a strftime format reads an offset or an instant.
fn has_offset(format: &str) -> bool {
    ["%z", "%:z", "%::z", "%:::z", "%#z", "%+", "%s"].iter().any(|part| format.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{command::table::tests::upload, upload::FormatWanted};

    fn told(cleaned: &Cleaned, counts: &Counts) -> Vec<String> {
        let upload = upload("users.csv", State::Done);
        let id = upload.id().to_string();
        remarks(&upload, cleaned, counts, State::Done).into_iter().map(|text| text.replace(&id, "ID")).collect()
    }

    #[test]
    fn rows_left_as_they_were_are_told_with_a_way_out() {
        let one = Counts { already_present: 1, ..Counts::default() };
        let stays = "1 id was in the table already and stays as it was; to have this file's instead: userdata again ID --existing replace";
        assert_eq!(told(&Cleaned::default(), &one), [stays]);
        let many = Counts { already_present: 8_000, conflicting: 2, ..Counts::default() };
        let told = told(&Cleaned::default(), &many);
        assert!(told[0].starts_with("8,000 ids were in the table already and stay as they were; "), "{told:?}");
        assert_eq!(told[1], "2 ids come more than once with different names or times; the first line was taken");
    }

    #[test]
    fn rows_of_a_load_that_was_started_over_are_told_apart_from_what_others_stored() {
        let upload = Upload { stored_before: 1_200, ..upload("users.csv", State::Done) };
        let told = |already_present| {
            let counts = Counts { already_present, ..Counts::default() };
            remarks(&upload, &Cleaned::default(), &counts, State::Done)
        };
        let before =
            "it was loaded again from the start; the 1,200 rows that were stored before count as already in the table";
        assert_eq!(told(1_200), [before]);
        assert_eq!(told(1_201)[0], before);
        assert!(told(1_201)[1].starts_with("1 id was in the table already"));
    }

    #[test]
    fn times_read_in_an_assumed_zone_are_told_with_a_way_out() {
        let read = |zone, format: &str| {
            let times = TimeCounts { zone, formats: [(format.to_string(), 5)].into(), ..TimeCounts::default() };
            told(&Cleaned { times, ..Cleaned::default() }, &Counts::default())
        };
        let said = "8 times have no offset and counted as UTC; if that is not their zone: userdata again ID --existing \
                    replace --zone ZONE";
        assert_eq!(read(3, "%d-%m-%y"), [said]);
        assert!(read(1, "%d %z")[0].starts_with("1 time has no offset"));
        assert!(read(0, "%d %z").is_empty());
    }

    #[test]
    fn hours_that_came_twice_or_never_are_told() {
        let times = TimeCounts { folds: 1, gaps: 2, ..TimeCounts::default() };
        let told = told(&Cleaned { times, ..Cleaned::default() }, &Counts::default());
        assert_eq!(told[0], "1 time lies in an hour that came twice; the earlier one was taken");
        assert_eq!(told[1], "2 times lie in an hour that the clocks left out; moved on by that hour");
    }

    #[test]
    fn a_file_of_another_encoding_says_what_it_looks_like() {
        let cleaned = Cleaned { undecodable: 1_201, looks_like: Some("windows-1252".into()), ..Cleaned::default() };
        let told = told(&cleaned, &Counts::default());
        assert_eq!(
            told,
            ["1,201 rows are not UTF-8; the file looks like windows-1252: userdata again ID --encoding windows-1252"]
        );
    }

    /// The format that holds where none is set.
    const THE_ORIGINALS: &str = " --formats '%d-%m-%y %H:%M:%S'";

    #[test]
    fn times_that_need_a_format_are_told_with_those_that_read_them_all() {
        let told = |rows, formats: &[&str]| {
            let formats = formats.iter().map(ToString::to_string).collect();
            let cleaned = Cleaned { format_wanted: FormatWanted { rows, formats }, ..Cleaned::default() };
            told(&cleaned, &Counts::default())
                .into_iter()
                .map(|text| text.replace(THE_ORIGINALS, ""))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            told(1_201, &["%d.%m.%Y %H:%M"]),
            ["1,201 times are read only with a format; %d.%m.%Y %H:%M reads them all: \
              userdata again ID --formats '%d.%m.%Y %H:%M'"]
        );
        assert_eq!(
            told(1, &["%d/%m/%Y", "%m/%d/%Y"]),
            [
                "1 time is read only with a format; %d/%m/%Y or %m/%d/%Y, as you know: userdata again ID --formats FORMAT"
            ]
        );
        assert_eq!(told(2, &[]), [""; 0]);
    }

    #[test]
    fn formats_that_hold_already_stay_in_the_command() {
        let mut upload = upload("users.csv", State::Done);
        upload.new.options.formats = vec!["%Y o'clock".into()];
        let format_wanted = FormatWanted { rows: 1, formats: vec!["%d.%m.%Y".into()] };
        let cleaned = Cleaned { format_wanted, ..Cleaned::default() };
        let told = other_options(&again(&upload), &upload.new.options, &cleaned).remove(0);
        assert!(told.ends_with(r"--formats '%Y o'\''clock' --formats '%d.%m.%Y'"), "{told}");
    }
}
