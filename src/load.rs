//! From a file to sorted, disjoint id ranges, ready to be stored: *index* finds record-exact cut points, *clean* turns
//! each segment into sorted run files, *split* finds id ranges of equal size, and *merge* streams one range in id
//! order, each id once. All of it is repeatable: same bytes, same options, same result, however it is cut.

pub mod index;
pub mod merge;
pub mod range;
pub mod run;
