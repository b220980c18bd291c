//! Which offset a wall clock's time in a zone is read with, where the clock may have been put forward or back. Nearly
//! every time lies in the years of a table that is made once of chrono-tz's rules; for others the rules are asked.

use std::sync::OnceLock;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;

use super::Shift;

/// The table's span, 1900 to 2100, in seconds since 1970. Chrono-tz knows changes up to its end.
const BEGIN_S: i64 = -2_208_988_800;
const END_S: i64 = 4_102_444_800;
/// Changes are looked for by so many seconds: no zone has changed its offset twice in so short a time, the shortest
/// being a week of summer time in Brazil.
const STEP_S: i64 = 6 * 86_400;
/// No offset is larger, so that at so many seconds from the span's ends all of what decides is in it.
const OFFSET_MAX_S: i64 = 86_400;

/// A zone, with its table from the time on when that is needed.
pub struct Zone {
    zone: Tz,
    table: OnceLock<Table>,
}

impl Zone {
    pub fn new(zone: Tz) -> Self {
        Self { zone, table: OnceLock::new() }
    }

    pub fn is_utc(&self) -> bool {
        self.zone == Tz::UTC
    }

    /// Seconds east of UTC. Fold: those of the earlier instant. Gap: those that were in force before it, which shifts
    /// the time forward by the gap's length.
    pub fn offset(&self, local: NaiveDateTime) -> (i32, Shift) {
        let table = self.table.get_or_init(|| Table::new(self.zone));
        table.offset(local.and_utc().timestamp()).unwrap_or_else(|| offset_by_rules(self.zone, local))
    }
}

/// From which time of the wall clock on, in seconds since 1970 on that clock, which offset is read with.
struct Table(Vec<(i64, i32, Shift)>);

impl Table {
    fn new(zone: Tz) -> Self {
        let mut before = offset_at(zone, BEGIN_S);
        let mut spans = vec![(BEGIN_S + OFFSET_MAX_S, before, Shift::None)];
        let mut from = BEGIN_S;
        while from < END_S {
            let to = from + STEP_S;
            if offset_at(zone, to) != before {
                let change = first_with_other_offset(zone, before, from, to);
                let after = offset_at(zone, change);
                let (old, new) = (change + i64::from(before), change + i64::from(after));
                let shift = if old < new { Shift::Gap } else { Shift::Fold };
                spans.push((old.min(new), before, shift));
                spans.push((old.max(new), after, Shift::None));
                before = after;
            }
            from = to;
        }
        Self(spans)
    }

    /// `None` where the table does not tell.
    fn offset(&self, local_s: i64) -> Option<(i32, Shift)> {
        if local_s >= END_S - OFFSET_MAX_S {
            return None;
        }
        let next = self.0.partition_point(|(from, ..)| *from <= local_s);
        next.checked_sub(1).map(|at| (self.0[at].1, self.0[at].2))
    }
}

fn offset_at(zone: Tz, utc_s: i64) -> i32 {
    let utc = DateTime::from_timestamp(utc_s, 0).unwrap_or_default().naive_utc();
    zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()
}

/// The instant of the one change between `same`, where `offset` is in force, and `other`.
fn first_with_other_offset(zone: Tz, offset: i32, mut same: i64, mut other: i64) -> i64 {
    while other - same > 1 {
        let middle = same + (other - same) / 2;
        if offset_at(zone, middle) == offset { same = middle } else { other = middle }
    }
    other
}

fn offset_by_rules(zone: Tz, local: NaiveDateTime) -> (i32, Shift) {
    let at = |seconds: i32| {
        let utc = local - TimeDelta::seconds(seconds.into());
        zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()
    };
    match zone.offset_from_local_datetime(&local) {
        MappedLocalTime::Single(offset) => (offset.fix().local_minus_utc(), Shift::None),
        MappedLocalTime::Ambiguous(one, other) => {
            (one.fix().local_minus_utc().max(other.fix().local_minus_utc()), Shift::Fold)
        }
        MappedLocalTime::None => {
            // Inside a gap, read with the offset before it the instant lies behind the change, and read with the one
            // after it before the change: so these two steps meet both, and the smaller is the one before.
            let first = at(zone.offset_from_utc_datetime(&local).fix().local_minus_utc());
            let second = at(first);
            (first.min(second), Shift::Gap)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMED: [&str; 7] = [
        "Europe/Berlin",
        "America/Sao_Paulo",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Africa/Casablanca",
        "Europe/Dublin",
        "Asia/Kolkata",
    ];

    fn same(zone: Tz, local_s: i64) {
        let local = DateTime::from_timestamp(local_s, 0).expect("in range").naive_utc();
        assert_eq!(Zone::new(zone).offset(local), offset_by_rules(zone, local), "{zone} {local}");
    }

    #[test]
    fn the_table_changes_at_the_second_at_which_the_rules_do() {
        for name in NAMED {
            let zone = name.parse().expect("a zone");
            let table = Zone::new(zone);
            for (from, ..) in Table::new(zone).0 {
                for local_s in [from - 1, from, from + 1] {
                    let local = DateTime::from_timestamp(local_s, 0).expect("in range").naive_utc();
                    assert_eq!(table.offset(local), offset_by_rules(zone, local), "{zone} {local}");
                }
            }
        }
    }

    #[test]
    fn years_that_the_table_does_not_have_are_looked_up_in_the_rules() {
        for year in [-62_135_596_800, BEGIN_S, BEGIN_S + OFFSET_MAX_S, END_S - OFFSET_MAX_S, END_S, 250_000_000_000] {
            for local_s in [year - 1, year, year + 1] {
                NAMED.into_iter().for_each(|zone| same(zone.parse().expect("a zone"), local_s));
            }
        }
    }

    proptest! {
        #[test]
        fn the_table_tells_what_the_rules_tell_in_every_zone(
            zone in prop_oneof![
                prop::sample::select(&chrono_tz::TZ_VARIANTS[..]),
                prop::sample::select(&NAMED[..]).prop_map(|name| name.parse::<Tz>().expect("a zone")),
            ],
            local_s in BEGIN_S..END_S,
        ) {
            same(zone, local_s);
        }
    }
}
