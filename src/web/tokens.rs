//! The tokens that are known now: those of the configuration, and those of the token file, which is read again when it
//! changed. What cannot be read changes nothing, and no change ever opens a closed server.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use tracing::{error, info};

use crate::{
    config::{self, ADMIN, Role, Token, TokenFile, sha256},
    error::Result,
};

/// How often the file is looked at, at most.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct Tokens {
    configured: Vec<Token>,
    file: TokenFile,
    known: Mutex<Known>,
}

struct Known {
    looked: Instant,
    stamp: Option<Stamp>,
    all: Arc<[Token]>,
    /// Whether callers must show one. Once they must, they must until the process ends: a file that was emptied or
    /// lost shuts everybody out rather than letting everybody in.
    needed: bool,
}

/// What tells one state of a file from another.
#[derive(PartialEq, Eq, Clone, Copy)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// `None` where there is no file.
fn stamp(file: &TokenFile) -> io::Result<Option<Stamp>> {
    match fs::metadata(&file.path) {
        Ok(file) => {
            Ok(Some(Stamp { inode: file.ino(), size: file.len(), modified: (file.mtime(), file.mtime_nsec()) }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Tokens {
    /// `Fatal` (`configuration`) where the file is there and cannot be read.
    pub fn open(server: &config::Server) -> Result<Self> {
        let admin = server.admin_token.as_ref().map(|token| Token {
            name: ADMIN.into(),
            sha256: sha256(token.expose_secret()),
            role: Role::Admin,
        });
        let configured: Vec<Token> = admin.into_iter().chain(server.tokens.iter().cloned()).collect();
        let file = TokenFile { path: server.tokens_file.clone() };
        // The stamp first: what is written between the two is then read again.
        let stamp = stamp(&file).ok().flatten();
        let all: Arc<[Token]> = configured.iter().cloned().chain(file.read()?).collect();
        let known = Known { looked: Instant::now(), stamp, needed: !all.is_empty(), all };
        Ok(Self { configured, file, known: Mutex::new(known) })
    }

    /// Whether callers must show a token. Without any, whoever reaches the server may do everything.
    pub fn needed(&self) -> bool {
        self.look().1
    }

    /// The token that hashes so.
    pub fn with_hash(&self, sha256: &str) -> Option<Token> {
        let same = |token: &&Token| bool::from(token.sha256.as_bytes().ct_eq(sha256.as_bytes()));
        self.look().0.iter().rfind(same).cloned()
    }

    fn look(&self) -> (Arc<[Token]>, bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.looked.elapsed() >= LOOK {
            known.looked = Instant::now();
            self.read_again(&mut known);
        }
        (known.all.clone(), known.needed)
    }

    /// A state of the file that cannot be read is told once, and the tokens stay those of the last one that could.
    fn read_again(&self, known: &mut Known) {
        let path = self.file.path.display();
        let Ok(stamp) = stamp(&self.file) else { return };
        if stamp == known.stamp {
            return;
        }
        known.stamp = stamp;
        match self.file.read() {
            Ok(tokens) => {
                known.all = self.configured.iter().cloned().chain(tokens).collect();
                known.needed |= !known.all.is_empty();
                info!(%path, tokens = known.all.len(), "the token file was read again");
            }
            Err(error) => error!(%path, %error, "the token file cannot be read; the tokens known before stay valid"),
        }
    }
}
