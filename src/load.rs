//! From a file to sorted, disjoint id ranges, ready to be stored: *index* finds record-exact cut points, *clean* turns
//! each segment into sorted run files, *split* finds id ranges of equal size, and *merge* streams one range in id
//! order, each id once. All of it is repeatable: same bytes, same options, same result, however it is cut.

mod arena;
mod clean;
mod file;
mod folder;
mod group;
mod gzip;
pub mod index;
mod input;
pub mod merge;
mod pass;
pub mod range;
mod row;
pub mod run;
mod segments;
mod sizes;
mod tally;
#[cfg(test)]
mod tests;

pub use file::{CleanFile, Job};
pub use merge::Merge;
pub use sizes::disk_need;
