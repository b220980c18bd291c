//! Every rule of reading a time, by name.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::{How, Reading, Shift, TimeError, Times, fixed, format::Format, iso};

const ORIGINAL: &str = "%d-%m-%y %H:%M:%S";

fn times(zone: &str, formats: &[&str]) -> Times {
    let formats: Vec<String> = formats.iter().map(ToString::to_string).collect();
    Times::new(zone.parse::<Tz>().unwrap(), &formats)
}

fn read_with(times: &Times, text: &str) -> Result<(String, Reading), TimeError> {
    let mut out = String::new();
    let reading = times.read(text, &mut out);
    assert_eq!(out.is_empty(), reading.is_err(), "{text}: a refused time appends nothing");
    reading.map(|reading| (out, reading))
}

#[track_caller]
fn reads(times: &Times, text: &str, stored: &str, how: How, shift: Shift) {
    assert_eq!(read_with(times, text), Ok((stored.to_string(), Reading { how, shift })), "{text}");
}

#[track_caller]
fn refuses(times: &Times, code: &str, texts: &[&str]) {
    for text in texts {
        assert_eq!(read_with(times, text).map_err(|error| error.code), Err(code), "{text}");
    }
}

fn utc() -> Times {
    times("UTC", &[ORIGINAL])
}

#[test]
fn rfc_3339_with_an_offset_is_stored_in_utc_with_milliseconds() {
    for (text, stored) in [
        ("2017-03-07T00:30:54Z", "2017-03-07T00:30:54.000Z"),
        ("2017-03-07t00:30:54z", "2017-03-07T00:30:54.000Z"),
        ("2017-03-07 00:30:54+01:00", "2017-03-06T23:30:54.000Z"),
        ("2017-03-07T00:30:54-0530", "2017-03-07T06:00:54.000Z"),
        ("2017-03-07T00:30:54 +05", "2017-03-06T19:30:54.000Z"),
        ("2017-03-07T00:30:54-00:00", "2017-03-07T00:30:54.000Z"),
        ("2017-03-07 00:30:54 UTC", "2017-03-07T00:30:54.000Z"),
        ("2017-03-07T00:30Z", "2017-03-07T00:30:00.000Z"),
        ("20170307T003054Z", "2017-03-07T00:30:54.000Z"),
        ("20170307T0030+0100", "2017-03-06T23:30:00.000Z"),
        ("  2017-03-07T00:30:54Z\t", "2017-03-07T00:30:54.000Z"),
    ] {
        reads(&times("Asia/Kolkata", &[ORIGINAL]), text, stored, How::Offset, Shift::None);
    }
}

#[test]
fn without_an_offset_the_configured_zone_is_assumed() {
    for (text, stored) in [
        ("2017-03-07T00:30:54", "2017-03-06T19:00:54.000Z"),
        ("2017-03-07 00:30", "2017-03-06T19:00:00.000Z"),
        ("2017-03-07", "2017-03-06T18:30:00.000Z"),
        ("20170307", "2017-03-06T18:30:00.000Z"),
        ("20170307123054", "2017-03-07T07:00:54.000Z"),
    ] {
        reads(&times("Asia/Kolkata", &[]), text, stored, How::Zone, Shift::None);
    }
    reads(&utc(), "2017-03-07", "2017-03-07T00:00:00.000Z", How::Zone, Shift::None);
}

#[test]
fn fractions_have_three_digits_and_six_or_nine_only_where_finer_ones_are_not_zero() {
    for (fraction, stored) in [
        ("0", "000"),
        ("5", "500"),
        ("123", "123"),
        ("123000000", "123"),
        ("1234", "123400"),
        ("123456", "123456"),
        ("1234567", "123456700"),
        ("000000001", "000000001"),
    ] {
        for point in ['.', ','] {
            let text = format!("2017-03-07T00:30:54{point}{fraction}Z");
            reads(&utc(), &text, &format!("2017-03-07T00:30:54.{stored}Z"), How::Offset, Shift::None);
        }
    }
    refuses(
        &utc(),
        "time_unreadable",
        &["2017-03-07T00:30:54.1234567890Z", "2017-03-07T00:30:54.Z", "2017-03-07T00:30.5"],
    );
}

