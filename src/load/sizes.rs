//! How large segments, arenas and blocks are. Counts and results depend on none of it.

/// Bounds of time and memory for one upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// That clean at once, each with an arena of its own.
    pub threads: usize,
    pub segment_bytes: u64,
    /// Rows that are sorted in memory.
    pub arena_bytes: usize,
    /// A run's block, which is also what a merge holds of each run.
    pub block_bytes: usize,
    /// The blocks that one merge holds.
    pub buffers_bytes: usize,
}

/// A file up to this size is one segment.
const SEGMENT_MIN: u64 = 4 << 20;
const SEGMENT_MAX: u64 = 32 << 20;
/// Enough that no thread waits long for another at the end.
const SEGMENTS_PER_THREAD: u64 = 4;
/// Segments of a large file: what a merge can read at once.
const SEGMENTS: u64 = 512;
const BLOCK_MAX: u64 = 64 << 10;
/// Below it, reading many runs at once is mostly seeking: they are merged in groups first.
const BLOCK_MIN: u64 = 8 << 10;

impl Sizes {
    /// For a file of `input_bytes`: arenas of three quarters of the memory for `threads`, and when these are gone six
    /// tenths of it for `merges` at once. Fewer threads have larger arenas and make fewer runs: there are only so many
    /// that one merge can read all runs, where that can be had. Else these are merged in groups, on twice the disk.
    pub fn new(input_bytes: u64, memory_bytes: u64, threads: usize, merges: usize) -> Self {
        let with = |threads| Self::with_threads(input_bytes, memory_bytes, threads, merges);
        let mut fewer =
            (1..=threads).rev().map(with).filter(|sizes| sizes.runs(input_bytes) <= sizes.runs_max() as u64);
        fewer.next().unwrap_or_else(|| with(threads.max(1)))
    }

    fn with_threads(input_bytes: u64, memory_bytes: u64, threads: usize, merges: usize) -> Self {
        let arena = memory_bytes / 4 * 3 / threads as u64;
        let buffers = memory_bytes / 10 * 6 / merges.max(1) as u64;
        let wanted =
            (input_bytes / (SEGMENTS_PER_THREAD * threads as u64)).min(SEGMENT_MAX).max(input_bytes / SEGMENTS);
        // A cleaned row and its place in the arena are at most about twice as long as the row in the file; of a segment
        // that is larger than the arena, one run would be small.
        let wanted = wanted.min(arena / 2).max(SEGMENT_MIN);
        // All of one size, without a small one at the end.
        let segment_bytes = input_bytes.div_ceil(input_bytes.div_ceil(wanted).max(1)).max(1);
        #[cfg(feature = "faults")]
        let segment_bytes = if crate::faults::small_segments() { 16 << 10 } else { segment_bytes };
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let sizes =
            Self { threads, segment_bytes, arena_bytes: size(arena), block_bytes: 0, buffers_bytes: size(buffers) };
        let block = (buffers / sizes.runs(input_bytes)).clamp(BLOCK_MIN, BLOCK_MAX);
        Self { block_bytes: size(block), ..sizes }
    }

    /// About how many runs the file makes.
    fn runs(&self, input_bytes: u64) -> u64 {
        let arenas = input_bytes.saturating_mul(2) / self.arena_bytes.max(1) as u64;
        (input_bytes / self.segment_bytes).max(arenas) + 1
    }

    /// Runs that one merge can read at once.
    pub fn runs_max(&self) -> usize {
        (self.buffers_bytes / self.block_bytes.max(1)).max(2)
    }
}

/// What of a gzip file's size its expanded content has, at a guess: it is known only once it is expanded, and CSV
/// files of users shrink to a third or a quarter.
const GZIP_EXPANDS: u64 = 4;

/// Bytes of the work disk that preparing a file of `size` bytes (as received) takes: runs and rejects are about 1.1
/// times the file, and a file of one segment has no runs. Of gzip content the expanded file lies there, too: 2.1
/// times what it expands to, which is guessed. Rows that grow by being cleaned (short times), or a file that is mostly
/// rejects, need more; a disk that becomes full all the same is waited for (service `Disk`).
pub fn disk_need(size: u64, gzip: bool) -> u64 {
    let expanded = if gzip { size.saturating_mul(GZIP_EXPANDS) } else { size };
    let runs = if expanded <= SEGMENT_MIN { 0 } else { expanded.saturating_add(expanded / 10) };
    if gzip { expanded.saturating_add(runs) } else { runs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_rejects_need_a_tenth_more_than_the_file() {
        assert_eq!(disk_need(1_000_000_000, false), 1_100_000_000);
        assert_eq!(disk_need(u64::MAX, false), u64::MAX);
    }

    #[test]
    fn gzip_content_needs_twice_and_a_tenth_what_it_expands_to() {
        assert_eq!(disk_need(100_000_000, true), 840_000_000);
        assert_eq!(disk_need(1000, true), 4000);
    }

    #[test]
    fn a_small_file_needs_no_disk() {
        assert_eq!(disk_need(1 << 20, false), 0);
    }

    #[test]
    fn fifty_gigabytes_are_merged_in_one_pass_with_the_default_memory() {
        let sizes = Sizes::new(50 << 30, 256 << 20, 2, 3);
        assert!(sizes.runs_max() as u64 >= (50 << 30) / sizes.segment_bytes, "{sizes:?}");
        assert!(sizes.segment_bytes as usize * 2 <= sizes.arena_bytes, "{sizes:?}");
    }

    #[test]
    fn of_many_cores_only_so_many_clean_that_one_merge_reads_all_runs() {
        for cores in 1..=64 {
            let sizes = Sizes::new(50_000_000_000, 128 << 20, cores, 3);
            assert!(sizes.runs(50_000_000_000) <= sizes.runs_max() as u64, "{cores} cores: {sizes:?}");
            assert_eq!(sizes.threads, cores.min(3));
            assert_eq!(Sizes::new(400 << 20, 128 << 20, cores, 3).threads, cores);
        }
        // Where no number of threads would do, all of them help.
        assert_eq!(Sizes::new(50_000_000_000, 16 << 20, 8, 3).threads, 8);
    }

    #[test]
    fn blocks_never_fall_below_eight_kibibytes() {
        let sizes = Sizes::new(50 << 30, 8 << 20, 2, 3);
        assert_eq!(sizes.block_bytes, 8 << 10);
        assert!(sizes.runs_max() < 512);
    }

    #[test]
    fn all_threads_have_segments_of_about_the_same_size() {
        let segments = |bytes: u64, threads| bytes.div_ceil(Sizes::new(bytes, 256 << 20, threads, 3).segment_bytes);
        assert_eq!(segments(60 << 20, 2), 8);
        assert_eq!(segments(400 << 20, 2), 13);
        assert_eq!(segments(60 << 20, 8), 15);
        assert_eq!(Sizes::new(5 << 20, 256 << 20, 2, 3).segment_bytes, 5 << 19);
    }

    #[test]
    fn a_small_file_is_one_segment() {
        for bytes in [0, 1, 4 << 20] {
            assert!(Sizes::new(bytes, 256 << 20, 64, 3).segment_bytes >= bytes);
        }
    }
}
