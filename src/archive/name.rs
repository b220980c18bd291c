//! Names in the archive: where an original goes, what lies beside it, and under which name it is written until it is
//! whole. Pure: whether a name is free is known to the archive and the ledger alone.

use chrono::{DateTime, Utc};

use crate::{
    error::{Error, Result},
    upload::{EpochMs, UploadId},
};

/// What lies beside an original, by the end of its name.
pub const INFO: &str = ".info.json";
pub const REJECTS: &str = ".rejects.csv";
pub const RECEIPT: &str = ".receipt.json";
/// The list of the chunks of an original that is kept in parts.
pub const PARTS: &str = ".parts.json";
const SUFFIXES: [&str; 4] = [INFO, REJECTS, RECEIPT, PARTS];

/// Longest file name that `{filename}` becomes, in bytes.
const FILENAME_MAX_BYTES: usize = 150;
/// Longest part between two `/` that a template may give: with an id and a suffix added it stays below the 255 bytes
/// that file systems take.
const PART_MAX_BYTES: usize = 200;
/// What is longer than this is no extension but a name with a dot in it.
const EXTENSION_MAX_BYTES: usize = 20;
/// How much of the end of a name its temp name repeats.
const TEMP_TAIL_BYTES: usize = 100;

const PLACEHOLDERS: [(&str, usize); 4] = [("yyyy", 4), ("mm", 2), ("id", 36), ("filename", FILENAME_MAX_BYTES)];

/// The name of an original: `template` with year and month of receipt (UTC), the id, and the safe form of the file
/// name. A file that is itself called like what lies beside another original gets its id added where the template has
/// none, so that a corrected `x.csv.rejects.csv` and the rejects of `x.csv` never meet.
pub fn original(template: &str, id: UploadId, received_ms: EpochMs, filename: &str) -> String {
    let received = DateTime::<Utc>::from_timestamp_millis(received_ms).unwrap_or_default();
    let has_id = template.contains("{id}");
    let name = template
        .replace("{yyyy}", &received.format("%Y").to_string())
        .replace("{mm}", &received.format("%m").to_string())
        .replace("{id}", &id.to_string())
        .replace("{filename}", &safe(filename));
    if !has_id && SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) { with_id(&name, id) } else { name }
}

/// The name to use when another upload's file has `name`: the id before the extension.
pub fn with_id(name: &str, id: UploadId) -> String {
    let (folder, file) = split_folder(name);
    let (stem, extension) = split_extension(file);
    format!("{folder}{stem}-{id}{extension}")
}

/// The name of what lies beside an original: `suffix` is one of `INFO`, `REJECTS`, `RECEIPT`.
pub fn beside(name: &str, suffix: &str) -> String {
    format!("{name}{suffix}")
}

/// The folder of the chunks of an original that is kept in parts.
pub fn chunks(name: &str) -> String {
    format!("{name}.chunks")
}

/// The name of one of them.
pub fn chunk(name: &str, number: u32) -> String {
    format!("{}/{number:06}", chunks(name))
}

/// The name under which `name` is written until it is whole: in the same folder, of the claim with this fence number
/// alone. A number that a failover gave twice writes the same bytes to the same place; a successor can name, and so
/// remove, what earlier claims left.
pub fn temp(name: &str, id: UploadId, fence: u64) -> String {
    let (folder, file) = split_folder(name);
    let mut start = file.len().saturating_sub(TEMP_TAIL_BYTES);
    while !file.is_char_boundary(start) {
        start += 1;
    }
    format!("{folder}{id}.{fence}.{}.part", &file[start..])
}

/// Whether `archive.name` is a template that gives every upload a name inside the archive; else the reason, as the
/// end of a sentence about the key.
pub fn check_template(template: &str) -> Result<(), String> {
    if template.is_empty() {
        return Err("is empty: the default is \"{yyyy}/{mm}/{id}/{filename}\"".into());
    }
    if template.starts_with('/') {
        return Err("begins with \"/\": names are relative to the archive".into());
    }
    if !template.contains("{filename}") && !template.contains("{id}") {
        return Err("has neither {filename} nor {id}: all uploads of a month would get the same name".into());
    }
    template.split('/').try_for_each(check_part)
}

