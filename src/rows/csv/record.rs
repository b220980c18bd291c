//! One record, lent by the reader until it reads on.

/// One record: its fields without their quotes.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The physical line of the file on which it begins, from 1.
    pub line: u64,
    pub(super) text: &'a [u8],
    /// Ends of the fields in `text`.
    pub(super) ends: &'a [usize],
    /// Bytes between two fields: 1 where `text` is the file's own, delimiters included, else 0.
    pub(super) between: usize,
}

impl<'a> Record<'a> {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A field, from 0; `None` behind the last.
    pub fn field(&self, index: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(index)?;
        Some(&self.text[self.start(index)..end])
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        let record = *self;
        (0..self.len()).filter_map(move |index| record.field(index))
    }

    /// All fields as UTF-8, validated in one go; `None` where one of them is none.
    pub fn utf8(&self) -> Option<Utf8Record<'a>> {
        let text = simdutf8::basic::from_utf8(self.text).ok()?;
        // Without an ASCII byte between them two fields may be halves of one character.
        let apart = self.between > 0 || self.ends.iter().all(|end| text.is_char_boundary(*end));
        apart.then_some(Utf8Record { record: *self, text })
    }

    fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] + self.between }
    }
}

/// A record whose fields are all valid UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct Utf8Record<'a> {
    record: Record<'a>,
    text: &'a str,
}

impl<'a> Utf8Record<'a> {
    /// A field, from 0; `None` behind the last.
    pub fn field(&self, index: usize) -> Option<&'a str> {
        let end = *self.record.ends.get(index)?;
        self.text.get(self.record.start(index)..end)
    }
}