#[test]
fn epochs_are_told_by_their_number_of_digits() {
    for (text, stored) in [
        ("1488846654", "2017-03-07T00:30:54.000Z"),
        ("999999999", "2001-09-09T01:46:39.000Z"),
        ("1488846654123", "2017-03-07T00:30:54.123Z"),
        ("999999999999", "2001-09-09T01:46:39.999Z"),
        ("1488846654123456", "2017-03-07T00:30:54.123456Z"),
        ("999999999999999", "2001-09-09T01:46:39.999999Z"),
        ("1488846654123456789", "2017-03-07T00:30:54.123456789Z"),
        ("999999999999999999", "2001-09-09T01:46:39.999999999Z"),
        ("9999999999999999999", "2286-11-20T17:46:39.999999999Z"),
    ] {
        reads(&times("Asia/Kolkata", &[ORIGINAL]), text, stored, How::Epoch, Shift::None);
    }
}

#[test]
fn other_bare_numbers_are_refused() {
    let bare = ["0", "2017", "42801", "1234567", "12345678901", "12345678901234567", "12345678901234567890"];
    refuses(&utc(), "time_unreadable", &bare);
    refuses(&utc(), "time_unreadable", &["-1488846654", "+1488846654", "-20170307", "1488846654.5"]);
}

#[test]
fn eight_and_fourteen_digits_are_calendar_times_or_nothing() {
    refuses(&utc(), "time_impossible", &["20170230", "20171301", "99999999", "20170307240000", "20170307126100"]);
    refuses(&utc(), "time_leap_second", &["20161231235960"]);
}

#[test]
fn twelve_digits_that_may_be_a_calendar_time_are_refused_unless_a_format_decides() {
    refuses(&utc(), "time_ambiguous", &["201703071230", "190001010000", "209912312359"]);
    let formats = times("UTC", &["%Y%m%d%H%M"]);
    reads(&formats, "201703071230", "2017-03-07T12:30:00.000Z", How::Format(0), Shift::None);
    for (digits, time) in [
        ("946684800000", "2000-01-01T00:00:00.000Z"),
        ("978307200000", "2001-01-01T00:00:00.000Z"),
        ("189912312359", "1976-01-08T01:25:12.359Z"),
        ("210001010000", "1976-08-27T13:36:50.000Z"),
    ] {
        reads(&utc(), digits, time, How::Epoch, Shift::None);
    }
}

#[test]
fn rfc_2822_is_read_with_offsets_in_numbers_or_names_of_utc() {
    for (text, stored) in [
        ("Tue, 07 Mar 2017 00:30:54 +0100", "2017-03-06T23:30:54.000Z"),
        ("7 Mar 2017 00:30 -0800 (PST)", "2017-03-07T08:30:00.000Z"),
        ("Tue, 07 Mar 2017 00:30:54 GMT", "2017-03-07T00:30:54.000Z"),
        ("Tue, 07 Mar 2017 00:30:54 UT", "2017-03-07T00:30:54.000Z"),
        ("Tue, 07 Mar 2017 00:30:54 UTC", "2017-03-07T00:30:54.000Z"),
        ("Tue, 07 Mar 2017 00:30:54 Z", "2017-03-07T00:30:54.000Z"),
    ] {
        reads(&utc(), text, stored, How::Offset, Shift::None);
    }
    refuses(&utc(), "time_impossible", &["Tue, 32 Mar 2017 00:30:54 +0100", "Wed, 07 Mar 2017 00:30:54 +0100"]);
    refuses(&utc(), "time_unreadable", &["Tue, 07 Mar 2017 00:30:54"]);
}

#[test]
fn zones_in_letters_are_ambiguous_but_for_the_names_of_utc() {
    let letters = [
        "Tue, 07 Mar 2017 00:30:54 PST",
        "Tue, 07 Mar 2017 00:30:54 EST",
        "Tue, 07 Mar 2017 00:30:54 A",
        "Tue, 07 Mar 2017 00:30:54 CET",
        "2017-03-07 00:30:54 PST",
        "2017-03-07T00:30:54CET",
    ];
    refuses(&utc(), "time_ambiguous", &letters);
    let named = times("Europe/Berlin", &["%d.%m.%Y %H:%M %Z"]);
    refuses(&named, "time_ambiguous", &["07.03.2017 00:30 PST"]);
    reads(&named, "07.03.2017 00:30 UTC", "2017-03-07T00:30:00.000Z", How::Format(0), Shift::None);
}

