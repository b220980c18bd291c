//! From bytes to users: the rules for rows, each a pure function. Nothing here reads a file, a clock or a database.

pub mod clean;
pub mod csv;
pub mod layout;
mod lower;
pub mod options;
pub mod reject;
pub mod time;
pub mod user;

pub use clean::{Cleaner, looks_like};
pub use layout::{GZIP_HEAD_BYTES, Layout, LayoutError, is_gzip};
pub use options::{Columns, Delimiter, Existing, MaxRejects, OptionError, RowOptions};
pub use reject::{Reason, ReasonCounts, RejectWriter};
pub use user::{FIELD_ENDS, User, UserBlock, UserLines};

/// Changes whenever the same bytes would give other users, other rejects or another order: a load that was half
/// stored under one number is never continued under another.
pub const RULES: u32 = 3;
