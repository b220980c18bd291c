//! The key of a range: a number that Spark's partitioning brings to the range's own partition. Numbers taken as they
//! come would meet by chance, and some tasks would get two ranges and others none. Nothing but balance depends on it.

/// The seed of Spark's `hash` and of its hash partitioning.
const SEED: u32 = 42;

/// One key a range, for as many partitions as there are ranges.
pub fn of_ranges(ranges: usize) -> Vec<i32> {
    let mut keys = vec![None; ranges];
    let mut left = ranges;
    for key in 0.. {
        if left == 0 {
            break;
        }
        let partition = murmur3(key).rem_euclid(i32::try_from(ranges).unwrap_or(i32::MAX)) as usize;
        if keys[partition].is_none() {
            keys[partition] = Some(key);
            left -= 1;
        }
    }
    keys.into_iter().flatten().collect()
}

/// Spark's hash of an INT: MurmurHash3, x86, 32 bit, of its four bytes (`Murmur3_x86_32.hashInt`).
fn murmur3(key: i32) -> i32 {
    let mixed = (key as u32).wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash = (SEED ^ mixed).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64) ^ 4;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    (hash ^ hash >> 16) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `SELECT hash(0), hash(1)` answers.
    #[test]
    fn the_hash_is_sparks() {
        assert_eq!((murmur3(0), murmur3(1)), (933_211_791, -559_580_957));
    }

    #[test]
    fn every_range_has_a_partition_of_its_own() {
        for ranges in [1, 2, 16, 100] {
            let keys = of_ranges(ranges);
            let partitions: Vec<_> = keys.iter().map(|key| murmur3(*key).rem_euclid(ranges as i32)).collect();
            assert_eq!(partitions, (0..ranges as i32).collect::<Vec<_>>());
        }
    }
}
