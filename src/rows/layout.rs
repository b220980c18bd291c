//! What the first bytes of a file tell: its delimiter, its header, where the three columns are.

/// How the fields of a file lie.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Layout {
    pub delimiter: u8,
    /// The header's names as they stand; empty without a header.
    pub names: Vec<String>,
    /// Positions (from 0) of id, name and time of start.
    pub columns: [usize; 3],
    /// Fields of the header, or of the first record.
    pub fields: usize,
    /// Where the first row begins: byte offset (behind BOM and header) and physical line.
    pub data_offset: u64,
    pub data_line: u64,
}

/// Why a file is not one that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LayoutError {
    /// Stable: `column_not_found`, `not_csv`, `empty_file`.
    pub code: &'static str,
    pub message: String,
    pub next: String,
}
