//! Hashing on a thread of its own: whoever reads a content tells it each piece, and where the hash's state is wanted.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use crate::hash::HashState;

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
    hashes: Hashes,
    /// The last piece, and what of it is hashed: a cut lies there or at its beginning.
    piece: Vec<u8>,
    hashed: usize,
}

enum Told {
    Piece(Vec<u8>),
    Cut(u64),
    End,
}

/// What was hashed.
#[derive(Default)]
pub struct Hashes {
    pub whole: HashState,
    pub bytes: u64,
    /// At each cut, the state of all bytes before it.
    pub cuts: Vec<HashState>,
}

pub fn begin() -> (Teller, Hasher) {
    let ((tell, told), (give_back, done)) = (sync_channel(AHEAD), channel());
    let hashes = Hashes::default();
    let hasher = Hasher { told, done: give_back, hashes, piece: Vec::new(), hashed: 0 };
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

    /// The state at `offset` is wanted, which lies in the last piece, behind any cut before.
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
                    self.hashes.bytes += piece.len() as u64;
                    self.hashed = 0;
                    // Nobody fills it again where reading has ended.
                    let _ = self.done.send(std::mem::replace(&mut self.piece, piece));
                }
                Told::Cut(offset) => {
                    self.hash_to(self.piece.len() - (self.hashes.bytes - offset) as usize);
                    self.hashes.cuts.push(self.hashes.whole.clone());
                }
                Told::End => break,
            }
        }
        self.hash_to(self.piece.len());
        self.hashes
    }

    fn hash_to(&mut self, end: usize) {
        self.hashes.whole.update(&self.piece[self.hashed..end]);
        self.hashed = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(bytes: &[u8]) -> HashState {
        let mut state = HashState::default();
        state.update(bytes);
        state
    }

    #[test]
    fn at_each_cut_the_state_is_that_of_all_before_it() {
        let bytes: Vec<u8> = (0..=255).collect();
        let (teller, hasher) = begin();
        let hashing = std::thread::spawn(|| hasher.run());
        let cuts = [(100, &[0, 64, 99, 99, 100][..]), (101, &[100, 101]), (101, &[101]), (256, &[101, 255])];
        let mut told = 0;
        for (end, offsets) in cuts {
            teller.piece(&bytes[told..end]);
            told = end;
            offsets.iter().for_each(|offset| teller.cut(*offset as u64));
        }
        teller.end();
        let hashes = hashing.join().unwrap();
        let expected: Vec<_> =
            cuts.iter().flat_map(|(_, offsets)| *offsets).map(|offset| state(&bytes[..*offset])).collect();
        assert_eq!(hashes.cuts, expected);
        assert_eq!((hashes.whole, hashes.bytes), (state(&bytes), 256));
    }

    #[test]
    fn whoever_stops_reading_ends_it() {
        let (teller, hasher) = begin();
        teller.piece(b"abc");
        drop(teller);
        assert_eq!(hasher.run().whole, state(b"abc"));
    }
}
