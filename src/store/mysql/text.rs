//! Text for the server: rows as LOAD DATA LOCAL reads them, literals, quoted names. The sessions' SQL mode is the
//! one that `mysql.rs` sets, without NO_BACKSLASH_ESCAPES and ANSI_QUOTES.

use std::{fmt::Write, sync::Arc};

use bytes::Bytes;
use memchr::memchr3;

use super::join::Selection;
use crate::rows::{FIELD_ENDS, User, UserBlock};

/// How `lines` are to be read; goes behind `INTO TABLE t`.
pub const LINES: &str =
    r"CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' (id,name,time_of_start)";

/// A file for LOAD DATA.
pub fn lines(users: Selection<'_>) -> Bytes {
    let block = users.block;
    // Hardly any block holds a special byte of its own: to count them is far cheaper than to look into every field.
    if specials(block.lines().as_bytes()) == FIELD_ENDS.len() * block.len() {
        return match users.only {
            None => Bytes::from_owner(Whole(Arc::clone(block))),
            Some(_) => users.lines().collect::<String>().into(),
        };
    }
    let mut file = Vec::with_capacity(block.bytes());
    for user in users.users() {
        for (field, end) in [user.id, user.name, user.time_of_start].into_iter().zip(FIELD_ENDS) {
            push_field(&mut file, field);
            file.push(end);
        }
    }
    file.into()
}

/// A block's own lines.
struct Whole(Arc<UserBlock>);

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        self.0.lines().as_bytes()
    }
}

/// What would end a field or a line, or begin an escape. `\N` would be NULL, so the backslash is among it.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\\' | 0)
}

fn specials(text: &[u8]) -> usize {
    // Few enough that a byte holds their number: so the compiler counts sixteen at once.
    let count = |some: &[u8]| usize::from(some.iter().map(|byte| u8::from(is_special(*byte))).sum::<u8>());
    text.chunks(192).map(count).sum()
}

fn push_field(file: &mut Vec<u8>, field: &str) {
    for byte in field.bytes() {
        if is_special(byte) {
            file.push(b'\\');
        }
        file.push(match byte {
            b'\t' => b't',
            b'\n' => b'n',
            0 => b'0',
            byte => byte,
        });
    }
}

/// Appends `'text'`.
pub fn push_literal(sql: &mut String, text: &str) {
    sql.push('\'');
    let mut rest = text;
    while let Some(at) = memchr3(b'\'', b'\\', 0, rest.as_bytes()) {
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

    fn block(users: &[User<'_>]) -> Arc<UserBlock> {
        let mut block = UserBlock::default();
        users.iter().for_each(|user| block.push(*user, 1, false));
        block.into()
    }

    fn file(users: &[User<'_>]) -> Vec<u8> {
        lines(Selection { block: &block(users), only: None }).into()
    }

    const PLAIN: User<'static> = User { id: "some-id", name: "a name", time_of_start: "2017-03-07T00:30:54.000Z" };

    #[test]
    fn what_ends_a_field_a_line_or_begins_an_escape_is_escaped_in_a_file() {
        let user = User { id: "a\tb\nc\\d\0e", name: r"\N", time_of_start: "\r'\"\u{1a}" };
        assert_eq!(file(&[user]), b"a\\tb\\nc\\\\d\\0e\t\\\\N\t\r'\"\x1a\n");
    }

    #[test]
    fn one_special_byte_among_many_users_is_found_wherever_it_stands() {
        for special in ["\t", "\n", "\\", "\0"] {
            for at in [0, 1, 500, 999] {
                let mut users = vec![PLAIN; 1000];
                users[at].name = special;
                let file = file(&users);
                assert_eq!(file.iter().filter(|byte| **byte == b'\n').count(), 1000, "{special:?} in {at}");
                assert_eq!(file.iter().filter(|byte| **byte == b'\t').count(), 2000, "{special:?} in {at}");
                let line = file.split(|byte| *byte == b'\n').nth(at).unwrap();
                assert_eq!(line.iter().filter(|byte| **byte == b'\\').count(), 1 + usize::from(special == "\\"));
            }
        }
    }

    #[test]
    fn of_some_users_their_lines_alone_are_in_the_file_escaped_or_not() {
        for (first, line) in [("1", "1"), ("\t", "\\t")] {
            let block = block(&[User { id: first, ..PLAIN }, PLAIN, User { id: "3", ..PLAIN }]);
            let of = |id: &str| format!("{id}\t{}\t{}\n", PLAIN.name, PLAIN.time_of_start);
            let lines = |only: &[u32]| lines(Selection { block: &block, only: Some(only) });
            assert_eq!(lines(&[0, 2]), of(line) + &of("3"));
            assert_eq!(lines(&[1]), of(PLAIN.id));
            assert_eq!(lines(&[]), "");
        }
    }

    #[test]
    fn special_bytes_are_counted_however_many_there_are() {
        assert_eq!(specials(&[0; 1000]), 1000);
        assert_eq!(specials(b"\t\n\\\0abc\r\x01\"'"), 4);
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
