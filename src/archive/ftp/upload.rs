//! One file to an FTP server: to a temp name, behind what is there, measured, renamed. Whatever breaks in between is
//! found by its size the next time.

use tokio::io::AsyncWriteExt;

use super::{
    Ftp,
    failure::Failure,
    session::{Direction, Outcome, Session, Transfer},
};
use crate::{
    archive::{Archive, content::Rest, name::split_folder},
    error::{Error, Result, Service},
    meter::Meter,
    source::Source,
};

/// Bytes handed to the connection at a time: with 8 KiB a transfer takes three times as long.
const PIECE_BYTES: usize = 256 << 10;

pub(super) struct Upload<'a> {
    ftp: &'a Ftp,
    file: &'a str,
    temp_path: String,
    path: String,
    content: &'a dyn Source,
    total: u64,
    meter: &'a Meter,
}

impl<'a> Upload<'a> {
    pub async fn new(
        ftp: &'a Ftp,
        temp: &str,
        file: &'a str,
        content: &'a dyn Source,
        meter: &'a Meter,
    ) -> Result<Self> {
        let (temp_path, path) = (ftp.path(temp)?, ftp.path(file)?);
        Ok(Self { ftp, file, temp_path, path, content, total: content.size().await?, meter })
    }

    /// `Archive::store`.
    pub async fn store(&self) -> Result<()> {
        let mut session = self.ftp.session().await?;
        if self.is_there(&mut session).await? {
            self.meter.add(self.total);
        } else {
            let found = session.size(&self.temp_path).await.map_err(|failure| self.error(failure))?;
            session = self.write(session, found).await?;
            self.give_name(&mut session).await?;
        }
        session.quit().await;
        Ok(())
    }

    /// `Archive::store_beside`.
    pub async fn replace(&self) -> Result<()> {
        let mut session = self.ftp.session().await?;
        session.remove(&self.temp_path).await.map_err(|failure| self.error(failure))?;
        session = self.write(session, None).await?;
        if let Err(failure) = session.rename(&self.temp_path, &self.path).await {
            // Some servers don't rename over a file that is there. Without a temp file to take its place it stays.
            let whole = failure.is_reply()
                && session.size(&self.temp_path).await.map_err(|other| self.error(other))? == Some(self.total);
            if !(whole && session.remove(&self.path).await.map_err(|other| self.error(other))?) {
                return Err(self.not_renamed(&mut session, failure).await);
            }
            session.rename(&self.temp_path, &self.path).await.map_err(|failure| self.error(failure))?;
        }
        session.quit().await;
        Ok(())
    }

    /// Whether an earlier call has done it all; then what this one began is removed. `Rejected` where the name is
    /// another file's.
    async fn is_there(&self, session: &mut Session) -> Result<bool> {
        let there = session.size(&self.path).await.map_err(|failure| self.error(failure))?;
        let Some(there) = there else { return Ok(false) };
        session.remove(&self.temp_path).await.map_err(|failure| self.error(failure))?;
        if there == self.total {
            return Ok(true);
        }
        Err(Error::rejected("archive_name_taken", self.doing())
            .because(format!("a file of that name with {there} bytes is there, this one has {}", self.total)))
    }

