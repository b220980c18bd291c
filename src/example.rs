//! The example file: every kind of row, with what becomes of it. `userdata example` writes it, the page links to it.

/// A CSV file that loads without any setting.
pub const CSV: &[u8] = include_bytes!("example.csv");

/// The name under which it is offered.
pub const NAME: &str = "users-example.csv";
