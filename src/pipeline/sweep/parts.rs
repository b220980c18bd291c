//! Parts that nobody needs: what tasks of a cluster left in the archive that was interrupted, repeated or not accepted,
//! and whatever belongs to an upload that has ended.

use std::collections::{BTreeMap, HashSet};

use tracing::info;

use crate::{
    error::Result,
    pipeline::Pipeline,
    spark::name,
    upload::{State, Upload, UploadId},
};

/// Removes them. Files of uploads that this ledger does not know are another's and stay.
pub async fn remove_unwanted(pipeline: &Pipeline) -> Result<()> {
    let mut found = BTreeMap::<UploadId, Vec<(u64, String)>>::new();
    for file in pipeline.archive.list(name::FOLDER).await? {
        if let Some((id, fence)) = name::made_for(&file) {
            found.entry(id).or_default().push((fence, format!("{}/{file}", name::FOLDER)));
        }
    }
    // Asked after the listing: what is accepted meanwhile is named by then.
    let ids: Vec<_> = found.keys().copied().collect();
    for upload in pipeline.store.uploads_of(&ids).await? {
        let named = named(pipeline, &upload).await?;
        let files = found.remove(&upload.id()).unwrap_or_default();
        let unwanted = files.into_iter().filter(|(fence, file)| !is_wanted(&upload, &named, *fence, file));
        for (_, file) in unwanted {
            if pipeline.archive.remove(&file).await? {
                info!(upload = %upload.id(), file, "removed from the archive: nothing needs it any more");
            }
        }
    }
    Ok(())
}

/// The parts of its ranges.
async fn named(pipeline: &Pipeline, upload: &Upload) -> Result<HashSet<String>> {
    let parts = if upload.state == State::Loading { pipeline.store.parts(upload.id()).await? } else { Vec::new() };
    Ok(parts.into_iter().filter_map(|part| Some(part.file?.file.name)).collect())
}

/// Of an open upload: before its load what the present claim makes, from then on what its ranges name.
fn is_wanted(upload: &Upload, named: &HashSet<String>, fence: u64, file: &str) -> bool {
    match upload.state {
        State::Loading => named.contains(file),
        state => state.is_open() && upload.owner.is_some() && fence == upload.fence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::table::tests::upload;

    #[test]
    fn only_what_the_present_claim_makes_or_the_ranges_name_is_kept() {
        let named = HashSet::from(["parts/a".to_owned()]);
        let kept = |state, owner: Option<&str>, file: &str| {
            let owner = owner.map(Into::into);
            let upload = Upload { owner, fence: 3, ..upload("users.csv", state) };
            [2, 3, 4].map(|fence| is_wanted(&upload, &named, fence, file))
        };
        assert_eq!(kept(State::Archived, Some("a:1"), "parts/x"), [false, true, false]);
        assert_eq!(kept(State::Archived, None, "parts/x"), [false; 3]);
        assert_eq!(kept(State::Loading, Some("a:1"), "parts/x"), [false; 3]);
        assert_eq!(kept(State::Loading, None, "parts/a"), [true; 3]);
        for ended in [State::Done, State::Failed, State::Cancelled] {
            assert_eq!(kept(ended, None, "parts/a"), [false; 3]);
        }
    }
}
