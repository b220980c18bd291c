//! Users as MySQL reads them: lines for LOAD DATA, values for INSERT, and quoted names. It holds for connections in
//! utf8mb4 whose SQL mode is the one that `mysql.rs` sets, without NO_BACKSLASH_ESCAPES and ANSI_QUOTES.

use std::fmt::Write;

use bytes::Bytes;

use crate::rows::User;

/// Bytes of one packet to the server.
const CHUNK_BYTES: usize = 64 << 10;

/// How `lines` are to be read; goes behind `INTO TABLE t`.
pub const LINES: &str =
    r"CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' (id,name,time_of_start)";

/// A file for LOAD DATA, in chunks.
pub fn lines(users: &[User<'_>]) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    for user in users {
        for (field, end) in [(user.id, b'\t'), (user.name, b'\t'), (user.time_of_start, b'\n')] {
            push_field(&mut chunk, field);
            chunk.push(end);
        }
        // A line is far shorter than what is left of the packet's limit, so that whole lines go together.
        if chunk.len() >= CHUNK_BYTES {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_BYTES));
            chunks.push(full.into());
        }
    }
    chunks.push(chunk.into());
    chunks
}

/// Only what would end a field or a line, or begin an escape. `\N` would be NULL, so the backslash is among it.
fn push_field(chunk: &mut Vec<u8>, field: &str) {
    let mut rest = field.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\t' | b'\n' | b'\\' | 0)) {
        chunk.extend_from_slice(&rest[..at]);
        chunk.push(b'\\');
        chunk.push(match rest[at] {
            b'\t' => b't',
            b'\n' => b'n',
            0 => b'0',
            byte => byte,
        });
        rest = &rest[at + 1..];
    }
    chunk.extend_from_slice(rest);
}

/// Appends `'text'`.
pub fn push_literal(sql: &mut String, text: &str) {
    sql.push('\'');
    let mut rest = text;
    while let Some(at) = rest.find(['\'', '\\', '\0']) {
        sql.push_str(&rest[..at]);
        sql.push_str(match rest.as_bytes()[at] {
            b'\'' => "\\'",
            b'\\' => "\\\\",
            _ => "\\0",
        });
        rest = &rest[at + 1..];
    }
    sql.push_str(rest);
    sql.push('\'');
}

/// Appends `('id','name','time')`.
pub fn push_values(sql: &mut String, user: &User<'_>) {
    for (before, field) in [('(', user.id), (',', user.name), (',', user.time_of_start)] {
        sql.push(before);
        push_literal(sql, field);
    }
    sql.push(')');
}

/// A name in backticks.
pub fn quoted(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    // Writing to a string cannot fail.
    let _ = write!(text, "`{}`", name.replace('`', "``"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(users: &[User<'_>]) -> Vec<u8> {
        lines(users).concat()
    }

    #[test]
    fn what_ends_a_field_a_line_or_begins_an_escape_is_escaped_in_a_file() {
        let user = User { id: "a\tb\nc\\d\0e", name: r"\N", time_of_start: "\r'\"\u{1a}" };
        assert_eq!(file(&[user]), b"a\\tb\\nc\\\\d\\0e\t\\\\N\t\r'\"\x1a\n");
    }

    #[test]
    fn a_file_is_cut_into_chunks_behind_whole_lines() {
        let name = "n".repeat(250);
        let users = vec![User { id: "id", name: &name, time_of_start: "" }; 1000];
        let chunks = lines(&users);
        assert!(chunks.len() > 3);
        assert!(chunks.iter().all(|chunk| chunk.ends_with(b"\n")));
        assert_eq!(chunks.concat().iter().filter(|byte| **byte == b'\n').count(), 1000);
    }

    #[test]
    fn nobody_at_all_is_an_empty_file() {
        assert_eq!(file(&[]), b"");
    }

    #[test]
    fn a_literal_cannot_be_left() {
        let mut sql = String::new();
        push_literal(&mut sql, "x'); DROP TABLE userinfo; -- \\' \0 é");
        assert_eq!(sql, r"'x\'); DROP TABLE userinfo; -- \\\' \0 é'");
    }

    #[test]
    fn values_stand_in_the_order_of_the_columns() {
        let mut sql = String::new();
        push_values(&mut sql, &User { id: "1", name: "", time_of_start: "t" });
        assert_eq!(sql, "('1','','t')");
    }

    #[test]
    fn a_name_is_quoted_whatever_it_holds() {
        assert_eq!(quoted("user`info"), "`user``info`");
    }
}
