//! One range of bytes (RFC 9110, section 14). Several ranges at once are answered with the whole, as it allows.

/// What a `Range` header asks for of `size` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Whole,
    /// `start` inclusive, `end` exclusive.
    Part {
        start: u64,
        end: u64,
    },
    /// Begins behind the end.
    Nothing,
}

pub(super) fn parse(header: Option<&str>, size: u64) -> Asked {
    let range = header.and_then(|header| header.trim().strip_prefix("bytes=")).filter(|range| !range.contains(','));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else { return Asked::Whole };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (number(first), number(last)) {
        (Some(start), _) if start >= size => Asked::Nothing,
        (Some(start), Some(last)) if last >= start => Asked::Part { start, end: last.saturating_add(1).min(size) },
        (Some(start), None) if last.trim().is_empty() => Asked::Part { start, end: size },
        (None, Some(0)) if first.trim().is_empty() => Asked::Nothing,
        (None, Some(count)) if first.trim().is_empty() && size > 0 => {
            Asked::Part { start: size.saturating_sub(count), end: size }
        }
        _ => Asked::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked::*, *};

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        for (header, asked) in [
            ("bytes=0-9", Part { start: 0, end: 10 }),
            ("bytes=90-", Part { start: 90, end: 100 }),
            ("bytes=-10", Part { start: 90, end: 100 }),
            ("bytes=-1000", Part { start: 0, end: 100 }),
            ("bytes=90-1000", Part { start: 90, end: 100 }),
            ("bytes=99-99", Part { start: 99, end: 100 }),
            ("bytes=100-", Nothing),
            ("bytes=-0", Nothing),
            ("bytes=9-3", Whole),
            ("bytes=0-1,4-5", Whole),
            ("lines=0-1", Whole),
            ("bytes=x-", Whole),
        ] {
            assert_eq!(parse(Some(header), 100), asked, "{header}");
        }
        assert_eq!(parse(None, 100), Whole);
        assert_eq!(parse(Some("bytes=0-"), 0), Nothing);
    }
}
