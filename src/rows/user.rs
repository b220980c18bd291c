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

/// Users in ascending order of id, each id once, and what they stand for.
#[derive(Debug, Clone, Default)]
pub struct UserBlock {
    text: String,
    /// End of id, name and time of each user in `text`.
    ends: Vec<[u32; 3]>,
    /// Good rows of the file that these users stand for.
    pub good: u64,
    /// Users whose id the file holds with different names or times.
    pub conflicting: u64,
}

impl UserBlock {
    /// With room for so many users of so many bytes together.
    pub fn with_capacity(users: usize, bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), ends: Vec::with_capacity(users), good: 0, conflicting: 0 }
    }

    /// As `push`, of a user whose id, name and time lie one behind the other; id and name end at `ends`.
    pub fn push_text(&mut self, text: &str, ends: [usize; 2], good: u64, conflicting: bool) {
        let start = self.text.len();
        self.text.push_str(text);
        self.ends.push([start + ends[0], start + ends[1], self.text.len()].map(|end| end as u32));
        self.good += good;
        self.conflicting += u64::from(conflicting);
    }

    /// Adds a user that stands for `good` rows.
    pub fn push(&mut self, user: User<'_>, good: u64, conflicting: bool) {
        self.text.push_str(user.id);
        let id = self.text.len() as u32;
        self.text.push_str(user.name);
        let name = self.text.len() as u32;
        self.text.push_str(user.time_of_start);
        self.ends.push([id, name, self.text.len() as u32]);
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
        let start = if index == 0 { 0 } else { self.ends[index - 1][2] as usize };
        let [id, name, time] = self.ends[index].map(|end| end as usize);
        User { id: &self.text[start..id], name: &self.text[id..name], time_of_start: &self.text[name..time] }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = User<'_>> {
        (0..self.len()).map(|index| self.user(index))
    }

    pub fn last_id(&self) -> Option<&str> {
        self.len().checked_sub(1).map(|last| self.user(last).id)
    }
}
