//! One record, lent by the reader until it reads on.

/// One record: its fields without their quotes.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The physical line of the file on which it begins, from 1.
    pub line: u64,
    pub(super) text: &'a [u8],
    /// Ends of the fields in `text`.
    pub(super) ends: &'a [usize],
    /// The record as it stands in the file, without its line end; `None` where `text` is that, delimiters included.
    pub(super) raw: Option<&'a [u8]>,
}

/// A field as it stands in the file, its quotes included.
#[derive(Debug, Clone, Copy)]
pub struct RawField<'a> {
    pub bytes: &'a [u8],
    /// What of it is behind its closing quote: nothing, unless a quote is misplaced. The automaton takes it for text.
    pub behind_quote: &'a [u8],
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

    /// Whether there may be quotes in it.
    pub fn may_have_quotes(&self) -> bool {
        self.raw.is_some()
    }

    /// As many as there are fields.
    pub fn raw_fields(&self, delimiter: u8) -> impl Iterator<Item = RawField<'a>> {
        let mut rest = Some(self.raw.unwrap_or(self.text));
        std::iter::from_fn(move || {
            let text = rest?;
            let quoted = quoted_bytes(text);
            let end = memchr::memchr(delimiter, &text[quoted..]).map_or(text.len(), |at| quoted + at);
            rest = text.get(end + 1..);
            let behind = if quoted == 0 { end } else { quoted };
            Some(RawField { bytes: &text[..end], behind_quote: &text[behind..end] })
        })
    }

    /// All fields as UTF-8, validated in one go; `None` where one of them is none.
    pub fn utf8(&self) -> Option<Utf8Record<'a>> {
        let text = simdutf8::basic::from_utf8(self.text).ok()?;
        // Without an ASCII byte between them two fields may be halves of one character.
        let apart = self.raw.is_none() || self.ends.iter().all(|end| text.is_char_boundary(*end));
        apart.then_some(Utf8Record { record: *self, text })
    }

    fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] + self.between() }
    }

    /// Bytes between two fields in `text`: the delimiter, or none.
    pub(super) fn between(&self) -> usize {
        usize::from(self.raw.is_none())
    }
}

/// How many bytes at the beginning of a text are a field's quotes with what is between them.
fn quoted_bytes(text: &[u8]) -> usize {
    let mut end = 0;
    // A quote right behind a closing one opens again: the two stand for one inside.
    while text.get(end) == Some(&b'"') {
        let Some(inside) = memchr::memchr(b'"', &text[end + 1..]) else { return text.len() };
        end += inside + 2;
    }
    end
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