fn check_part(part: &str) -> Result<(), String> {
    if matches!(part, "" | "." | "..") {
        return Err(format!("has the folder or file name \"{part}\""));
    }
    let mut longest = 0;
    let mut rest = part;
    while !rest.is_empty() {
        let (literal, placeholder) = rest.split_once('{').map_or((rest, None), |(literal, tail)| (literal, Some(tail)));
        if let Some(other) = literal.chars().find(|&c| !is_safe(c)) {
            return Err(format!(
                "has the character {other:?}: use ASCII letters, digits, \".\", \"_\", \"-\" and \"/\""
            ));
        }
        longest += literal.len();
        let Some(tail) = placeholder else { break };
        let (key, after) = tail.split_once('}').ok_or("has a \"{\" without \"}\"")?;
        let known = PLACEHOLDERS.iter().find(|(known, _)| *known == key);
        longest +=
            known.ok_or_else(|| format!("has {{{key}}}: known are {{yyyy}}, {{mm}}, {{id}} and {{filename}}"))?.1;
        rest = after;
    }
    if longest > PART_MAX_BYTES {
        return Err(format!("gives names of {longest} bytes: at most {PART_MAX_BYTES} between two \"/\""));
    }
    Ok(())
}

/// Refuses what would lead out of the archive or change a command's meaning: names come back from the ledger, which
/// others can write too.
pub(super) fn check(name: &str) -> Result<()> {
    let outside = |part: &str| matches!(part, "" | "." | "..");
    if name.split('/').any(outside) || name.contains(|c: char| c.is_control() || c == '\\') {
        return Err(Error::rejected("archive_name_refused", format!("{name:?} is no name inside the archive")));
    }
    Ok(())
}

/// The folders of a name, outermost first: of `a/b/c.csv` they are `a` and `a/b`.
pub(super) fn folders(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(end, _)| &name[..end]).filter(|folder| !folder.is_empty())
}

/// `folder/` (or nothing) and file.
pub(super) fn split_folder(name: &str) -> (&str, &str) {
    name.split_at(name.rfind('/').map_or(0, |slash| slash + 1))
}

