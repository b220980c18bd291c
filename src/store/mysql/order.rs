//! In which order users go into a table that has others between them.
//!
//! InnoDB takes a row that goes right behind the row inserted last into its page for one of an ascending series. When
//! the page is full it is split there, and all behind moves to a page of its own (`btr_page_get_split_rec_to_right` in
//! `storage/innobase/btr/btr0btr.cc`). Where nothing is behind, ascending ids so fill page after page. Between rows
//! that are there, they leave pages a tenth full, one after the other: half as many rows as there were made 3.6 times
//! the pages, each of which is written, logged and read again. A page whose new rows do not follow each other is split
//! in its middle.

/// Users who go into neighbouring pages, which are complete before the next are begun.
pub const WINDOW: usize = 512;

/// Every so many-th of a window goes in before those between: hardly two that follow each other meet no row of the
/// table's between them.
const STEP: usize = 8;

/// The table's rows stand between users until there is but one for so many of them.
const USERS_PER_ROW: u64 = 16;

/// Whether ascending users would split pages badly where the table has so many rows among so many of them.
pub fn is_between(rows: u64, users: u64) -> bool {
    rows > 0 && rows.saturating_mul(USERS_PER_ROW) >= users
}

/// Ascending places so that those of a window do not follow each other. The first window stays as it is: of two
/// transactions with the same users, the one that comes second waits there, where both go the same way, for the other's
/// end.
pub fn spread(places: &[u32]) -> Vec<u32> {
    let (first, others) = places.split_at(places.len().min(WINDOW));
    let mut order = Vec::with_capacity(places.len());
    order.extend(first);
    for window in others.chunks(WINDOW) {
        for from in 0..STEP {
            order.extend(window.iter().skip(from).step_by(STEP));
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_there_once_and_stays_within_its_window() {
        for count in [0, 1, 511, 512, 513, 1000, 1024, 1025, 25_000] {
            let places: Vec<u32> = (0..count).map(|place| place * 3).collect();
            let order = spread(&places);
            assert_eq!(order.len(), places.len());
            for (window, spread) in places.chunks(WINDOW).zip(order.chunks(WINDOW)) {
                let mut sorted = spread.to_vec();
                sorted.sort_unstable();
                assert_eq!(sorted, window);
            }
        }
    }

    #[test]
    fn in_no_window_but_the_first_does_one_follow_its_neighbour() {
        let places: Vec<u32> = (0..25_000).collect();
        let order = spread(&places);
        assert_eq!(order[..WINDOW], places[..WINDOW]);
        for window in order[WINDOW..].chunks(WINDOW) {
            assert!(window.windows(2).all(|two| two[0] + 1 != two[1]), "{window:?}");
        }
    }

    #[test]
    fn rows_are_between_users_unless_there_are_hardly_any() {
        assert!(!is_between(0, 0) && !is_between(0, 25_000) && !is_between(1000, 16_001));
        assert!(is_between(1000, 16_000) && is_between(5000, 0) && is_between(u64::MAX, 1));
    }
}
