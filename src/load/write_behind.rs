//! Run files of a long load go to the disk while it has little else to do. The kernel would do it when they have lain for
//! half a minute (`vm.dirty_expire_centisecs`), in the middle of the load, and the database would wait for the same disk.

use std::{
    fs::File,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use tracing::debug;

/// A smaller file is loaded before the kernel would write its runs, and then they are gone.
const LONG_LOAD_BYTES: u64 = 256 << 20;

/// Files that wait, open, for a disk that is slower than the cleaning; the kernel writes those that find no place.
const WAITING: usize = 8;

/// Hands finished files to a thread, which ends when it has written out the last one. Nobody waits for it.
pub struct WriteBehind(Option<SyncSender<File>>);

impl WriteBehind {
    /// For a file of `input_bytes`.
    pub fn new(input_bytes: u64) -> Self {
        if input_bytes < LONG_LOAD_BYTES {
            return Self(None);
        }
        let (sender, receiver) = sync_channel::<File>(WAITING);
        thread::spawn(move || {
            for file in receiver {
                // What the disk did not take is noticed when the run is read: by its checksums.
                if let Err(error) = file.sync_data() {
                    debug!(%error, "a run file was not written out");
                }
            }
        });
        Self(Some(sender))
    }

    pub fn write_out(&self, file: File) {
        if let Some(sender) = &self.0 {
            let _ = sender.try_send(file);
        }
    }
}
