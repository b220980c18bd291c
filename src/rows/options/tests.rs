//! Rules for options that need more than their text.

use super::*;

#[test]
fn a_share_of_rejects_is_exact_and_is_shown_as_it_was_given() {
    for rows in 1..100 {
        for (text, read) in [(format!("{rows}%"), 100), (format!("0.{rows:02}%"), 10_000)] {
            let limit = text.parse::<MaxRejects>().expect("a share");
            assert!(limit.allows(rows, read) && !limit.allows(rows + 1, read), "{text}");
        }
    }
    for text in ["29%", "0.57%", "100%", "0%", "29"] {
        let limit = text.parse::<MaxRejects>().expect("a limit");
        assert_eq!((limit.to_string(), limit.allows(0, 0)), (text.to_owned(), true));
    }
}