#[test]
fn formats_come_before_everything_else_in_their_order() {
    let formats = times("Asia/Kolkata", &["%d/%m/%Y", "%m/%d/%Y", "%Y%d%m"]);
    reads(&formats, "03/04/2017", "2017-04-02T18:30:00.000Z", How::Format(0), Shift::None);
    reads(&formats, "03/25/2017", "2017-03-24T18:30:00.000Z", How::Format(1), Shift::None);
    reads(&formats, "20170307", "2017-07-02T18:30:00.000Z", How::Format(2), Shift::None);
    reads(&formats, "2017-03-07", "2017-03-06T18:30:00.000Z", How::Zone, Shift::None);
    refuses(&formats, "time_impossible", &["30/30/2017"]);
}

#[test]
fn the_original_format_is_read_with_years_69_to_99_as_19xx() {
    for (year, century) in [("69", "19"), ("70", "19"), ("99", "19"), ("00", "20"), ("17", "20"), ("68", "20")] {
        let stored = format!("{century}{year}-03-07T00:30:54.000Z");
        reads(&utc(), &format!("07-03-{year} 00:30:54"), &stored, How::Format(0), Shift::None);
    }
}

#[test]
fn a_format_with_an_offset_or_an_epoch_uses_it() {
    let formats = times("Asia/Kolkata", &["%d.%m.%Y %H:%M %z", "@%s", "%d.%m.%Y %H Uhr", "%m/%d/%Y %I:%M:%S %p"]);
    reads(&formats, "07.03.2017 00:30 +0100", "2017-03-06T23:30:00.000Z", How::Format(0), Shift::None);
    reads(&formats, "@1488846654", "2017-03-07T00:30:54.000Z", How::Format(1), Shift::None);
    reads(&formats, "07.03.2017 12 Uhr", "2017-03-07T06:30:00.000Z", How::Format(2), Shift::None);
    reads(&formats, "03/07/2017 01:30:54 PM", "2017-03-07T08:00:54.000Z", How::Format(3), Shift::None);
}

#[test]
fn a_format_matches_the_whole_text_or_nothing() {
    let formats = times("UTC", &["%d.%m.%Y", "%H:%M"]);
    refuses(&formats, "time_unreadable", &["07.03.2017x", "12:30", "25.03.2017 12:30"]);
    refuses(&formats, "time_ambiguous", &["07.03.2017 12:30"]);
}

#[test]
fn blanks_are_where_the_format_has_them_and_nowhere_else() {
    let missing = ["07-03-2017:30:54", "07-03-1712:30:54", "07- 3-17 12:30:54", "07-03-17 12:30: 54"];
    for text in missing {
        assert!(read_with(&utc(), text).is_err(), "{text}");
    }
    reads(&utc(), "7-3-17  1:2:3", "2017-03-07T01:02:03.000Z", How::Format(0), Shift::None);
    reads(
        &times("UTC", &[" %c "]),
        "Tue Mar  7 12:30:54 2017",
        "2017-03-07T12:30:54.000Z",
        How::Format(0),
        Shift::None,
    );
}

#[test]
fn among_numbers_that_touch_each_has_all_of_its_digits_and_a_year_has_four() {
    let touching = times("UTC", &["%d%m%y %H%M%S", "%Y%m%d%H%M", "%m/%d/%Y"]);
    reads(&touching, "070317 123054", "2017-03-07T12:30:54.000Z", How::Format(0), Shift::None);
    assert!(read_with(&touching, "07032017 1230").is_err());
    assert!(read_with(&touching, "07031 123054").is_err());
    refuses(&touching, "time_unreadable", &["20170307123"]);
    refuses(&touching, "time_ambiguous", &["03/07/17"]);
}

#[test]
fn fractions_in_a_format_are_never_cut_nor_taken_for_nanoseconds() {
    for format in ["%d.%m.%Y %H:%M:%S%.f", "%d.%m.%Y %H:%M:%S.%f", "%d.%m.%Y %H:%M:%S,%f"] {
        let formats = times("UTC", &[format]);
        let point = if format.contains(',') { ',' } else { '.' };
        for (fraction, stored) in [("123", "123"), ("1234", "123400"), ("123456789", "123456789")] {
            let stored = format!("2017-03-07T12:30:54.{stored}Z");
            reads(&formats, &format!("07.03.2017 12:30:54{point}{fraction}"), &stored, How::Format(0), Shift::None);
        }
        refuses(&formats, "time_unreadable", &[&format!("07.03.2017 12:30:54{point}1234567890")]);
    }
    reads(&times("UTC", &["%s%.f"]), "1488846654.5", "2017-03-07T00:30:54.500Z", How::Format(0), Shift::None);
}

