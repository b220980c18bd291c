//! The file of tokens that `userdata token` writes and a running server reads again: names, hashes and roles. It is
//! never the database, which may be down.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Role, Token};
use crate::error::{Error, Result};

/// The name of `server.admin_token`'s bearer.
pub(crate) const ADMIN: &str = "admin";
/// Of a token's name, in bytes: the ledger keeps 255 characters of a sender.
const NAME_BYTES: usize = 100;

/// SHA-256 of a token, lower-case hex: all that is ever kept of one.
pub fn sha256(token: &str) -> String {
    Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Refuses a name that history could not tell from another sender.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("a token needs a name".into());
    }
    if name.len() > NAME_BYTES || name.trim() != name || name.chars().any(char::is_control) {
        return Err(format!("the name of a token has at most {NAME_BYTES} bytes, no blank at its ends, no line end"));
    }
    if matches!(name, "local" | "announcement") || name.parse::<std::net::IpAddr>().is_ok() {
        return Err(format!("\"{name}\" names other senders: choose another name"));
    }
    Ok(())
}

/// Tokens in a file of their own.
#[derive(Debug, Clone)]
pub struct TokenFile {
    pub path: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    token: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    sha256: String,
    role: Role,
}

impl TokenFile {
    /// Its tokens; none where there is no file. `Fatal` (`configuration`) where it cannot be read or understood.
    pub fn read(&self) -> Result<Vec<Token>> {
        let wrong = |why: String| Error::fatal("configuration", format!("{}: {why}", self.path.display()));
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(Error::fatal("configuration", format!("reading {}", self.path.display()))
                    .because(error)
                    .next("let the user of the server read it, or set server.tokens_file"));
            }
        };
        // The parser's own text would show the line.
        let content: Content = toml::from_str(&text).map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            wrong(format!("line {} cannot be read: {}", before.matches('\n').count() + 1, error.message()))
        })?;
        let mut tokens: Vec<Token> = Vec::new();
        for Entry { name, sha256, role } in content.token {
            check_name(&name).map_err(wrong)?;
            if tokens.iter().any(|token| token.name == name) {
                return Err(wrong(format!("two tokens have the name \"{name}\"")));
            }
            if sha256.len() != 64 || !sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(wrong(format!("the sha256 of \"{name}\" is none: 64 hexadecimal digits")));
            }
            tokens.push(Token { name, sha256, role });
        }
        Ok(tokens)
    }

    /// Adds a token. `Fatal` (`usage`) when its name is taken or cannot be one.
    pub fn add(&self, token: Token) -> Result<()> {
        check_name(&token.name).map_err(|why| Error::fatal("usage", why))?;
        self.change(|tokens| {
            if tokens.iter().any(|known| known.name == token.name) {
                let text = format!("there is a token \"{}\" already", token.name);
                let next = format!("choose another name, or remove it first: userdata token remove {}", token.name);
                return Err(Error::fatal("usage", text).next(next));
            }
            tokens.push(token);
            Ok(())
        })
    }

    /// Takes a token out. `Fatal` (`usage`) when there is none of this name.
    pub fn remove(&self, name: &str) -> Result<()> {
        self.change(|tokens| {
            let before = tokens.len();
            tokens.retain(|token| token.name != name);
            if tokens.len() == before {
                let text = format!("{} has no token \"{name}\"", self.path.display());
                return Err(Error::fatal("usage", text).next("see those there are: userdata token list"));
            }
            Ok(())
        })
    }

    /// One change at a time, whoever makes it; readers see the file before it or after it, never half of it.
    fn change(&self, change: impl FnOnce(&mut Vec<Token>) -> Result<()>) -> Result<()> {
        let writing = |error: io::Error| {
            Error::fatal("tokens_file", format!("writing {}", self.path.display()))
                .because(error)
                .next("run this as the user of the server, or set server.tokens_file")
        };
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder).map_err(writing)?;
        let lock = File::open(folder).and_then(|folder| folder.lock().map(|()| folder)).map_err(writing)?;
        let mut tokens = self.read()?;
        change(&mut tokens)?;
        let temp = folder.join(format!(".tokens-{}.tmp", uuid::Uuid::new_v4().simple()));
        let written = self.write(&temp, &lock, &text(&tokens));
        if written.is_err() {
            // What stands in the way of writing may stand in the way of this, too; the error that is told comes first.
            fs::remove_file(&temp).ok();
        }
        written.map_err(writing)
    }

    fn write(&self, temp: &Path, folder: &File, text: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temp)?;
        // Made by root in the folder of the server's user, that user must be able to read it.
        let owner = folder.metadata()?;
        if rustix::process::geteuid().is_root() && owner.uid() != 0 {
            std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(temp, &self.path)?;
        folder.sync_all()
    }
}

