//! What a person or a program sees: data on standard output, messages on standard error. A reader that has gone
//! (`userdata status | head`) ends the command quietly.

use std::io::{self, Write};

use crate::error::{Error, Result};

pub use crate::wording::{counted, grouped};

/// Writes data.
pub fn data(bytes: impl AsRef<[u8]>) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes.as_ref()).and_then(|()| out.flush()).map_err(|error| unwritten("standard output", error))
}

/// Writes a line of data.
pub fn line(text: impl std::fmt::Display) -> Result<()> {
    data(format!("{text}\n"))
}

/// The error of a write; code `output_closed` when the reader has gone.
pub fn unwritten(place: &str, error: io::Error) -> Error {
    let closed = error.kind() == io::ErrorKind::BrokenPipe;
    let code = if closed { "output_closed" } else { "output" };
    Error::fatal(code, format!("writing {place}")).because(error)
}

/// Writes a message. Nobody is left to tell when that fails.
pub fn message(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Tells an error and what to do next.
pub fn error(error: &Error) {
    tell(error.to_string(), error);
}

/// As `error`, naming the file that it is about where it does not do so itself.
pub fn error_about(file: &str, error: &Error) {
    let text = error.to_string();
    tell(if text.contains(file) { text } else { format!("{file}: {text}") }, error);
}

fn tell(text: String, error: &Error) {
    if error.code == "output_closed" {
        return;
    }
    message(format_args!("error: {}", printable(&text)));
    if let Some(next) = &error.next {
        message(format_args!("next: {}", printable(next)));
    }
}

/// Text from outside (a file's name, a row's value) without signs that would steer a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() { '\u{fffd}' } else { sign }).collect()
}

/// `1.1 GB`, in units of 1000 as disks and transfers are counted.
pub fn bytes(number: u64) -> String {
    bytesize::ByteSize(number).display().si().to_string()
}

/// `8s`, `5m`, `3h`, `12d`
pub fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `2026-11-24T12:00:00Z`
pub fn time(ms: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(ms);
    time.map_or_else(|| ms.to_string(), |time| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure() {
        let error = unwritten("standard output", io::ErrorKind::BrokenPipe.into());
        assert_eq!(crate::command::Exit::of_error(&error).code(), 0);
        let error = unwritten("standard output", io::ErrorKind::StorageFull.into());
        assert_eq!(crate::command::Exit::of_error(&error).code(), 1);
    }
}
