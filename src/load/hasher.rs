//! Hashing on a thread of its own: whoever reads a content tells it each piece, and where it is cut.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use crate::hash::{Blake3, Hasher as _, WholeSha256};

/// Pieces that wait to be hashed.
const AHEAD: usize = 4;

/// The side of whoever reads. Dropped, it ends the hashing, too.
pub struct Teller {
    told: SyncSender<Told>,
    /// Pieces that were hashed, to be filled again.
    done: Receiver<Vec<u8>>,
}

/// The side of the thread that hashes.
pub struct Hasher {
    told: Receiver<Told>,
    done: Sender<Vec<u8>>,
    whole: WholeSha256,
    /// Of what is hashed behind the last cut.
    since_cut: Blake3,
    cuts: Vec<String>,
    bytes: u64,
    /// The last piece, and what of it is hashed: a cut lies there or at its beginning.
    piece: Vec<u8>,
    hashed: usize,
}

enum Told {
    Piece(Vec<u8>),
    Cut(u64),
    End,
}

/// What was hashed; hashes are lower-case hex.
pub struct Hashes {
    /// SHA-256 of all bytes.
    pub whole: String,
    pub bytes: u64,
    /// At each cut, BLAKE3 of the bytes between the cut before and this one.
    pub cuts: Vec<String>,
}

pub fn begin() -> (Teller, Hasher) {
    let ((tell, told), (give_back, done)) = (sync_channel(AHEAD), channel());
    let (whole, since_cut) = (WholeSha256::default(), Blake3::default());
    let (cuts, piece) = (Vec::new(), Vec::new());
    let hasher = Hasher { told, done: give_back, whole, since_cut, cuts, bytes: 0, piece, hashed: 0 };
    (Teller { told: tell, done }, hasher)
}

impl Teller {
    /// These bytes follow.
    pub fn piece(&self, bytes: &[u8]) {
        let mut piece = self.done.try_recv().unwrap_or_default();
        piece.clear();
        piece.extend_from_slice(bytes);
        self.tell(Told::Piece(piece));
    }

    /// The content is cut at `offset`, which lies in the last piece, behind any cut before.
    pub fn cut(&self, offset: u64) {
        self.tell(Told::Cut(offset));
    }

    /// Nothing follows.
    pub fn end(&self) {
        self.tell(Told::End);
    }

    /// Fails only where the other thread panicked, which shows when it is joined.
    fn tell(&self, told: Told) {
        let _ = self.told.send(told);
    }
}

impl Hasher {
    /// Hashes until the end is told.
    pub fn run(mut self) -> Hashes {
        while let Ok(told) = self.told.recv() {
            match told {
                Told::Piece(piece) => {
                    self.hash_to(self.piece.len());
                    self.bytes += piece.len() as u64;
                    self.hashed = 0;
                    // Nobody fills it again where reading has ended.
                    let _ = self.done.send(std::mem::replace(&mut self.piece, piece));
                }
                Told::Cut(offset) => {
                    self.hash_to(self.piece.len() - (self.bytes - offset) as usize);
                    self.cuts.push(std::mem::take(&mut self.since_cut).finish());
                }
                Told::End => break,
            }
        }
        self.hash_to(self.piece.len());
        Hashes { whole: self.whole.finish(), bytes: self.bytes, cuts: self.cuts }
    }

    fn hash_to(&mut self, end: usize) {
        let more = &self.piece[self.hashed..end];
        self.whole.update(more);
        self.since_cut.update(more);
        self.hashed = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash<H: crate::hash::Hasher>(bytes: &[u8]) -> String {
        let mut hasher = H::default();
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn the_bytes_between_two_cuts_are_hashed_and_the_whole() {
        let bytes: Vec<u8> = (0..=255).collect();
        let (teller, hasher) = begin();
        let hashing = std::thread::spawn(|| hasher.run());
        let pieces = [(100, &[0, 64, 99, 99, 100][..]), (101, &[100, 101]), (101, &[101]), (256, &[101, 255])];
        let mut told = 0;
        for (end, offsets) in pieces {
            teller.piece(&bytes[told..end]);
            told = end;
            offsets.iter().for_each(|offset| teller.cut(*offset as u64));
        }
        teller.end();
        let hashes = hashing.join().unwrap();
        let (mut expected, mut last) = (Vec::new(), 0);
        for offset in pieces.iter().flat_map(|(_, offsets)| *offsets) {
            expected.push(hash::<Blake3>(&bytes[last..*offset]));
            last = *offset;
        }
        assert_eq!(hashes.cuts, expected);
        assert_eq!((hashes.whole, hashes.bytes), (hash::<WholeSha256>(&bytes), 256));
    }

    #[test]
    fn whoever_stops_reading_ends_it() {
        let (teller, hasher) = begin();
        teller.piece(b"abc");
        drop(teller);
        assert_eq!(hasher.run().whole, hash::<WholeSha256>(b"abc"));
    }
}