    /// Sees that the temp file holds the whole content, `found` bytes of which may be there. Gives the session back,
    /// or a new one where the old one broke at the very end.
    async fn write(&self, mut session: Session, found: Option<u64>) -> Result<Session> {
        if found == Some(self.total) {
            self.meter.add(self.total);
            return Ok(session);
        }
        let (transfer, have) = self.begin(&mut session, found).await?;
        self.meter.add(have);
        let transfer = self.send(&mut session, transfer, have).await?;
        match session.finish(transfer, self.ftp.patience.completion).await {
            Ok(()) => {}
            Err(failure) if failure.is_reply() => return Err(self.error(failure)),
            // The answer is lost, not the bytes: their number decides.
            Err(failure) => {
                session = self.ftp.session().await?;
                let size = session.size(&self.temp_path).await.map_err(|failure| self.error(failure))?;
                if size != Some(self.total) {
                    return Err(self.error(failure));
                }
            }
        }
        if session.is_plain_passive() {
            self.ftp.plain_passive.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        let size = session.size(&self.temp_path).await.map_err(|failure| self.error(failure))?;
        if size == Some(self.total) {
            return Ok(session);
        }
        let _ = session.remove(&self.temp_path).await;
        let there = size.map_or("no file".into(), |size| format!("{size} bytes"));
        Err(Error::unavailable(Service::Archive, self.doing())
            .because(format!("{there} are there after {} were sent", self.total)))
    }

    /// Begins behind what was found, where the server lets us; else anew. Says how much is kept.
    async fn begin(&self, session: &mut Session, found: Option<u64>) -> Result<(Transfer, u64)> {
        if let Some(have) = found.filter(|&have| 0 < have && have < self.total) {
            for direction in [Direction::Store, Direction::Append] {
                // Appending needs no offset; suppaftp sends none for 0.
                let offset = if matches!(direction, Direction::Store) { have } else { 0 };
                match session.transfer(direction, &self.temp_path, offset).await {
                    Ok(transfer) => return Ok((transfer, have)),
                    Err(failure) if failure.is_unsupported() || matches!(failure.code(), 450 | 451 | 550 | 554) => {}
                    Err(failure) => return Err(self.error(failure)),
                }
            }
        }
        if found.is_some() {
            // Some servers refuse to write over a file; where this fails, writing says why.
            let _ = session.remove(&self.temp_path).await;
        }
        match session.transfer(Direction::Store, &self.temp_path, 0).await {
            Err(failure) if matches!(failure.code(), 450 | 451 | 501 | 550 | 553) => {}
            done => return done.map(|transfer| (transfer, 0)).map_err(|failure| self.error(failure)),
        }
        let no_folder = session.make_folders(&self.temp_path).await.map_err(|failure| self.error(failure))?;
        match session.transfer(Direction::Store, &self.temp_path, 0).await {
            Ok(transfer) => Ok((transfer, 0)),
            Err(failure) if failure.code() == 553 && self.is_about_the_name(session).await => {
                Err(self.refused_name(failure))
            }
            Err(failure) => Err(self.error(no_folder.unwrap_or(failure))),
        }
    }

    async fn send(&self, session: &mut Session, mut transfer: Transfer, have: u64) -> Result<Transfer> {
        let mut rest = Rest::open(self.content, have, self.total).await?;
        let mut buffer = Vec::with_capacity(PIECE_BYTES);
        loop {
            rest.next(&mut buffer, PIECE_BYTES).await?;
            if buffer.is_empty() {
                return Ok(transfer);
            }
            let mut left = buffer.as_slice();
            while !left.is_empty() {
                match self.hand_over(&mut transfer, left).await {
                    Ok(sent) => {
                        self.meter.add(sent as u64);
                        left = &left[sent..];
                    }
                    Err(broken) => return Err(self.error(session.autopsy(transfer, broken).await)),
                }
            }
        }
    }

    async fn hand_over(&self, transfer: &mut Transfer, bytes: &[u8]) -> Outcome<usize> {
        let stall = self.ftp.patience.stall;
        let sent = tokio::time::timeout(stall, transfer.write(bytes)).await.map_err(|_| Failure::Silence(stall))??;
        if sent == 0 {
            return Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into());
        }
        Ok(sent)
    }

    /// The temp file is whole. Renaming replaces silently on most servers, so what has the name by now is looked at
    /// once more: another worker may have finished while this one was stopped.
    async fn give_name(&self, session: &mut Session) -> Result<()> {
        if self.is_there(session).await? {
            return Ok(());
        }
        match session.rename(&self.temp_path, &self.path).await {
            Ok(()) => Ok(()),
            Err(failure) if failure.is_reply() && self.is_there(session).await? => {
                tracing::debug!(%failure, file = self.file, "another worker gave the file its name");
                Ok(())
            }
            Err(failure) => Err(self.not_renamed(session, failure).await),
        }
    }

    async fn not_renamed(&self, session: &mut Session, failure: Failure) -> Error {
        if failure.code() == 553 && self.is_about_the_name(session).await {
            let _ = session.remove(&self.temp_path).await;
            return self.refused_name(failure);
        }
        self.error(failure)
    }

    /// 553 is for a name that is not allowed (RFC 959, 4.2.1), but servers say it of folders that can't be written
    /// too. Where a file of a harmless name can be written beside it, it was the name.
    async fn is_about_the_name(&self, session: &mut Session) -> bool {
        let (folder, _) = split_folder(&self.path);
        let harmless = format!("{folder}userdata-check-{}", uuid::Uuid::new_v4().simple());
        let Ok(transfer) = session.transfer(Direction::Store, &harmless, 0).await else { return false };
        let _ = session.finish(transfer, self.ftp.patience.command).await;
        let _ = session.remove(&harmless).await;
        true
    }

    fn refused_name(&self, failure: Failure) -> Error {
        Error::rejected("archive_name_refused", self.doing())
            .because(failure)
            .next("send the file under another name, or change archive.name")
    }

    fn doing(&self) -> String {
        format!("storing {} on {}", self.file, self.ftp.name())
    }

    fn error(&self, failure: Failure) -> Error {
        self.ftp.error(&format!("storing {}", self.file), failure)
    }
}
