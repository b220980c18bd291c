//! `userdata` takes CSV files of users, keeps them safely, archives them, cleans every row and stores each id once.
//!
//! # The way of a file
//!
//! **Receive.** Bytes stream into the spool (`spool`), hashed on the way; as soon as the first record is there it is
//! read with the upload's options, and what is no CSV or lacks a column is refused (`pipeline::receive`). When file and
//! info file are synced and renamed, the sender is answered: from here on the upload exists, whatever else is down.
//! Then it is registered in the ledger and announced on the queue; what fails there, the sweep does later.
//!
//! **Claim.** A worker takes the oldest open upload that it can reach by one conditional UPDATE (`store::ledger`). A
//! claim is a lease on the database's clock, renewed each second on a connection of its own, with a fence that grows:
//! every later write carries it, so an owner that slept too long writes nothing more. Announcements only wake
//! workers up: they are acknowledged as soon as the ledger knows the upload, so jobs may run for hours.
//!
//! **Archive.** The final name is written to the ledger, then the original goes to the archive under a temp name, is
//! measured and renamed (`pipeline::process`, `archive`). From now on the archive is a source of its bytes, too.
//!
//! **Clean.** The whole file is read before the first row is stored: *index* finds record-exact cut points, *clean*
//! turns each segment into sorted run files and rejects (`load`, with the rules of `rows`). A large file is cleaned while
//! it is being archived. Rejects go to the archive.
//!
//! A file that is too large for that is cleaned and sorted by a cluster where there is one (`spark`): its executors run
//! this program over chunks of the index and leave *parts* in the archive, sorted run files of one id range each. What
//! they say they did must add up before one transaction makes the parts the upload's ranges; from then on the load is
//! that of any file, and any worker goes on with it.
//!
//! **Load.** *Split* divides the ids into ranges, which the ledger keeps; each range is merged from the runs, first or
//! last line wins, and stored in transactions that move the range's watermark with its rows. A successor, on
//! whatever machine, goes on behind the watermarks; without the old one's run files it cleans again, with the same
//! result. Before `done` the rows that the ranges stand for must be the good rows that cleaning counted.
//!
//! **Finish.** One transaction sets state, counts and receipt; the receipt's copy goes to the archive.
//!
//! # Who knows whom
//!
//! Commands wire things together; `web` and `pipeline` see the three contracts `queue::Queue`, `archive::Archive` and
//! `store::Store`; backends know the types of this level and their driver, and nobody else.

pub mod announcement;
pub mod archive;
mod blocking;
pub mod cli;
pub mod command;
pub mod config;
pub mod disk;
pub mod error;
pub mod example;
#[cfg(feature = "faults")]
pub mod faults;
mod hash;
pub mod load;
pub mod logging;
pub mod meter;
pub mod pipeline;
pub mod queue;
pub mod receipt;
pub mod rows;
pub mod shutdown;
pub mod source;
pub mod spark;
pub mod spool;
pub mod store;
pub mod upload;
pub mod web;
mod wording;
