//! Names of what tasks leave in the archive: all in one folder, each with the upload and the claim that it was made
//! for, and a part that no other attempt of the same task has. So whoever sweeps can tell what nobody needs any more.

use uuid::Uuid;

use crate::upload::UploadId;

/// The folder of parts, and of the rejects of chunks.
pub const FOLDER: &str = "parts";
const TEMP: &str = ".part";

/// For the part of the range with this key.
pub fn part(upload: UploadId, fence: u64, key: i32) -> String {
    unique(upload, fence, &format!("range-{key}"), "run")
}

/// For the rejects of a chunk.
pub fn rejects(upload: UploadId, fence: u64, chunk: u32) -> String {
    unique(upload, fence, &format!("chunk-{chunk}"), "rejects")
}

/// For a chunk as it is.
pub fn raw(upload: UploadId, fence: u64, chunk: u32) -> String {
    unique(upload, fence, &format!("chunk-{chunk}"), "raw")
}

fn unique(upload: UploadId, fence: u64, what: &str, kind: &str) -> String {
    format!("{FOLDER}/{upload}.{fence}.{what}.{}.{kind}", Uuid::new_v4().simple())
}

/// The name under which a file is written until it is whole.
pub fn temp(name: &str) -> String {
    format!("{name}{TEMP}")
}

/// The upload and the number of the claim's fence that a file of the folder was made for; `None` when it has no such
/// name.
pub fn made_for(file: &str) -> Option<(UploadId, u64)> {
    let mut words = file.split('.');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_whose_it_is_and_is_nobody_elses() {
        let id = UploadId::new();
        let names = [part(id, 7, 3), part(id, 7, 3), rejects(id, 7, 3), temp(&rejects(id, 7, 3))];
        for (at, name) in names.iter().enumerate() {
            let file = name.strip_prefix("parts/").unwrap();
            assert_eq!(made_for(file), Some((id, 7)), "{name}");
            assert!(!names[at + 1..].contains(name));
        }
        for other in ["users.csv", "", "7.7", &id.to_string()] {
            assert_eq!(made_for(other), None, "{other}");
        }
    }
}
