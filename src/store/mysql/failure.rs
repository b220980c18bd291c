//! What MySQL's and MariaDB's errors mean: which of them an upload waits for, and what the reader can do about each.
//! The server's words go along as the source, except where they would repeat a row's values.

use std::io;

use mysql_async::{DriverError, Error as Driver, IoError, ServerError};
use thiserror::Error;

use crate::{
    error::{Error, Service},
    store::session::DUPLICATE_KEY,
};

/// What the server refused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Login,
    Privilege,
    Database,
    Table,
    /// Transport, account rules.
    Account,
    ReadOnly,
    Busy,
    Full,
    /// It goes down, or the connection was ended.
    Gone,
    /// A lock was not to be had in time, a deadlock was broken, or the server asks to try again for another reason.
    Locked,
    DuplicateKey,
    Other,
}

/// The statement was killed, the connection is not.
const INTERRUPTED: u16 = 1317;

/// Error numbers of the MySQL and MariaDB reference manuals, "Server Error Message Reference".
fn refusal(error: &ServerError) -> Refusal {
    match error.code {
        1045 | 1698 | 1130 | 1129 => Refusal::Login,
        1044 | 1142 | 1143 | 1227 | 1370 => Refusal::Privilege,
        1049 => Refusal::Database,
        1146 => Refusal::Table,
        1820 | 1862 | 3118 | 3159 | 4151 => Refusal::Account,
        1290 | 1792 | 1836 => Refusal::ReadOnly,
        1040 | 1203 | 1226 => Refusal::Busy,
        3 | 28 | 1021 | 1026 | 1037 | 1041 | 1114 | 1180 => Refusal::Full,
        INTERRUPTED => Refusal::Gone,
        1053 | 1077 | 1079 | 1080 | 1152 | 1158..=1161 | 1184 | 1927 | 2006 | 2013 | 3032 | 3169 | 4031 => {
            Refusal::Gone
        }
        1030 if error.message.contains("error 28") => Refusal::Full,
        // Galera's "not ready" shares its number with "unknown command".
        1047 if error.state == "08S01" => Refusal::Gone,
        1020 | 1205 | 1206 | 1213 | 1412 | 3101 => Refusal::Locked,
        1062 => Refusal::DuplicateKey,
        _ => Refusal::Other,
    }
}

const CERTIFICATE: &str = "the server's certificate must name its host as [store.mysql] host does, and come from a \
                           known authority or one in [store.mysql] tls_ca_file";

fn next(refusal: Refusal) -> Option<&'static str> {
    Some(match refusal {
        Refusal::Login => "check user and password in [store.mysql], and that the account may come from this host",
        Refusal::Privilege => {
            "grant the account SELECT, INSERT, UPDATE and DELETE on its database; what is missing in it a DBA can \
             create from: userdata db init --print"
        }
        Refusal::Database | Refusal::Table => "run: userdata db init",
        Refusal::Account => "the server's words say what the account needs: unlock it, renew its password or use TLS",
        Refusal::ReadOnly => "point [store.mysql] host at the server that takes writes",
        Refusal::Busy => "raise the server's connection limit or lower [store.mysql] connections",
        Refusal::Full => "make room on the server's disk",
        _ => return None,
    })
}

/// The error for `doing` ("reading the ledger") on `place` ("MySQL at 10.0.0.6:3306"), outside of rows.
pub fn explain(error: Driver, doing: &str, place: &str) -> Error {
    let doing = format!("{doing} on {place}");
    match error {
        Driver::Server(words) => refused(&words, doing, words.clone()),
        Driver::Io(IoError::Io(error)) => Error::unavailable(Service::Store, doing).because(error),
        Driver::Io(error) => Error::unavailable(Service::Store, doing).because(error),
        Driver::Driver(error @ DriverError::ConnectionClosed) => {
            Error::unavailable(Service::Store, doing).because(error)
        }
        Driver::Driver(error) => Error::fatal("store_failed", doing).because(error),
        error => Error::fatal("store_failed", doing).because(error),
    }
}

/// The same for a statement that carries users: MySQL quotes values in its words, and those must not reach a log.
pub fn explain_users(error: Driver, doing: &str, place: &str) -> Error {
    match error {
        Driver::Server(words) if matches!(refusal(&words), Refusal::Other | Refusal::DuplicateKey) => {
            let unsaid = Unsaid { code: words.code, state: words.state };
            Error::fatal("store_failed", format!("{doing} on {place}")).because(unsaid)
        }
        error => explain(error, doing, place),
    }
}

/// The error for a connection that could not be made: whatever it is, it is waited for.
pub fn explain_connecting(error: Driver, place: &str) -> Error {
    let doing = format!("connecting to {place}");
    match error {
        Driver::Server(words) => {
            let error = refused(&words, doing.clone(), words.clone());
            let next = error.next;
            Error { next, ..Error::unavailable(Service::Store, doing).because(words) }
        }
        // What rustls refuses in a handshake comes as an error of the stream.
        Driver::Io(IoError::Io(error)) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
            Error::unavailable(Service::Store, doing).because(error).next(CERTIFICATE)
        }
        Driver::Io(IoError::Io(error)) => Error::unavailable(Service::Store, doing).because(error),
        Driver::Io(IoError::Tls(error)) => Error::unavailable(Service::Store, doing).because(error).next(CERTIFICATE),
        Driver::Driver(error @ DriverError::NoClientSslFlagFromServer) => Error::unavailable(Service::Store, doing)
            .because(error)
            .next("the server offers no TLS: give it a certificate, or set [store.mysql] tls = \"off\""),
        error => Error::unavailable(Service::Store, doing).because(error),
    }
}