#[test]
fn a_format_that_could_never_tell_a_time_is_refused_as_an_option() {
    let check = |format: &str| crate::rows::RowOptions { formats: vec![format.into()], ..Default::default() }.check();
    for format in ["%H:%M", "%d/%m", "%m/%d/%Y %I:%M", "%y", "%Q"] {
        assert!(check(format).is_err(), "{format}");
    }
    let good = [ORIGINAL, "%s", "%s%.3f", "%c", "%D", "%+", "%d.%m.%Y", "%Y%j", "%G-W%V-%u", "%d-%b-%y %l:%M %p %Z"];
    for format in good.into_iter().chain(["%m/%d/%Y %I:%M:%S %p", "%Y-%m-%d %H:%M:%S.%f %z", "%A, %e %B %Y %H Uhr"]) {
        assert_eq!(check(format), Ok(()), "{format}");
    }
}

#[test]
fn in_a_fold_the_earlier_instant_is_stored() {
    let stored = "2017-10-29T00:30:00.000Z";
    reads(&times("Europe/Berlin", &[]), "2017-10-29T02:30:00", stored, How::Zone, Shift::Fold);
    let formats = times("Europe/Berlin", &[ORIGINAL]);
    reads(&formats, "29-10-17 02:30:00", stored, How::Format(0), Shift::Fold);
    reads(&times("Australia/Lord_Howe", &[]), "2017-04-02 01:45", "2017-04-01T14:45:00.000Z", How::Zone, Shift::Fold);
}

#[test]
fn in_a_gap_the_time_is_shifted_forward_by_the_gaps_length() {
    for (zone, text, stored) in [
        ("Europe/Berlin", "2017-03-26T02:30:00", "2017-03-26T01:30:00.000Z"),
        ("Europe/Berlin", "2017-03-26T02:00:00", "2017-03-26T01:00:00.000Z"),
        // The clock goes from 00:00 to 01:00: the day begins with the gap.
        ("America/Sao_Paulo", "2017-10-15", "2017-10-15T03:00:00.000Z"),
        // Half an hour: 02:15 becomes 02:45, at +11.
        ("Australia/Lord_Howe", "2017-10-01T02:15:00", "2017-09-30T15:45:00.000Z"),
        // A whole day was left out: it becomes the same time of the next, at +14.
        ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T22:00:00.000Z"),
    ] {
        reads(&times(zone, &[]), text, stored, How::Zone, Shift::Gap);
    }
}

#[test]
fn an_offset_is_never_a_fold_or_a_gap() {
    let berlin = times("Europe/Berlin", &[]);
    reads(&berlin, "2017-10-29T02:30:00+01:00", "2017-10-29T01:30:00.000Z", How::Offset, Shift::None);
    reads(&berlin, "2017-03-26T02:30:00+01:00", "2017-03-26T01:30:00.000Z", How::Offset, Shift::None);
}

#[test]
fn dates_whose_day_and_month_may_be_swapped_are_ambiguous() {
    refuses(&utc(), "time_ambiguous", &["03/04/2017", "3.4.2017", "03-04-2017 12:30", "03/04/17", "17-03-07"]);
    refuses(&utc(), "time_unreadable", &["25/03/2017", "03/25/2017", "25.03.2017 12:30:00", "2017/03/07"]);
    refuses(&utc(), "time_impossible", &["31/13/2024", "30.02.2017", "2017/13/07"]);
}

#[test]
fn a_leap_second_is_refused_in_every_form() {
    let forms = [
        "2016-12-31T23:59:60Z",
        "2016-12-31 23:59:60",
        "20161231T235960Z",
        "31-12-16 23:59:60",
        "Sat, 31 Dec 2016 23:59:60 +0000",
    ];
    refuses(&utc(), "time_leap_second", &forms);
}

