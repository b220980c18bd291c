//! Why a call to an FTP server failed: its own words where it said any, and what an operator can do about it.

use std::{fmt, io, time::Duration};

use suppaftp::FtpError;

/// Longest reply that is passed on, in characters.
const REPLY_MAX_CHARS: usize = 300;

#[derive(Debug)]
pub(super) enum Failure {
    /// The server said no: "530 Login incorrect".
    Reply {
        code: u16,
        text: String,
    },
    /// The connection could not be made, or broke.
    Connection(io::Error),
    Tls(String),
    /// The server's certificate is not trusted.
    Certificate {
        why: String,
        sha256: String,
    },
    Silence(Duration),
    /// What came is no FTP.
    Garbled(String),
}

impl Failure {
    /// The reply's code; 0 where there was none.
    pub fn code(&self) -> u16 {
        if let Self::Reply { code, .. } = self { *code } else { 0 }
    }

    /// Whether the server does not know or not allow a command, and another way may be tried.
    pub fn is_unsupported(&self) -> bool {
        matches!(self.code(), 500 | 501 | 502 | 503 | 504 | 522)
    }

    /// Whether the control connection can be used on.
    pub fn is_reply(&self) -> bool {
        !matches!(self.code(), 0 | 421)
    }

    fn says(&self, words: &[&str]) -> bool {
        let Self::Reply { text, .. } = self else { return false };
        let text = text.to_ascii_lowercase();
        words.iter().any(|word| text.contains(word))
    }

    /// Whether a folder could not be made because it is there.
    pub fn says_it_exists(&self) -> bool {
        self.says(&["exist"])
    }

    /// What the reader can do about it; `tls`: whether the connection was to be encrypted.
    pub fn next(&self, tls: bool) -> Option<String> {
        let about_tls = self.says(&["tls", "ssl", "encrypt", "cleartext"]);
        let next = match (self, self.code()) {
            (Self::Certificate { sha256, .. }, _) => {
                return Some(format!(
                    "Set archive.ftp.tls_ca_file to the certificate of the authority that signed it, or, if you know \
                     this one to be the server's, archive.ftp.tls_pin_sha256 = \"{sha256}\"."
                ));
            }
            (Self::Connection(error), _) if tls && is_cut(error) => {
                "If every upload ends so, the server may refuse data connections: it may require that TLS sessions \
                 are reused in a way this one was not. Its log says so."
            }
            (Self::Connection(_) | Self::Silence(_), _) => {
                "See whether the server runs, and whether archive.ftp.host and port are its own and no firewall is \
                 between (data connections go to its passive ports)."
            }
            (Self::Tls(_), _) => {
                "See whether the server offers TLS 1.2 or 1.3 by AUTH TLS on this port; if files fail and signing in does \
                 not, its log says what it wants of data connections."
            }
            (Self::Garbled(_), _) => "See whether archive.ftp.port is that of an FTP server.",
            (_, 421 | 530 | 550 | 500..=504 | 534) if !tls && about_tls => {
                "The server wants encryption: set archive.ftp.tls = \"explicit\"."
            }
            (_, 500..=504 | 534) if tls => "The server offers no encryption: let it, or set archive.ftp.tls = \"off\".",
            (_, 530 | 331 | 332) => "Set archive.ftp.user and password to a login of the server.",
            (_, 421) => "The server is closing or has too many connections: this is tried again.",
            (_, 425 | 522) if tls => "The server refused the data connection: see its settings on TLS session reuse.",
            (_, 425 | 426) => "See whether the server's passive ports can be reached from here.",
            (_, 452 | 552) => "make room on the server, or give the login more quota.",
            // What pure-ftpd, vsftpd and proftpd say in mid-transfer when their disk is full.
            (_, 451) => "The server could not write the file: see whether its disk is full, and its log.",
            (_, 532 | 550 | 553) => "Let the login write there, and see whether the folder archive.ftp.path exists.",
            _ => return None,
        };
        Some(next.into())
    }
}

fn is_cut(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}

impl From<FtpError> for Failure {
    fn from(error: FtpError) -> Self {
        match error {
            FtpError::ConnectionError(error) => Self::Connection(error),
            FtpError::SecureError(why) => Self::Tls(why),
            // Not its status: that knows some codes only.
            FtpError::UnexpectedResponse(reply) => said(&reply.body),
            other => Self::Garbled(other.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Connection(error)
    }
}

/// A reply in one line, printable whatever the server sent.
fn said(body: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(body);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text: String = lines.join(" ").chars().filter(|c| !c.is_control()).take(REPLY_MAX_CHARS).collect();
    match text.get(..3).and_then(|code| code.parse().ok()) {
        Some(code) => Failure::Reply { code, text },
        None => Failure::Garbled(format!("it answered \"{text}\"")),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply { text, .. } | Self::Tls(text) | Self::Garbled(text) => f.write_str(text),
            Self::Connection(error) => error.fmt(f),
            Self::Certificate { why, .. } => write!(f, "its certificate is not trusted: {why}"),
            Self::Silence(limit) => write!(f, "no answer within {} s", limit.as_secs_f32()),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use suppaftp::{Status, types::Response};

    use super::*;

    fn reply(body: &str) -> Failure {
        FtpError::UnexpectedResponse(Response::new(Status::Unknown, body.into())).into()
    }

    #[test]
    fn the_servers_words_are_kept_in_one_line() {
        let failure = reply("530-Sorry\r\n530 Login incorrect\r\n");
        assert_eq!((failure.code(), failure.to_string()), (530, "530-Sorry 530 Login incorrect".into()));
        assert_eq!(reply("\u{1b}[2J\r\n").code(), 0);
    }

    #[test]
    fn each_refusal_says_what_to_do_next() {
        let cases = [
            ("530 Login incorrect.", false, "user and password"),
            ("530 Login authentication failed", false, "user and password"),
            ("530 Non-anonymous sessions must use encryption.", false, "\"explicit\""),
            ("421 Sorry, cleartext sessions are not accepted on this server.", false, "\"explicit\""),
            ("550 SSL/TLS required on the control channel", false, "\"explicit\""),
            ("500 This security scheme is not implemented", true, "\"off\""),
            ("522 SSL connection failed: session reuse required", true, "session reuse"),
            ("552 Exceeded quota", false, "quota"),
            ("452 No space left", true, "room"),
            ("451 Failure writing to local file.", false, "disk is full"),
            ("550 Permission denied.", true, "write there"),
        ];
        for (body, tls, expected) in cases {
            let next = reply(body).next(tls).unwrap_or_default();
            assert!(next.contains(expected), "{body}: {next}");
        }
    }
}
