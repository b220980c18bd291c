//! What content is, by its first bytes, where it is no CSV; and what its sender can do about it.

use super::LayoutError;

/// First bytes of a content that `is_gzip` needs.
pub const GZIP_HEAD_BYTES: usize = 2;

/// Whether the content is gzip (RFC 1952), which is expanded before anything else looks at it.
pub fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(b"\x1f\x8b")
}

/// Content that is known by its first bytes and is no CSV.
pub(super) fn refuse_other(head: &[u8]) -> Result<(), LayoutError> {
    let refuse =
        |what: &str, next: &str| Err(LayoutError::new("not_csv", format!("the file is {what}, not CSV"), next));
    const EXTRACT: &str = "take the CSV file out of it and send that, or compress it with gzip";
    const EXPORT: &str = "open it and save the sheet as CSV (UTF-8), then send that";
    const CONVERT: &str = "save it as UTF-8, then send that";
    let holds = |needle: &[u8]| memchr::memmem::find(&head[..head.len().min(64 << 10)], needle).is_some();
    match head {
        [b'P', b'K', 3 | 5, 4 | 6, ..] if holds(b"[Content_Types].xml") || holds(b"xl/") => {
            refuse("an Excel workbook (xlsx)", EXPORT)
        }
        [b'P', b'K', 3 | 5, 4 | 6, ..] if holds(b"opendocument.spreadsheet") => {
            refuse("an OpenDocument spreadsheet", EXPORT)
        }
        [b'P', b'K', 3 | 5, 4 | 6, ..] => refuse("a zip archive", EXTRACT),
        [0xd0, 0xcf, 0x11, 0xe0, ..] => refuse("an old Excel workbook (xls)", EXPORT),
        [b'%', b'P', b'D', b'F', b'-', ..] => refuse("a PDF document", "send the data that it was made from, as CSV"),
        [b'P', b'A', b'R', b'1', ..] => refuse("a Parquet file", "export it as CSV, then send that"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => refuse("compressed with zstd", EXTRACT),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => refuse("compressed with bzip2", EXTRACT),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => refuse("compressed with xz", EXTRACT),
        [b'7', b'z', 0xbc, 0xaf, ..] => refuse("a 7z archive", EXTRACT),
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => refuse("UTF-32 text", CONVERT),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => refuse("UTF-16 text", CONVERT),
        [first, 0, second, 0, ..] | [0, first, 0, second, ..]
            if first.is_ascii_graphic() && second.is_ascii_graphic() =>
        {
            refuse("UTF-16 text", CONVERT)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::rows::{Layout, RowOptions};

    #[test]
    fn other_content_is_recognised_and_told_what_to_do() {
        let contents: [(&[u8], &str); 9] = [
            (b"PK\x03\x04....xl/workbook.xml", "xlsx"),
            (b"PK\x03\x04....users.csv", "zip"),
            (b"%PDF-1.7", "PDF"),
            (b"\xff\xfei\0d\0,\0", "UTF-16"),
            (b"i\0d\0,\0n\0", "UTF-16"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1", "xls"),
            (b"PAR1....", "Parquet"),
            (b"\x28\xb5\x2f\xfd..", "zstd"),
            (b"BZh91AY&SY", "bzip2"),
        ];
        for (content, what) in contents {
            let error = Layout::detect(content, true, &RowOptions::default()).expect_err(what);
            assert_eq!(error.code, "not_csv");
            assert!(error.message.contains(what) && !error.next.is_empty(), "{error}");
        }
    }
}
