//! A user: id, name and time of start, clean by construction.

/// One clean row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User<'a> {
    /// As it stood in the file; compared by bytes.
    pub id: &'a str,
    /// Unicode lower case.
    pub name: &'a str,
    /// RFC 3339 in UTC with milliseconds or finer: text order is time order.
    pub time_of_start: &'a str,
}

/// What ends a user's id, name and time where users lie as lines of text. Fields may hold the same bytes.
pub const FIELD_ENDS: [u8; 3] = *b"\t\t\n";

/// Users in ascending order of id, each id once, and what they stand for.
#[derive(Debug, Clone, Default)]
pub struct UserBlock {
    /// A line for each: id, name and time, each with its end behind it.
    text: String,
    /// Where in `text` the ends of id and name stand, and the next line begins.
    ends: Vec<[u32; 3]>,
    /// Good rows of the file that these users stand for.
    pub good: u64,
    /// Users whose id the file holds with different names or times.
    pub conflicting: u64,
}

impl UserBlock {
    /// Adds a user that stands for `good` rows.
    pub fn push(&mut self, user: User<'_>, good: u64, conflicting: bool) {
        let mut ends = [0; 3];
        for ((field, byte), end) in [user.id, user.name, user.time_of_start].iter().zip(FIELD_ENDS).zip(&mut ends) {
            self.text.push_str(field);
            *end = self.text.len() as u32;
            self.text.push(char::from(byte));
        }
        ends[2] += 1;
        self.ends.push(ends);
        self.good += good;
        self.conflicting += u64::from(conflicting);
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of text held.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    pub fn user(&self, index: usize) -> User<'_> {
        let (start, [id, name, end]) = (self.start(index), self.ends[index].map(|end| end as usize));
        User { id: &self.text[start..id], name: &self.text[id + 1..name], time_of_start: &self.text[name + 1..end - 1] }
    }

    pub fn id(&self, index: usize) -> &str {
        &self.text[self.start(index)..self.ends[index][0] as usize]
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = User<'_>> {
        (0..self.len()).map(|index| self.user(index))
    }

    pub fn last_id(&self) -> Option<&str> {
        self.len().checked_sub(1).map(|last| self.id(last))
    }

    /// All users, each as a line.
    pub fn lines(&self) -> &str {
        &self.text
    }

    /// One of `lines`, with its end.
    pub fn line(&self, index: usize) -> &str {
        &self.text[self.start(index)..self.ends[index][2] as usize]
    }

    fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1][2] as usize }
    }
}

/// Bytes that are validated at once.
const PIECE_BYTES: usize = 16 << 10;

/// A block that is being made of lines as a block holds them.
pub struct UserLines {
    block: UserBlock,
    /// Of the block's end, what was not validated yet.
    piece: Vec<u8>,
    is_sound: bool,
}

impl UserLines {
    /// With room for so many users of so many bytes together.
    pub fn with_capacity(users: usize, bytes: usize) -> Self {
        let (text, ends) = (String::with_capacity(bytes), Vec::with_capacity(users));
        Self { block: UserBlock { text, ends, ..UserBlock::default() }, piece: Vec::new(), is_sound: true }
    }

    /// Adds a user that stands for `good` rows; the ends of its id and name stand at `ends` of its line.
    pub fn push(&mut self, line: &[u8], [id, name]: [usize; 2], good: u64, conflicting: bool) {
        let ends = [line.get(id), line.get(name), line.last()];
        self.is_sound &= id < name && name + 1 < line.len() && ends == FIELD_ENDS.each_ref().map(Some);
        let start = self.bytes();
        self.piece.extend_from_slice(line);
        self.block.ends.push([id, name, line.len()].map(|end| (start + end) as u32));
        self.block.good += good;
        self.block.conflicting += u64::from(conflicting);
        if self.piece.len() >= PIECE_BYTES {
            self.take_piece();
        }
    }

    fn take_piece(&mut self) {
        match simdutf8::basic::from_utf8(&self.piece) {
            Ok(piece) => self.block.text.push_str(piece),
            Err(_) => self.is_sound = false,
        }
        self.piece.clear();
    }

    pub fn len(&self) -> usize {
        self.block.len()
    }

    pub fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    /// Bytes of text held.
    pub fn bytes(&self) -> usize {
        self.block.bytes() + self.piece.len()
    }

    /// `None`: some line was no user's.
    pub fn finish(mut self) -> Option<UserBlock> {
        self.take_piece();
        self.is_sound.then_some(self.block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [(&str, &str, &str); 3] = [("1", "ada", "t1"), ("2\t", "\n", "t2"), ("3", "", "é")];

    fn users() -> impl Iterator<Item = User<'static>> {
        ROWS.into_iter().map(|(id, name, time_of_start)| User { id, name, time_of_start })
    }

    fn made(lines: &[(&[u8], [usize; 2])]) -> Option<UserBlock> {
        let mut made = UserLines::with_capacity(0, 0);
        lines.iter().for_each(|(line, ends)| made.push(line, *ends, 2, true));
        made.finish()
    }

    #[test]
    fn a_block_gives_its_users_as_they_were_pushed_and_each_as_a_line() {
        let mut block = UserBlock::default();
        users().for_each(|user| block.push(user, 1, false));
        assert_eq!(block.iter().collect::<Vec<_>>(), users().collect::<Vec<_>>());
        assert_eq!(block.lines(), "1\tada\tt1\n2\t\t\n\tt2\n3\t\té\n");
        assert_eq!(block.line(1), "2\t\t\n\tt2\n");
        assert_eq!(block.last_id(), Some("3"));
    }

    #[test]
    fn a_block_made_of_lines_of_any_number_is_the_one_they_came_from() {
        let mut block = UserBlock::default();
        (0..2000).flat_map(|_| users()).for_each(|user| block.push(user, 2, true));
        let ends = |at: usize| [block.user(at).id.len(), block.line(at).len() - block.user(at).time_of_start.len() - 2];
        let lines: Vec<_> = (0..block.len()).map(|at| (block.line(at).as_bytes(), ends(at))).collect();
        let made = made(&lines).unwrap();
        assert!(made.iter().eq(block.iter()));
        assert_eq!((made.lines(), made.good, made.conflicting), (block.lines(), 12_000, 6000));
    }

    #[test]
    fn what_is_no_users_line_makes_no_block() {
        assert!(made(&[(b"1\tada\tt\n", [1, 5])]).is_some());
        let broken: [(&[u8], [usize; 2]); 7] = [
            (b"1\tada\tt\n", [2, 5]),
            (b"1\tada\tt\n", [1, 4]),
            (b"1\tada\tt\n", [5, 1]),
            (b"1\tada\tt", [1, 5]),
            (b"1\t\n", [1, 2]),
            (b"", [0, 0]),
            (b"1\t\xff\tt\n", [1, 3]),
        ];
        for line in broken {
            assert!(made(&[(b"0\tbo\tt\n", [1, 4]), line]).is_none(), "{line:?}");
        }
    }
}
