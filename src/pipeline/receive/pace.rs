//! How slow a sender may be before its connection is needed for others.

use std::time::Duration;

use bytesize::ByteSize;
use tokio::time::Instant;

use crate::error::{Error, Result};

/// A sender's least speed, measured over this time.
const WINDOW: Duration = Duration::from_secs(120);
const LEAST_BYTES_PER_S: f64 = 1024.0;

/// The bounds of one sender.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long it may send nothing.
    pub idle: Duration,
    /// Over which time its speed is measured.
    pub window: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), window: WINDOW }
    }
}

/// What a sender has done so far.
pub(super) struct Paced {
    pace: Option<Pace>,
    window_began: Instant,
    in_window: u64,
}

impl Paced {
    /// `None`: as slow as it likes.
    pub fn new(pace: Option<Pace>) -> Self {
        Self { pace, window_began: Instant::now(), in_window: 0 }
    }

    /// Notes what came.
    pub fn came(&mut self, bytes: usize) {
        self.in_window += bytes as u64;
    }

    /// Ends, with the reason, when the sender has been silent or slow for too long.
    pub async fn exceeded(&mut self) -> Error {
        let Some(pace) = self.pace else { return std::future::pending().await };
        tokio::time::sleep(pace.idle).await;
        stalled(format!("no byte came for {}", humantime::format_duration(pace.idle)))
    }

    /// Refuses who has been too slow over the last window.
    pub fn check(&mut self) -> Result<()> {
        let Some(pace) = self.pace else { return Ok(()) };
        if self.window_began.elapsed() < pace.window {
            return Ok(());
        }
        let came = std::mem::take(&mut self.in_window);
        self.window_began = Instant::now();
        if came as f64 >= LEAST_BYTES_PER_S * pace.window.as_secs_f64() {
            return Ok(());
        }
        let window = humantime::format_duration(pace.window);
        Err(stalled(format!("only {} came in {window}", ByteSize(came))))
    }
}

fn stalled(text: String) -> Error {
    Error::rejected("upload_stalled", text)
}
