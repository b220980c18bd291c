//! Whether this program can work with the ledger's version: its own, or one newer.

use super::{schema::VERSION, value::Columns};
use crate::{
    error::{Error, Result, Service},
    store::{LEDGER_VERSION, session::Database},
};

pub(super) async fn check(db: &dyn Database) -> Result<()> {
    let rows = db.read("select max(version) from userdata_schema", &[]).await?;
    let version = match rows.into_iter().next() {
        Some(row) => Columns::of(row).maybe_int()?,
        None => None,
    };
    judge(&db.name(), version)
}

fn judge(database: &str, version: Option<i64>) -> Result<()> {
    let difference = match version {
        Some(version) => version - VERSION,
        None => {
            let doing = format!("looking for the ledger in {database}: its tables are not there");
            return Err(Error::unavailable(Service::Store, doing).next("run: userdata db init"));
        }
    };
    let refusal = |next: &str| {
        let found = VERSION + difference;
        let doing = format!("the ledger in {database} has version {found}, this program works with {VERSION}");
        Err(Error::fatal(LEDGER_VERSION, doing).next(next))
    };
    match difference {
        0 => Ok(()),
        1 => {
            let found = VERSION + 1;
            tracing::warn!(database, found, "the ledger is one version newer than this program: update it soon");
            Ok(())
        }
        ..0 => refusal("run with the program that is installed now: userdata db init"),
        _ => refusal("install the userdata that the other machines run, then start this one again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn its_own_version_and_one_newer_are_worked_with() {
        assert!(judge("x", Some(VERSION)).is_ok());
        assert!(judge("x", Some(VERSION + 1)).is_ok());
    }

    #[test]
    fn an_older_ledger_and_one_two_versions_newer_are_refused_with_what_to_run() {
        for version in [VERSION - 1, VERSION + 2, VERSION + 7] {
            let error = judge("x", Some(version)).expect_err("refused");
            assert_eq!((error.kind, error.code), (Kind::Fatal, "ledger_version"));
            assert!(error.doing.contains(&format!("version {version}")), "{error}");
            assert!(error.next.is_some());
        }
    }

    #[test]
    fn a_database_without_tables_is_waited_for() {
        let error = judge("x", None).expect_err("refused");
        assert_eq!((error.kind, error.service), (Kind::Transient, Some(Service::Store)));
        assert_eq!(error.next.as_deref(), Some("run: userdata db init"));
    }
}
