//! From a file to sorted, disjoint id ranges, ready to be stored: *index* finds record-exact cut points, *clean* turns
//! each segment into sorted run files, *split* finds id ranges of equal size, and *merge* streams one range in id
//! order, each id once. All of it is repeatable: same bytes, same options, same result, however it is cut.

pub(crate) mod arena;
mod clean;
mod file;
pub(crate) mod folder;
mod group;
mod gzip;
mod hasher;
pub mod index;
pub(crate) mod input;
pub mod merge;
mod pass;
pub mod range;
pub(crate) mod row;
pub mod run;
pub(crate) mod segment;
mod segments;
mod sizes;
pub(crate) mod tally;
#[cfg(test)]
mod tests;
mod write_behind;

pub use file::{CleanFile, Job};
pub use merge::Merge;
pub use sizes::disk_need;
