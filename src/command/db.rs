//! `db init`: makes the database's tables, or says what is there; or prints the SQL for somebody else to run.

use super::{Exit, output};
use crate::{cli::DbInit, error::Result, store::Store};

pub async fn init(store: &dyn Store, args: &DbInit) -> Result<Exit> {
    if args.print {
        output::data(store.schema())?;
        return Ok(Exit::Done);
    }
    for did in store.init(args.migrate).await? {
        output::line(did)?;
    }
    Ok(Exit::Done)
}
