//! Rejects as a spreadsheet may open them. A field that begins with certain characters is a formula there, which may
//! fetch and run things: an apostrophe in front makes it text (OWASP, CSV Injection).

use super::super::layout::REJECT_NAMES;

/// What a spreadsheet takes for the beginning of a formula.
const BEGINNINGS: &[u8] = b"=+-@\t\r\n";

/// Takes the bytes of a rejects file in pieces and gives them with formulas made text. It holds no more than a piece.
#[derive(Debug, Default)]
pub struct Defused {
    /// Found behind the header's first name, which is our own.
    delimiter: Option<u8>,
    /// Bytes seen while the delimiter is looked for.
    seen: usize,
    place: Place,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// A field begins.
    #[default]
    Begin,
    /// Its opening quote was the last byte.
    Opened,
    Plain,
    Quoted,
    /// A quote inside of quotes: the end, or the first of two.
    Closed,
}

impl Defused {
    pub fn piece(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 8);
        for &byte in bytes {
            if self.delimiter.is_none() {
                self.seen += 1;
                self.delimiter = (self.seen > REJECT_NAMES[0].len()).then_some(byte);
            }
            let ends = self.delimiter == Some(byte) || matches!(byte, b'\r' | b'\n');
            let formula = BEGINNINGS.contains(&byte);
            let (place, apostrophe) = match (self.place, byte) {
                (Place::Begin, b'"') => (Place::Opened, false),
                (Place::Begin | Place::Plain, _) if ends => (Place::Begin, false),
                (Place::Begin, _) => (Place::Plain, formula),
                (Place::Plain, _) => (Place::Plain, false),
                (Place::Opened | Place::Quoted, b'"') => (Place::Closed, false),
                (Place::Opened, _) => (Place::Quoted, formula),
                (Place::Quoted, _) => (Place::Quoted, false),
                (Place::Closed, b'"') => (Place::Quoted, false),
                (Place::Closed, _) if ends => (Place::Begin, false),
                (Place::Closed, _) => (Place::Plain, false),
            };
            if apostrophe {
                out.push(b'\'');
            }
            out.push(byte);
            self.place = place;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defused(text: &str, piece: usize) -> String {
        let mut defused = Defused::default();
        let pieces = text.as_bytes().chunks(piece).map(|piece| defused.piece(piece));
        String::from_utf8(pieces.flatten().collect()).expect("text")
    }

    #[test]
    fn fields_that_spreadsheets_take_for_formulas_become_text() {
        let text = "_line,_field,_reason,=h\r\n1,id,\"a, b\",=1+1\r\n2,id,,\"=cmd|'/c calc'!A1\"\r\n\
                    3,-1,+1,@x\r\n4,,\"\n=\",\"\tx\"\r\n5,a=b,\"\"\"=x\",\"a\n=b\"\r\n6,\"\",\"=\"\"\",-\r\n";
        let expected = "_line,_field,_reason,'=h\r\n1,id,\"a, b\",'=1+1\r\n2,id,,\"'=cmd|'/c calc'!A1\"\r\n\
                        3,'-1,'+1,'@x\r\n4,,\"'\n=\",\"'\tx\"\r\n5,a=b,\"\"\"=x\",\"a\n=b\"\r\n6,\"\",\"'=\"\"\",'-\r\n";
        for piece in [1, 2, 3, 7, 1000] {
            assert_eq!(defused(text, piece), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn the_delimiter_is_the_file_s_own() {
        assert_eq!(defused("_line;_field;_reason;a\r\n1;x;,=1;=1\r\n", 5), "_line;_field;_reason;a\r\n1;x;,=1;'=1\r\n");
        let tabs = "_line\t_field\t_reason\ta\r\n1\t\t\t=1\r\n";
        assert_eq!(defused(tabs, 4), tabs.replace("=1", "'=1"), "a tab between fields begins none");
    }
}
