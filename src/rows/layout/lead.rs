//! What a file has in front of its first record: the mark of UTF-8, and a line that programs write for each other.

use super::{Delimiter, LayoutError, RowOptions, delimiters};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Where the first record begins, and how it may be cut apart.
pub(super) struct Lead {
    pub offset: usize,
    /// Physical.
    pub line: u64,
    /// To be tried in this order.
    pub delimiters: Vec<u8>,
}

impl Lead {
    /// Refuses a file that says of itself something else than the options do.
    pub fn of(head: &[u8], options: &RowOptions) -> Result<Self, LayoutError> {
        let offset = if head.starts_with(BOM) { BOM.len() } else { 0 };
        if offset > 0 && options.encoding != encoding_rs::UTF_8 {
            let message =
                format!("the file begins with the mark of UTF-8, but encoding is {}", options.encoding.name());
            return Err(LayoutError::new("option_contradicted", message, "set encoding utf-8"));
        }
        let delimiters = delimiters(options);
        let (line, behind) = first_line(&head[offset..]);
        // PowerShell tells the type of what it exports.
        let is_type = line.starts_with(b"#TYPE ") && !line.iter().any(|byte| delimiters.contains(byte));
        match told_delimiter(line) {
            Some(told) if !delimiters.contains(&told.0) => Err(not_tried(told, &delimiters)),
            Some(told) => Ok(Self { offset: offset + behind, line: 2, delimiters: vec![told.0] }),
            None if is_type => Ok(Self { offset: offset + behind, line: 2, delimiters }),
            None => Ok(Self { offset, line: 1, delimiters }),
        }
    }
}

/// The first line without its end, and how many bytes it takes with that.
fn first_line(text: &[u8]) -> (&[u8], usize) {
    let Some(end) = memchr::memchr2(b'\r', b'\n', text) else { return (text, text.len()) };
    let ends_crlf = text[end..].starts_with(b"\r\n");
    (&text[..end], end + 1 + usize::from(ends_crlf))
}

/// The delimiter of a line such as `sep=;`, which Excel follows: as it stands or in quotes.
fn told_delimiter(line: &[u8]) -> Option<Delimiter> {
    let line = std::str::from_utf8(line).ok()?;
    let line = line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).unwrap_or(line);
    let (key, sign) = line.split_at_checked("sep=".len())?;
    if key.eq_ignore_ascii_case("sep=") { sign.parse().ok() } else { None }
}

fn not_tried(told: Delimiter, tried: &[u8]) -> LayoutError {
    let tried: Vec<_> = tried.iter().map(|sign| Delimiter(*sign).to_string()).collect();
    let message = format!("the first line says that the delimiter is {told}, but what is tried is {}", tried.join(" "));
    LayoutError::new("option_contradicted", message, format!("set delimiter {told}, or delete the first line"))
}
