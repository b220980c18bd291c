//! A wall clock's time in a zone to the instant, where the clock may have been put forward or back.

use chrono::{MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;

use super::Shift;

/// Fold: the earlier instant. Gap: shifted forward by its length, which is to say read with the offset that was in
/// force before it.
pub fn to_utc(zone: Tz, local: NaiveDateTime) -> (NaiveDateTime, Shift) {
    let with = |seconds: i32| local - TimeDelta::seconds(seconds.into());
    let at = |utc: NaiveDateTime| zone.offset_from_utc_datetime(&utc).fix().local_minus_utc();
    match zone.offset_from_local_datetime(&local) {
        MappedLocalTime::Single(offset) => (with(offset.fix().local_minus_utc()), Shift::None),
        MappedLocalTime::Ambiguous(one, other) => {
            let east = one.fix().local_minus_utc().max(other.fix().local_minus_utc());
            (with(east), Shift::Fold)
        }
        MappedLocalTime::None => {
            // Inside a gap, read with the offset before it the instant lies behind the change, and read with the one
            // after it before the change: so these two steps meet both, and the smaller is the one before.
            let first = at(with(at(local)));
            let second = at(with(first));
            (with(first.min(second)), Shift::Gap)
        }
    }
}
