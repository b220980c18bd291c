//! Formats for times that nothing else reads, by their own form: to be offered to a person, never used unasked.

use chrono::NaiveDate;

use super::Format;

/// Day, month and year in numbers with slashes, dots or hyphens at the beginning of a text.
pub struct ShortDate<'a> {
    signs: [&'a str; 2],
    /// The orders in which they are a date.
    pub orders: Vec<[&'static str; 3]>,
    behind: &'a str,
}

impl<'a> ShortDate<'a> {
    /// `None` where the text does not begin like that, or goes on without a sign that ends a date.
    pub fn of(text: &'a str) -> Option<Self> {
        let end = text.find(|sign: char| !sign.is_ascii_digit() && !is_sign(sign)).unwrap_or(text.len());
        let (date, behind) = text.split_at(end);
        if !behind.is_empty() && !behind.starts_with(is_joint) {
            return None;
        }
        let mut parts = date.split(is_sign);
        let (Some(one), Some(two), Some(three), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return None;
        };
        let short = |part: &str| matches!(part.len(), 1 | 2);
        let has_year = if short(one) { matches!(three.len(), 2 | 4) } else { one.len() == 4 && short(three) };
        if !short(two) || !has_year {
            return None;
        }
        let signs = [&date[one.len()..=one.len()], &date[date.len() - three.len() - 1..date.len() - three.len()]];
        let year = |part: &str| if part.len() == 4 { "%Y" } else { "%y" };
        let (first_year, last_year) = (year(one), year(three));
        let (first, second, last): (u32, u32, u32) = (one.parse().ok()?, two.parse().ok()?, three.parse().ok()?);
        // The century is open, but it decides only about the 29th of February: 2000 allows it wherever one could.
        let is_date = |year: u32, month, day| {
            let year = if year < 100 { 2000 + year } else { year };
            NaiveDate::from_ymd_opt(year as i32, month, day).is_some()
        };
        let orders = [
            (short(one) && is_date(last, second, first), ["%d", "%m", last_year]),
            (short(one) && is_date(last, first, second), ["%m", "%d", last_year]),
            (short(three) && is_date(first, second, last), [first_year, "%m", "%d"]),
        ];
        let orders = orders.into_iter().filter(|(possible, _)| *possible).map(|(_, order)| order).collect();
        Some(Self { signs, orders, behind })
    }
}

fn is_sign(sign: char) -> bool {
    matches!(sign, '/' | '.' | '-')
}

/// What stands between date, time of day and AM or PM. Programs write blanks of several kinds there, of which a blank
/// in a format stands for each.
fn is_joint(sign: char) -> bool {
    sign.is_whitespace() || matches!(sign, 'T' | ',')
}

/// Seconds since 1970 with a fraction.
fn is_epoch_with_fraction(text: &str) -> bool {
    let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(seconds, fraction)| {
        matches!((seconds.len(), fraction.len()), (9 | 10, 1..=9)) && are_digits(seconds) && are_digits(fraction)
    })
}

/// The formats that read a text.
pub fn formats(text: &str) -> Vec<String> {
    let epoch = is_epoch_with_fraction(text).then(|| vec!["%s%.f".to_owned()]);
    let mut formats = epoch.or_else(|| of_date(text)).unwrap_or_default();
    formats.retain(|format| matches!(Format::new(format).read(text), Ok(Some(_))));
    formats
}

/// Those of a text that begins with a date, as far as its time of day has a usual form.
fn of_date(text: &str) -> Option<Vec<String>> {
    let date = ShortDate::of(text)?;
    let behind = behind(date.behind)?;
    let [first, second] = date.signs;
    let orders = date.orders.iter();
    Some(orders.map(|[one, two, three]| format!("{one}{first}{two}{second}{three}{behind}")).collect())
}

/// The format of a time of day, with what stands between it and the date.
fn behind(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let (joint, time) = text.split_at(text.find(|sign: char| sign.is_ascii_digit())?);
    let end = time.find(|sign: char| !sign.is_ascii_digit() && !matches!(sign, ':' | '.')).unwrap_or(time.len());
    let (clock, rest) = time.split_at(end);
    let last = rest.trim_start();
    let blanks = &rest[..rest.len() - last.len()];
    let (hour, last) = match last.as_bytes() {
        [] => ("%H", ""),
        [b'A' | b'a' | b'P' | b'p', b'M' | b'm'] => ("%I", "%p"),
        [b'+' | b'-', ..] => ("%H", "%z"),
        _ => return None,
    };
    let seconds = match (clock.matches(':').count(), clock.contains('.')) {
        (1, false) => "",
        (2, false) => ":%S",
        (2, true) => ":%S%.f",
        _ => return None,
    };
    // What stands between goes into the format, so it must be none of what formats are made of.
    if !joint.chars().all(is_joint) {
        return None;
    }
    let [joint, blanks] = [joint, blanks].map(|text| text.replace(char::is_whitespace, " "));
    Some(format!("{joint}{hour}:%M{seconds}{blanks}{last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_the_form_of_the_text_in_each_order_that_is_possible() {
        for (text, expected) in [
            ("31.12.2024", &["%d.%m.%Y"][..]),
            ("1.2.2024 9:05", &["%d.%m.%Y %H:%M", "%m.%d.%Y %H:%M"]),
            ("12/31/2024 11:59:59 PM", &["%m/%d/%Y %I:%M:%S %p"]),
            ("12/31/2024, 11:59:59pm", &["%m/%d/%Y, %I:%M:%S%p"]),
            ("12/31/2024, 11:59:59\u{202f}PM", &["%m/%d/%Y, %I:%M:%S %p"]),
            ("31.12.2024\u{a0}23:59", &["%d.%m.%Y %H:%M"]),
            ("31-12-2024T23:59:59.250", &["%d-%m-%YT%H:%M:%S%.f"]),
            ("31/12/2024 23:59 +01:00", &["%d/%m/%Y %H:%M %z"]),
            ("01/02/03", &["%d/%m/%y", "%m/%d/%y", "%y/%m/%d"]),
            ("29.02.24", &["%d.%m.%y", "%y.%m.%d"]),
            ("2017/3/7 9:05", &["%Y/%m/%d %H:%M"]),
            ("2017-3-7 9:05:00", &["%Y-%m-%d %H:%M:%S"]),
            ("2017.03.07", &["%Y.%m.%d"]),
            ("2017-03-07 01:30 PM", &["%Y-%m-%d %I:%M %p"]),
            ("1488846654.0", &["%s%.f"]),
            ("148884665.123456789", &["%s%.f"]),
        ] {
            assert_eq!(formats(text), expected, "{text}");
        }
    }

    #[test]
    fn what_no_format_reads_for_certain_is_offered_none() {
        for text in [
            "",
            "31.13.2024",
            "31.12.2024 23 Uhr",
            "31.12.2024 25:00",
            "31.12.2024 %H 10:00",
            "1.2.2024x",
            "1.2.3",
            "2017/3/7x",
            "2017/3/32",
            "2017/3/2017",
            "14888466541.5",
            "1488846654.",
            "1488846654.1234567890",
            "1488846654.5Z",
        ] {
            assert_eq!(formats(text), [""; 0], "{text}");
        }
    }
}
