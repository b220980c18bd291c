//! One file from an FTP server, from an offset, as a stream that owns its connection. A data connection that ends
//! looks the same whether the file ended or the server gave up, so bytes are counted against the file's size.

use std::io;

use bytes::{Bytes as Piece, BytesMut};
use futures_util::stream;
use tokio::io::AsyncReadExt;
use tokio_util::io::StreamReader;

use super::{
    Ftp, Patience,
    failure::Failure,
    session::{Direction, Session, Transfer},
};
use crate::{
    archive::Archive,
    error::{Error, Result, Service},
    source::Bytes,
};

const PIECE_BYTES: usize = 256 << 10;

struct Download {
    session: Session,
    transfer: Transfer,
    patience: Patience,
    /// Bytes to pass over, where the server can't begin at an offset.
    skip: u64,
    left: u64,
    total: u64,
    /// For messages: "reading x.csv on the FTP server at …".
    doing: String,
}

pub(super) async fn open(ftp: &Ftp, file: &str, offset: u64) -> Result<Bytes> {
    let path = ftp.path(file)?;
    let doing = format!("reading {file}");
    let wrong = |failure| ftp.error(&doing, failure);
    let mut session = ftp.session().await?;
    let total = session.size(&path).await.map_err(wrong)?.ok_or_else(|| {
        Error::unavailable(Service::Archive, format!("{doing} on {}", ftp.name())).because("no such file is there")
    })?;
    let left = total.saturating_sub(offset);
    if left == 0 {
        session.quit().await;
        return Ok(Box::new(tokio::io::empty()));
    }
    let (transfer, skip) = match session.transfer(Direction::Retrieve, &path, offset).await {
        Ok(transfer) => (transfer, 0),
        Err(failure) if offset > 0 && failure.is_unsupported() => {
            (session.transfer(Direction::Retrieve, &path, 0).await.map_err(wrong)?, offset)
        }
        Err(failure) => return Err(wrong(failure)),
    };
    let doing = format!("{doing} on {}", ftp.name());
    let download = Download { session, transfer, patience: ftp.patience, skip, left, total, doing };
    let pieces = stream::try_unfold(download, Download::next);
    Ok(Box::new(StreamReader::new(Box::pin(pieces))))
}

impl Download {
    async fn next(mut self) -> io::Result<Option<(Piece, Self)>> {
        if self.left == 0 {
            return self.end().await.map(|()| None);
        }
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        loop {
            let stall = self.patience.stall;
            match tokio::time::timeout(stall, self.transfer.read_buf(&mut piece)).await {
                Ok(Ok(0)) => return Err(self.ended_early().await),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(self.wrong(error.kind(), Failure::Connection(error))),
                Err(_) => return Err(self.wrong(io::ErrorKind::TimedOut, Failure::Silence(stall))),
            }
            let skipped = self.skip.min(piece.len() as u64);
            self.skip -= skipped;
            let _ = piece.split_to(usize::try_from(skipped).unwrap_or(piece.len()));
            if !piece.is_empty() {
                break;
            }
        }
        // What was added to the file meanwhile belongs to nobody.
        piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= piece.len() as u64;
        Ok(Some((piece.freeze(), self)))
    }

    /// All bytes are here; a server that has something to say against them is heard.
    async fn end(self) -> io::Result<()> {
        let Self { session, mut transfer, patience, doing, .. } = self;
        // A connection closed before its end is read is one that the server complains of.
        let end = tokio::time::timeout(patience.command, transfer.read_u8()).await;
        if !matches!(&end, Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof) {
            return Ok(());
        }
        match session.finish(transfer, patience.command).await {
            Err(failure @ Failure::Reply { .. }) => Err(io::Error::other(told(doing, failure))),
            Err(_) => Ok(()),
            Ok(()) => {
                session.quit().await;
                Ok(())
            }
        }
    }

    async fn ended_early(self) -> io::Error {
        let Self { session, transfer, patience, doing, left, total, .. } = self;
        let mut why = format!("the data ended {left} bytes before the file's end at {total}");
        if let Err(failure @ Failure::Reply { .. }) = session.finish(transfer, patience.command).await {
            why = format!("{why}: {failure}");
        }
        let error = Error::unavailable(Service::Archive, doing).because(why);
        io::Error::new(io::ErrorKind::UnexpectedEof, error)
    }

    fn wrong(self, kind: io::ErrorKind, failure: Failure) -> io::Error {
        io::Error::new(kind, told(self.doing, failure))
    }
}

fn told(doing: String, failure: Failure) -> Error {
    Error::unavailable(Service::Archive, doing).because(failure)
}
