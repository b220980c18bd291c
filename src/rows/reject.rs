//! Rows that could not become users: why, and the file of them that can be mended and sent again.

/// Why a row was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason;

pub struct Rejects;