fn text(tokens: &[Token]) -> String {
    let mut text = String::from(
        "# Written by `userdata token`; a running server reads it again. Of a token only its SHA-256 is kept.\n",
    );
    for Token { name, sha256, role } in tokens {
        let quoted = super::show::toml(&serde_json::json!(name));
        text += &format!("\n[[token]]\nname = {quoted}\nsha256 = \"{sha256}\"\nrole = \"{role}\"\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn place() -> (tempfile::TempDir, TokenFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/tokens.toml");
        (folder, TokenFile { path })
    }

    fn token(name: &str, role: Role) -> Token {
        Token { name: name.into(), sha256: sha256(name), role }
    }

    #[test]
    fn what_was_added_is_read_back_and_nobody_else_reads_the_file() {
        let (_folder, file) = place();
        assert_eq!(file.read().unwrap(), []);
        let all = [token("Zürich \"2\"", Role::Upload), token("w\\1", Role::Worker), token("boss", Role::Admin)];
        for token in &all {
            file.add(token.clone()).unwrap();
        }
        assert_eq!(file.read().unwrap(), all);
        let mode = fs::metadata(&file.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        file.remove("w\\1").unwrap();
        assert_eq!(file.read().unwrap(), [all[0].clone(), all[2].clone()]);
        assert_eq!(fs::read_dir(file.path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_name_is_given_once_and_names_no_other_sender() {
        let (_folder, file) = place();
        file.add(token("one", Role::Read)).unwrap();
        for name in ["one", "local", "announcement", "10.0.0.5", "::1", "", " ", " x", "a\nb", &"x".repeat(101)] {
            let refusal = file.add(token(name, Role::Read)).unwrap_err();
            assert_eq!(refusal.code, "usage", "{name}: {refusal}");
        }
        assert_eq!(file.remove("two").unwrap_err().code, "usage");
        assert_eq!(file.read().unwrap().len(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_understood_is_refused_and_never_taken_for_an_empty_one() {
        let (_folder, file) = place();
        file.add(token("one", Role::Read)).unwrap();
        let good = fs::read_to_string(&file.path).unwrap();
        for broken in [
            "[[token]]\nname = \"x\"\n".to_owned(),
            good.replace("role = \"read\"", "role = \"king\""),
            good.replace("sha256 = \"", "sha256 = \"g"),
            format!("{good}{}", good.split_once("\n\n").unwrap().1),
            "no toml".into(),
        ] {
            fs::write(&file.path, &broken).unwrap();
            let refusal = file.read().unwrap_err();
            assert_eq!(refusal.code, "configuration");
            assert!(refusal.to_string().contains("tokens.toml"), "{refusal}");
            assert!(file.add(token("two", Role::Read)).is_err(), "{broken}");
            assert_eq!(fs::read_to_string(&file.path).unwrap(), broken, "what a person wrote is left to them");
        }
    }

    #[test]
    fn several_at_once_lose_no_token() {
        let (_folder, file) = place();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let file = &file;
                scope.spawn(move || file.add(token(&format!("t{number}"), Role::Upload)).unwrap());
            }
        });
        assert_eq!(file.read().unwrap().len(), 8);
    }
}
