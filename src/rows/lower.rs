//! Lower case of names: what `str::to_lowercase` gives, with one look into a table for most letters, and without a
//! string of its own for each name.

use std::sync::LazyLock;

/// Characters up to here, of two bytes in UTF-8 where they are not ASCII, are in the table.
const KNOWN: usize = 0x800;

/// The one character that each becomes; NUL where it becomes several, or where those around it decide.
static LOWER: LazyLock<Box<[char]>> = LazyLock::new(|| {
    let lower = |sign: char| {
        let mut lower = sign.to_lowercase();
        let first = lower.next().filter(|_| sign != FINAL_SIGMA_MAYBE);
        if lower.next().is_some() { '\0' } else { first.unwrap_or_default() }
    };
    (0..KNOWN as u32).filter_map(char::from_u32).map(lower).collect()
});

/// The only letter whose lower case depends on what is around it.
const FINAL_SIGMA_MAYBE: char = 'Σ';

/// Unicode lower case, independent of any locale, final sigma included (Unicode Standard, section 3.13).
pub fn lower(name: &str, out: &mut String) {
    out.clear();
    if name.is_ascii() {
        out.push_str(name);
        out.make_ascii_lowercase();
        return;
    }
    let known = &**LOWER;
    for sign in name.chars() {
        match known.get(sign as usize) {
            Some('\0') if sign == FINAL_SIGMA_MAYBE => {
                out.clear();
                out.push_str(&name.to_lowercase());
                return;
            }
            Some('\0') | None => out.extend(sign.to_lowercase()),
            Some(lower) => out.push(*lower),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lowered(name: &str) -> String {
        let mut out = "what was there".to_owned();
        lower(name, &mut out);
        out
    }

    #[test]
    fn every_character_alone_is_lowered_as_the_standard_library_does() {
        for sign in '\0'..=char::MAX {
            let name = sign.to_string();
            assert_eq!(lowered(&name), name.to_lowercase(), "{sign:?}");
        }
    }

    proptest! {
        #[test]
        fn names_are_lowered_as_the_standard_library_does(name in r"[A-Za-zΑ-ΩΣσ' .İẞÀ-ß]{0,12}|\PC{0,20}") {
            prop_assert_eq!(lowered(&name), name.to_lowercase());
        }
    }
}
