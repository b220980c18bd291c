//! What content is, by its first bytes, where it is no CSV; and what its sender can do about it.

use super::{Delimiter, LayoutError, SNIFF_BYTES};

/// First bytes of a content that `is_gzip` needs.
pub const GZIP_HEAD_BYTES: usize = 2;

/// Whether the content is gzip (RFC 1952), which is expanded before anything else looks at it.
pub fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(b"\x1f\x8b")
}

/// Content that is known by its first bytes and is no CSV. `delimiter`: the one that is set.
pub(super) fn refuse_other(head: &[u8], delimiter: Option<Delimiter>) -> Result<(), LayoutError> {
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
        _ if is_markup(head) => {
            refuse("a web page or XML", "send the CSV file itself; a page may stand in for one that needs signing in")
        }
        _ if is_json(head) => refuse("JSON", "export it as CSV, then send that"),
        _ if is_binary(head, delimiter) => {
            refuse("binary data", "send the CSV file that it was made from or is packed in")
        }
        _ => Ok(()),
    }
}

fn is_markup(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    [&b"<!doctype "[..], b"<html", b"<?xml"]
        .iter()
        .any(|begin| head.get(..begin.len()).is_some_and(|found| found.eq_ignore_ascii_case(begin)))
}

/// An object, or an array of objects or arrays; an id in braces is neither.
fn is_json(head: &[u8]) -> bool {
    match head.trim_ascii_start() {
        [b'{', rest @ ..] => rest.trim_ascii_start().starts_with(b"\""),
        [b'[', rest @ ..] => matches!(rest.trim_ascii_start(), [b'{' | b'[', ..]),
        _ => false,
    }
}

/// Whether more than one of twenty bytes is a sign that no text has. Hive's delimiter is such a sign, too.
fn is_binary(head: &[u8], delimiter: Option<Delimiter>) -> bool {
    let head = &head[..head.len().min(SNIFF_BYTES)];
    let is_text = |byte: &u8| {
        let is_sign = *byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0x1a | 0x1b);
        is_sign || delimiter == Some(Delimiter(*byte))
    };
    head.iter().filter(|byte| !is_text(byte)).count() * 20 > head.len()
}

#[cfg(test)]
mod tests {
    use crate::rows::{Columns, Layout, RowOptions};

    #[test]
    fn other_content_is_recognised_and_told_what_to_do() {
        let contents: [(&[u8], &str); 15] = [
            (b"PK\x03\x04....xl/workbook.xml", "xlsx"),
            (b"PK\x03\x04....users.csv", "zip"),
            (b"%PDF-1.7", "PDF"),
            (b"\xff\xfei\0d\0,\0", "UTF-16"),
            (b"i\0d\0,\0n\0", "UTF-16"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1", "xls"),
            (b"PAR1....", "Parquet"),
            (b"\x28\xb5\x2f\xfd..", "zstd"),
            (b"BZh91AY&SY", "bzip2"),
            (b"<!DOCTYPE html><title>Sign in</title>", "web page"),
            (b"\xef\xbb\xbf\r\n<?xml version=\"1.0\"?>", "XML"),
            (b"{\n  \"id\": 1", "JSON"),
            (b"[{\"id\": 1}]", "JSON"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02", "binary"),
            (b"\x7fELF\x02\x01\x01\0\0\0\0", "binary"),
        ];
        for (content, what) in contents {
            let error = Layout::detect(content, true, &RowOptions::default()).expect_err(what);
            assert_eq!(error.code, "not_csv");
            assert!(error.message.contains(what) && !error.next.is_empty(), "{error}");
        }
    }

    #[test]
    fn a_control_character_that_is_set_as_the_delimiter_is_no_sign_of_binary_data() {
        let text = b"id\x01name\x01time_of_start\n1\x01a\x012020-01-01\n";
        let mut options = RowOptions::default();
        assert_eq!(Layout::detect(text, true, &options).expect_err("not set").code, "not_csv");
        options.set("delimiter", &["\x01"]).expect("an option");
        let layout = Layout::detect(text, true, &options).expect("csv").expect("whole");
        assert_eq!((layout.delimiter, layout.columns), (1, [0, 1, 2]));
    }

    #[test]
    fn ids_in_braces_and_a_stray_sign_are_no_other_content() {
        let positions = RowOptions {
            header: false,
            columns: Columns { id: "1".into(), name: "2".into(), time_of_start: "3".into() },
            ..RowOptions::default()
        };
        for row in [
            "{5a52473a-fa01},Bob,2024-01-01\n",
            "[7],Bob,2024-01-01\n",
            "<Bob>,Bob,2024-01-01\n",
            "a\0b,Bob with a long name,2024-01-01\n",
        ] {
            assert!(Layout::detect(row.as_bytes(), true, &positions).is_ok(), "{row:?}");
        }
    }
}
