//! Contents to archive that can be watched, and stop or fail in the middle.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use async_trait::async_trait;
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::Notify,
};
use userdata::{
    error::Result,
    source::{Bytes, Source},
};

/// What happens where reading comes to a given offset.
#[derive(Clone, Copy)]
pub enum Trouble {
    /// No more bytes come, for ever.
    Stops,
    Fails,
    /// The end, before the size that was announced.
    Ends,
}

#[derive(Default)]
pub struct Content {
    bytes: Arc<Vec<u8>>,
    trouble: Mutex<Option<(u64, Trouble)>>,
    /// The offsets from which it was opened.
    pub opened: Mutex<Vec<u64>>,
    pub read: Arc<AtomicU64>,
    pub in_trouble: Arc<Notify>,
}

impl Content {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: Arc::new(bytes), ..Self::default() }
    }

    pub fn with(self, offset: u64, trouble: Trouble) -> Self {
        *self.trouble.lock().unwrap() = Some((offset, trouble));
        self
    }

    /// As new, without trouble.
    pub fn mended(&self) -> Self {
        Self { bytes: Arc::clone(&self.bytes), ..Self::default() }
    }

    pub fn opened(&self) -> Vec<u64> {
        self.opened.lock().unwrap().clone()
    }

    pub fn read(&self) -> u64 {
        self.read.load(Ordering::SeqCst)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[async_trait]
impl Source for Content {
    fn name(&self) -> String {
        "the test's content".into()
    }

    async fn size(&self) -> Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    async fn open(&self, offset: u64) -> Result<Bytes> {
        self.opened.lock().unwrap().push(offset);
        Ok(Box::new(Reader {
            bytes: Arc::clone(&self.bytes),
            offset: offset as usize,
            trouble: *self.trouble.lock().unwrap(),
            read: Arc::clone(&self.read),
            in_trouble: Arc::clone(&self.in_trouble),
        }))
    }
}

struct Reader {
    bytes: Arc<Vec<u8>>,
    offset: usize,
    trouble: Option<(u64, Trouble)>,
    read: Arc<AtomicU64>,
    in_trouble: Arc<Notify>,
}

impl AsyncRead for Reader {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (end, trouble) = match self.trouble {
            Some((end, trouble)) => (end as usize, Some(trouble)),
            None => (self.bytes.len(), None),
        };
        let length = (end - self.offset).min(buffer.remaining());
        if length == 0 && buffer.remaining() > 0 {
            match trouble {
                Some(Trouble::Stops) => {
                    self.in_trouble.notify_one();
                    return Poll::Pending;
                }
                Some(Trouble::Fails) => return Poll::Ready(Err(io::Error::other("the disk makes noises"))),
                Some(Trouble::Ends) | None => {}
            }
        }
        buffer.put_slice(&self.bytes[self.offset..self.offset + length]);
        self.offset += length;
        self.read.fetch_add(length as u64, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }
}