fn is_safe(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// A sender's file name as it may stand in a path.
fn safe(filename: &str) -> String {
    let mut name: String = filename.chars().map(|c| if is_safe(c) { c } else { '_' }).collect();
    let dots = name.len() - name.trim_start_matches('.').len();
    name.replace_range(..dots, &"_".repeat(dots));
    if name.is_empty() {
        return "_".into();
    }
    if name.len() > FILENAME_MAX_BYTES {
        let (stem, extension) = split_extension(&name);
        name = format!("{}{extension}", &stem[..FILENAME_MAX_BYTES - extension.len()]);
    }
    name
}

/// Stem and extension with its dot; `.csv.gz` is one extension.
fn split_extension(file: &str) -> (&str, &str) {
    let dot = |name: &str| name.rfind('.').filter(|&dot| dot > 0);
    let Some(last) = dot(file) else { return (file, "") };
    let packed = file[last..].eq_ignore_ascii_case(".gz");
    let start = if packed { dot(&file[..last]).unwrap_or(last) } else { last };
    let start = [start, last].into_iter().find(|start| file.len() - start <= EXTENSION_MAX_BYTES);
    file.split_at(start.unwrap_or(file.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEFAULT: &str = "{yyyy}/{mm}/{id}/{filename}";

    fn id() -> UploadId {
        "65dd53e8-c5aa-4c9d-9583-6a212196e32f".parse().unwrap()
    }

    #[test]
    fn an_original_lies_under_the_month_of_its_receipt_in_utc() {
        let last_second_of_2026 = 1_798_761_599_999;
        assert_eq!(
            original(DEFAULT, id(), last_second_of_2026, "users.csv"),
            "2026/12/65dd53e8-c5aa-4c9d-9583-6a212196e32f/users.csv"
        );
        assert_eq!(original("{yyyy}-{mm}/{filename}", id(), last_second_of_2026 + 1, "a.csv"), "2027-01/a.csv");
        assert_eq!(original("{filename}", id(), 0, "data_test.csv"), "data_test.csv");
    }

    #[test]
    fn every_other_character_and_leading_dots_become_underscores() {
        let cases = [
            ("Kunden Mär:1.csv", "Kunden_M_r_1.csv"),
            ("../../etc/passwd", "___.._etc_passwd"),
            ("..", "__"),
            (".csv", "_csv"),
            ("a\r\nDELE x.csv", "a__DELE_x.csv"),
            ("a{id}.csv", "a_id_.csv"),
            ("", "_"),
            ("用户.csv", "__.csv"),
        ];
        for (filename, expected) in cases {
            assert_eq!(original("{filename}", id(), 0, filename), expected, "{filename:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let name = original("{filename}", id(), 0, &format!("{}.csv", "a".repeat(300)));
        assert_eq!((name.len(), &name[145..]), (150, "a.csv"));
        let name = original("{filename}", id(), 0, &format!("{}.csv.gz", "a".repeat(300)));
        assert_eq!((name.len(), &name[142..]), (150, "a.csv.gz"));
        let name = original("{filename}", id(), 0, &format!("a.{}", "b".repeat(300)));
        assert_eq!(name.len(), 150);
    }

    #[test]
    fn the_id_goes_before_the_extension() {
        assert_eq!(with_id("2026/11/users.csv", id()), "2026/11/users-65dd53e8-c5aa-4c9d-9583-6a212196e32f.csv");
        assert_eq!(with_id("v1.2/users", id()), "v1.2/users-65dd53e8-c5aa-4c9d-9583-6a212196e32f");
        assert_eq!(with_id("users.csv.gz", id()), "users-65dd53e8-c5aa-4c9d-9583-6a212196e32f.csv.gz");
    }

    #[test]
    fn a_file_called_like_the_rejects_of_another_does_not_take_their_place() {
        for filename in ["x.csv.rejects.csv", "x.csv.info.json", "x.csv.receipt.json"] {
            let name = original("{filename}", id(), 0, filename);
            assert!(name.contains(&id().to_string()), "{name}");
            assert!(!SUFFIXES.iter().any(|suffix| name.ends_with(suffix)), "{name}");
            assert!(original(DEFAULT, id(), 0, filename).ends_with(&format!("/{filename}")));
        }
    }

    #[test]
    fn temp_names_differ_by_upload_fence_and_file_and_lie_in_the_same_folder() {
        let long = format!("2026/11/{}.csv", "a".repeat(180));
        let names = [
            temp(&long, id(), 1),
            temp(&long, id(), 2),
            temp(&long, UploadId::new(), 1),
            temp(&beside(&long, REJECTS), id(), 1),
            temp(&beside(&long, RECEIPT), id(), 1),
        ];
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        for name in &names {
            let (folder, file) = split_folder(name);
            assert_eq!(folder, "2026/11/");
            assert!(file.len() < 255, "{file}");
        }
    }

    #[test]
    fn templates_that_lead_nowhere_are_refused_with_the_reason() {
        for template in [DEFAULT, "{filename}", "users/{id}.csv", "{yyyy}/{id}-{filename}"] {
            assert_eq!(check_template(template), Ok(()), "{template}");
        }
        let cases = [
            ("", "empty"),
            ("/a/{id}", "begins with"),
            ("{yyyy}/{mm}", "neither"),
            ("../{id}", "\"..\""),
            ("a//{id}", "name \"\""),
            ("{id}/", "name \"\""),
            ("{year}/{id}", "{year}"),
            ("{id}/{filename", "without"),
            ("a b/{id}", "' '"),
            ("{filename}}", "'}'"),
            ("{filename}{filename}", "bytes"),
        ];
        for (template, reason) in cases {
            let said = check_template(template).unwrap_err();
            assert!(said.contains(reason), "{template}: {said}");
        }
    }

    #[test]
    fn names_that_lead_out_of_the_archive_are_refused() {
        for name in ["", "/etc/x", "../x", "a/../x", "a//x", "a/", "a\r\nDELE x", "a\\x", "./x"] {
            assert_eq!(check(name).unwrap_err().code, "archive_name_refused", "{name:?}");
        }
        assert!(check("2026/11/x.csv").is_ok());
    }

    proptest! {
        #[test]
        fn whatever_a_file_is_called_its_name_is_inside_the_archive(filename in ".*") {
            let name = original(DEFAULT, id(), 0, &filename);
            prop_assert!(check(&name).is_ok());
            prop_assert_eq!(name.split('/').count(), 4);
            let (_, file) = split_folder(&name);
            prop_assert!(file.len() <= 150 && !file.starts_with('.') && file.chars().all(is_safe));
        }
    }
}