fn refused(words: &ServerError, doing: String, source: ServerError) -> Error {
    let refusal = refusal(words);
    let error = match refusal {
        Refusal::Other => Error::fatal("store_failed", doing),
        Refusal::DuplicateKey => Error::fatal(DUPLICATE_KEY, doing),
        _ => Error::unavailable(Service::Store, doing),
    };
    Error { next: next(refusal).map(Into::into), ..error }.because(source)
}

/// Whether the connection is gone, rather than the statement refused.
pub fn is_gone(error: &Driver) -> bool {
    match error {
        Driver::Io(_) | Driver::Driver(DriverError::ConnectionClosed) => true,
        Driver::Server(words) => refusal(words) == Refusal::Gone,
        _ => false,
    }
}

/// Whether the connection is to be given up although the server answered: it goes down or has become read-only, and its
/// name may lead to another one already.
pub fn is_to_leave(error: &ServerError) -> bool {
    matches!(refusal(error), Refusal::Gone | Refusal::ReadOnly) && error.code != INTERRUPTED
}

/// Whether the server refused this very statement, and not because something is the matter with the service.
pub fn is_refused_statement(error: &Driver) -> bool {
    matches!(error, Driver::Server(words) if refusal(words) == Refusal::Other)
}

/// No answer in time, as the driver's error.
pub fn no_answer(limit: std::time::Duration) -> Driver {
    let text = format!("no answer within {} s", limit.as_secs_f32());
    Driver::Io(IoError::Io(io::Error::new(io::ErrorKind::TimedOut, text)))
}

/// A server's error whose words hold values of a row.
#[derive(Debug, Error)]
#[error("ERROR {code} ({state}); the server's words quote a row, so they are not shown")]
struct Unsaid {
    code: u16,
    state: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn server(code: u16, state: &str, message: &str) -> Driver {
        Driver::Server(ServerError { code, state: state.into(), message: message.into() })
    }

    const PLACE: &str = "MySQL at db.example:3306";

    #[test]
    fn what_an_operator_can_put_right_is_waited_for_and_says_how() {
        for (code, words, next) in [
            (1045, "Access denied for user 'u'@'h'", "user and password"),
            (1142, "INSERT command denied", "grant"),
            (1049, "Unknown database 'userdb'", "userdata db init"),
            (1146, "Table 'userdb.userdata_upload' doesn't exist", "userdata db init"),
            (1290, "running with the --read-only option", "takes writes"),
            (1040, "Too many connections", "connection limit"),
            (1114, "The table is full", "make room"),
        ] {
            let error = explain(server(code, "HY000", words), "reading the ledger", PLACE);
            assert_eq!((error.kind, error.service), (Kind::Transient, Some(Service::Store)), "{code}");
            assert!(error.next.as_deref().is_some_and(|text| text.contains(next)), "{code}: {:?}", error.next);
            let text = error.to_string();
            assert!(text.starts_with("reading the ledger on MySQL at db.example:3306: ERROR"), "{text}");
            assert!(text.ends_with(words), "{text}");
        }
    }

    #[test]
    fn what_passes_by_itself_is_waited_for() {
        for code in
            [1020, 1205, 1213, 1317, 1412, 1053, 1927, 2006, 2013, 3032, 3169, 4031, 1290, 1836, 1040, 1203, 1226]
        {
            for explain in [explain, explain_users] {
                let error = explain(server(code, "HY000", ""), "committing", PLACE);
                assert_eq!((error.kind, error.service), (Kind::Transient, Some(Service::Store)), "{code}");
            }
        }
        assert_eq!(explain(no_answer(std::time::Duration::ZERO), "committing", PLACE).kind, Kind::Transient);
    }

    #[test]
    fn a_server_that_goes_down_or_takes_no_writes_is_left() {
        let left = |code| match server(code, "08S01", "") {
            Driver::Server(words) => is_to_leave(&words),
            _ => false,
        };
        assert!([1053, 1290, 1836, 1047, 1927, 3032].into_iter().all(left));
        assert!(![1205, 1213, 1317, 1062, 1040].into_iter().any(left));
    }

    #[test]
    fn an_existing_key_has_its_own_code() {
        let error = explain(server(1062, "23000", "Duplicate entry"), "writing the ledger", PLACE);
        assert_eq!(error.code, DUPLICATE_KEY);
    }

    #[test]
    fn anything_else_is_fatal_with_the_servers_words() {
        let error = explain(server(1064, "42000", "You have an error in your SQL syntax"), "reading", PLACE);
        assert_eq!(error.kind, Kind::Fatal);
        assert!(error.to_string().contains("SQL syntax"));
    }

    #[test]
    fn words_that_quote_a_row_are_not_repeated() {
        let words = "Incorrect string value: 'secret' for column 'name' at row 1";
        let error = explain_users(server(1366, "HY000", words), "storing users", PLACE);
        assert_eq!(error.kind, Kind::Fatal);
        assert!(error.to_string().contains("1366") && !error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn not_ready_is_told_from_unknown_command() {
        assert!(is_gone(&server(1047, "08S01", "WSREP has not yet prepared node for application use")));
        assert!(is_refused_statement(&server(1047, "42000", "LOAD DATA LOCAL INFILE is not supported")));
    }
}
