//! How large segments, arenas and blocks are. Counts and results depend on none of it.

/// Bounds of time and memory for one upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    pub segment_bytes: u64,
    /// Rows that are sorted in memory.
    pub arena_bytes: usize,
    /// A run's block, which is also what a merge holds of each run.
    pub block_bytes: usize,
    /// The blocks that one merge holds.
    pub buffers_bytes: usize,
}

const SEGMENT_MIN: u64 = 32 << 20;
/// Segments of a large file: what a merge can read at once.
const SEGMENTS: u64 = 512;
const BLOCK_MAX: u64 = 64 << 10;
/// Below it, reading many runs at once is mostly seeking: they are merged in groups first.
const BLOCK_MIN: u64 = 8 << 10;

impl Sizes {
    /// For a file of `input_bytes`: an arena of three quarters of the memory, and when the arenas are gone six tenths
    /// of it for `merges` at once.
    pub fn new(input_bytes: u64, memory_bytes: u64, merges: usize) -> Self {
        let segment_bytes = SEGMENT_MIN.max(input_bytes / SEGMENTS);
        let arena = memory_bytes / 4 * 3;
        let buffers = memory_bytes / 10 * 6 / merges.max(1) as u64;
        // A cleaned row and its place in the arena are at most about twice as long as the row in the file.
        let runs = (input_bytes / segment_bytes).max(input_bytes.saturating_mul(2) / arena.max(1)) + 1;
        let block = (buffers / runs).clamp(BLOCK_MIN, BLOCK_MAX);
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self { segment_bytes, arena_bytes: size(arena), block_bytes: size(block), buffers_bytes: size(buffers) }
    }

    /// Runs that one merge can read at once.
    pub fn runs_max(&self) -> usize {
        (self.buffers_bytes / self.block_bytes.max(1)).max(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_gigabytes_are_merged_in_one_pass_with_the_default_memory() {
        let sizes = Sizes::new(50 << 30, 256 << 20, 3);
        assert_eq!(sizes.segment_bytes, 100 << 20);
        assert!(sizes.runs_max() >= 513, "{sizes:?}");
    }

    #[test]
    fn blocks_never_fall_below_eight_kibibytes() {
        let sizes = Sizes::new(50 << 30, 8 << 20, 3);
        assert_eq!(sizes.block_bytes, 8 << 10);
        assert!(sizes.runs_max() < 512);
    }
}
