//! `rejects`: an upload's rejected rows as CSV, from the archive. Mended, they may be sent back as they are.

use super::{Exit, output, resolve, save};
use crate::{
    archive::{Archive, name},
    cli::Rejects,
    error::{Error, Result},
    pipeline::process::base_name,
    store::Store,
    upload::Upload,
};

pub async fn run(store: &dyn Store, archive: &dyn Archive, args: &Rejects) -> Result<Exit> {
    let upload = resolve::upload(store, &args.upload).await?;
    let Some(file) = place(&upload)? else {
        output::message(format_args!("upload {} has no rejected rows", upload.id()));
        return Ok(Exit::Done);
    };
    let mut content = archive.open(&file, 0).await?;
    save::content(&args.output, "the rejects", &mut content, |_| Ok(())).await?;
    Ok(Exit::Done)
}

/// The rejects' name in the archive; `None` when the file has none.
fn place(upload: &Upload) -> Result<Option<String>> {
    let id = upload.id();
    match &upload.cleaned {
        Some(cleaned) => Ok((cleaned.rejected > 0).then(|| name::beside(&base_name(upload), name::REJECTS))),
        None if upload.state.is_open() => {
            Err(Error::stopped(format!("upload {id} was not read to its end yet: it is {}", upload.state))
                .next(format!("follow it: userdata status {id} --watch")))
        }
        None => Err(Error::rejected(
            "not_cleaned",
            format!("upload {id} has no rejects: it is {}, and was not read to its end", upload.state),
        )
        .next(format!("why: userdata status {id}"))),
    }
}
