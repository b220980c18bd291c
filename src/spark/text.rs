//! The text that passes through Spark: a line a row, tabs between fields, and nothing in a field that Spark or Java
//! would read as a line end, a separator or NULL (`\N`). Text order is byte order: every field begins with the same
//! sign, and the one escape sorts where the byte that it stands for does.

/// In front of every field.
const MARK: u8 = b'=';
const ESCAPE: u8 = 0x01;
/// Of the bytes up to this one, NUL apart, some end lines or separate fields; all are escaped, to keep their order.
const ESCAPED_MAX: u8 = 0x0d;
/// What an escaped byte is written as, less the byte.
const SHIFT: u8 = 0x30;

/// Writes a field: `=`, then its bytes, 0x01 to 0x0D each as 0x01 and 0x30 + byte.
pub fn put(field: &[u8], out: &mut Vec<u8>) {
    out.push(MARK);
    if !field.iter().any(|byte| is_escaped(*byte)) {
        out.extend_from_slice(field);
        return;
    }
    for &byte in field {
        if is_escaped(byte) { out.extend([ESCAPE, SHIFT + byte]) } else { out.push(byte) }
    }
}

/// Reads a field into `out`, which is emptied; `None` when it was not written by `put`.
pub fn take(field: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    let mut rest = field.strip_prefix(&[MARK])?;
    while let Some(at) = rest.iter().position(|byte| is_escaped(*byte)) {
        out.extend_from_slice(&rest[..at]);
        let [ESCAPE, shifted, behind @ ..] = &rest[at..] else { return None };
        let byte = shifted.checked_sub(SHIFT).filter(|byte| is_escaped(*byte))?;
        out.push(byte);
        rest = behind;
    }
    out.extend_from_slice(rest);
    Some(())
}

fn is_escaped(byte: u8) -> bool {
    (ESCAPE..=ESCAPED_MAX).contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(field: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put(field, &mut out);
        out
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![0..0x10_u8, 0x2e..0x40_u8, any::<u8>()], 0..20)
    }

    proptest! {
        #[test]
        fn a_field_comes_back_and_holds_no_sign_of_its_own(field in bytes()) {
            let text = text(&field);
            prop_assert!(!text.iter().any(|byte| b"\t\n\r\x0b\x0c".contains(byte)));
            prop_assert!(text != b"\\N");
            let mut back = b"rubbish".to_vec();
            prop_assert_eq!(take(&text, &mut back), Some(()));
            prop_assert_eq!(back, field);
        }

        #[test]
        fn the_order_of_texts_is_the_order_of_their_bytes(a in bytes(), b in bytes()) {
            prop_assert_eq!(text(&a).cmp(&text(&b)), a.cmp(&b));
        }

        #[test]
        fn what_was_not_written_so_is_refused_or_read_as_what_writes_it(field in bytes()) {
            let mut back = Vec::new();
            if take(&field, &mut back).is_some() {
                prop_assert_eq!(text(&back), field);
            }
        }
    }

    #[test]
    fn null_and_cut_fields_are_refused() {
        for field in [&b"\\N"[..], b"", b"abc", b"=a\x01", b"=\x02", b"=\x01\x3e", b"=\x01\x30"] {
            assert_eq!(take(field, &mut Vec::new()), None, "{field:?}");
        }
    }
}