#[test]
fn impossible_times_are_refused() {
    let impossible = [
        "2017-02-30",
        "2017-02-29T00:00:00Z",
        "2017-13-01",
        "2017-00-10",
        "2017-03-07T24:00:00Z",
        "2017-03-07T12:60:00Z",
        "2017-03-07T12:30:61Z",
        "2017-03-07T12:30:54+24:00",
        "2017-03-07T12:30:54+01:60",
        "31-02-17 00:00:00",
        "32-01-17 00:00:00",
        "07-03-17 24:00:00",
        "99-99-99 99:99:99",
    ];
    refuses(&utc(), "time_impossible", &impossible);
}

#[test]
fn years_outside_0000_to_9999_are_refused_also_after_conversion() {
    reads(&utc(), "0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z", How::Offset, Shift::None);
    reads(&utc(), "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z", How::Offset, Shift::None);
    let outside =
        ["0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "12017-03-07", "-0001-01-01", "+12017-03-07T00:00"];
    refuses(&utc(), "time_out_of_range", &outside);
    refuses(&times("Asia/Kolkata", &[]), "time_out_of_range", &["0000-01-01"]);
    refuses(&times("America/Sao_Paulo", &[]), "time_out_of_range", &["9999-12-31T23:00:00"]);
    refuses(&times("UTC", &["%d.%m.%Y"]), "time_out_of_range", &["07.03.+12017"]);
}

#[test]
fn an_empty_field_is_told_apart_from_an_unreadable_one() {
    refuses(&utc(), "time_empty", &["", "  ", "\t"]);
    refuses(
        &utc(),
        "time_unreadable",
        &["yesterday", "N/A", "2017-03", "2017-03-07T", "2017-03-07T12", "12:30", "é", "2017-03-07 01:30 PM"],
    );
}

#[test]
fn a_message_quotes_the_value_in_ascii_and_cuts_it_to_sixty_characters() {
    let message = |text: &str| read_with(&utc(), text).unwrap_err().message;
    assert_eq!(message("31/13/2024"), "\"31/13/2024\" is not a date");
    for (text, format) in [("2017/03/07 12:30", "%Y/%m/%d %H:%M"), ("1488846654.5", "%s%.f")] {
        let expected = format!("\"{text}\" is read only with a format; set formats, such as {format}");
        assert_eq!(message(text), expected);
    }
    assert!(message("é\n\"x").starts_with(r#""\u{e9}\n"x" is not a time"#), "{}", message("é\n\"x"));
    assert!(message(&"x".repeat(61)).starts_with(&format!("\"{}...\" is not", "x".repeat(60))));
    assert!(message(&"x".repeat(60)).starts_with(&format!("\"{}\" is not", "x".repeat(60))));
}

fn chrono_stores(time: DateTime<Utc>) -> String {
    let text = time.format("%Y-%m-%dT%H:%M:%S%.9fZ").to_string();
    let short = text.replace("000000Z", "Z");
    if short == text { text.replace("000Z", "Z") } else { short }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn rfc_3339_is_read_as_chrono_reads_it(
        text in r"(0000|9999|[0-9]{4})-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,9})?([Zz]|[+-][0-2][0-9]:[0-6][0-9])"
    ) {
        let chrono = DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc());
        match (read_with(&times("Asia/Kolkata", &[]), &text), chrono) {
            (Ok((stored, reading)), Ok(time)) => {
                prop_assert_eq!(stored, chrono_stores(time));
                prop_assert_eq!(reading, Reading { how: How::Offset, shift: Shift::None });
            }
            (Ok(_), Err(error)) => prop_assert!(false, "chrono refuses {}: {}", text, error),
            (Err(error), Ok(time)) => {
                let known = text[17..19] == *"60" || !(0..=9999).contains(&time.year());
                prop_assert!(known, "chrono reads what is refused: {}", error);
            }
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn iso_without_an_offset_is_read_as_chrono_reads_it(
        text in r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,9})?"
    ) {
        let chrono = text.parse::<NaiveDateTime>();
        match (read_with(&times("UTC", &[]), &text), chrono) {
            (Ok((stored, _)), Ok(time)) => prop_assert_eq!(stored, chrono_stores(time.and_utc())),
            (Ok(_), Err(error)) => prop_assert!(false, "chrono refuses {}: {}", text, error),
            (Err(error), Ok(_)) => prop_assert_eq!(&text[17..19], "60", "{}", error),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn every_instant_is_read_in_every_iso_shape_as_chrono_reads_it(
        seconds in -62_167_132_800_i64..253_402_214_400,
        nanos in prop_oneof![Just(0), (0..1000_u32).prop_map(|ms| ms * 1_000_000), 0..1_000_000_000_u32],
        offset in -1439..1440_i32,
        shape in prop::sample::select(vec!["%FT%T%.9f%:z", "%F %T%.9f%z", "%Ft%T%.9f %:z", "%Y%m%dT%H%M%S%.9f%z"]),
    ) {
        let utc = DateTime::from_timestamp(seconds, nanos).unwrap();
        let shown = utc.with_timezone(&FixedOffset::east_opt(offset * 60).unwrap());
        let text = shown.format(shape).to_string();
        let (stored, reading) = read_with(&times("Asia/Kolkata", &[ORIGINAL]), &text).unwrap();
        prop_assert_eq!(&stored, &chrono_stores(utc), "{}", text);
        prop_assert_eq!(reading, Reading { how: How::Offset, shift: Shift::None });
    }

    #[test]
    fn what_is_read_at_fixed_places_is_what_the_general_form_reads(
        text in r"[0-9]{4}-[01][0-9]-[0-3][0-9][Tt _][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{0,10})?([Zz]|[+-][0-2][0-9]:?[0-6][0-9])?",
        zone in prop::sample::select(vec!["UTC", "Europe/Dublin", "Australia/Lord_Howe"]),
    ) {
        let times = times(zone, &[]);
        let general = iso::read(&text).and_then(|moment| moment.map(|moment| times.place(moment)).transpose());
        match fixed::read(text.as_bytes()).and_then(|(time, basis)| times.place_fields(time, basis)) {
            Some((utc, reading)) => {
                let (mut here, mut there) = (String::new(), String::new());
                super::write(utc, &mut here);
                let (utc, expected) = general.unwrap().unwrap();
                super::write(utc.into(), &mut there);
                prop_assert_eq!((here, reading), (there, expected), "{}", text);
            }
            // Left to the general form, for its reason; of what that reads only offsets without a colon.
            None => prop_assert!(!matches!(general, Ok(Some(_))) || !text[text.len() - 4..].contains(':'), "{}", text),
        }
    }

    #[test]
    fn a_text_of_three_digits_fits_no_format_that_begins_with_a_short_number(
        format in prop::sample::select(vec![ORIGINAL, "%m/%d/%Y", "%H:%M %d-%m-%Y", "%e.%m.%y", "%y-%m-%d", "%I Uhr %p %F"]),
        text in r"[0-9]{3,5}[-/:. ]?[0-9]{0,2}[-/:. ]?[0-9]{0,4}( [0-9:]{0,8})?",
    ) {
        let read = Format::new(format).read(&text);
        prop_assert_eq!(read, Ok(None));
        prop_assert_eq!(Format::new(format).read_all(&text), Ok(None));
    }

    #[test]
    fn in_every_zone_the_instant_shows_the_local_time_again_unless_it_fell_into_a_gap(
        zone in prop::sample::select(vec!["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia"]),
        quarter in 0..(130 * 365 * 96_i64),
    ) {
        let local = DateTime::from_timestamp((quarter - 60 * 365 * 96) * 900, 0).unwrap().naive_utc();
        let (stored, reading) = read_with(&times(zone, &[]), &local.format("%Y-%m-%dT%H:%M:%S").to_string()).unwrap();
        let instant = DateTime::parse_from_rfc3339(&stored).unwrap();
        let shown = zone.parse::<Tz>().unwrap().from_utc_datetime(&instant.naive_utc()).naive_local();
        prop_assert_eq!(shown == local, reading.shift != Shift::Gap);
        prop_assert!(shown >= local);
    }

    #[test]
    fn whatever_the_text_the_answer_has_one_of_the_known_forms(text in r"[0-9TZ:./+\- aMé]{0,24}|\PC{0,80}") {
        match read_with(&times("Europe/Berlin", &[ORIGINAL, "%Y/%m/%d %Z"]), &text) {
            Ok((stored, _)) => {
                prop_assert!(matches!(stored.len(), 24 | 27 | 30));
                prop_assert!(DateTime::parse_from_rfc3339(&stored).is_ok());
            }
            Err(error) => {
                prop_assert!(error.code.starts_with("time_"));
                prop_assert!(error.message.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            }
        }
    }
}
