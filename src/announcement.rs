//! The message about an upload, exactly as the original system wrote it, so that what reads the topic goes on working.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::upload::{EpochMs, NewUpload, UploadId};

/// The message's value: these eight fields, in this order. Unknown fields are ignored on reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    pub uuid: UploadId,
    pub filename: String,
    pub size: u64,
    #[schema(value_type = i64)]
    pub start_time: EpochMs,
    #[schema(value_type = i64)]
    pub end_time: EpochMs,
    /// `end_time - start_time`, milliseconds.
    pub total_upload_time: i64,
    #[schema(value_type = String)]
    pub path: PathBuf,
    /// The part's content type, or empty.
    pub filetype: String,
}

/// The longest value that is taken for an announcement; a longer one is parked unread.
pub const VALUE_MAX_BYTES: usize = 64 << 10;

/// Why a message is no announcement, for the dead-letter topic's headers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("the message is empty (a tombstone)")]
    Empty,
    #[error("the message has {0} bytes, an announcement at most {VALUE_MAX_BYTES}")]
    TooLong(usize),
    #[error("the message is not an announcement: {0}")]
    NotAnAnnouncement(String),
}

impl Announcement {
    /// The announcement of a received upload. Where its bytes have no path (`again` from the archive), `path` is empty.
    pub fn of(upload: &NewUpload) -> Self {
        Self {
            uuid: upload.id,
            filename: upload.filename.clone(),
            size: upload.size,
            start_time: upload.started_ms,
            end_time: upload.received_ms,
            total_upload_time: upload.received_ms - upload.started_ms,
            path: upload.place.path.clone().unwrap_or_default(),
            filetype: upload.media_type.clone(),
        }
    }

    /// Reads a message's value.
    pub fn parse(value: Option<&[u8]>) -> Result<Self, Unreadable> {
        let value = value.filter(|value| !value.is_empty()).ok_or(Unreadable::Empty)?;
        if value.len() > VALUE_MAX_BYTES {
            return Err(Unreadable::TooLong(value.len()));
        }
        serde_json::from_slice(value).map_err(|error| Unreadable::NotAnAnnouncement(error.to_string()))
    }

    /// The message's value as the original wrote it.
    pub fn value(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("eight plain fields serialize")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGINAL: &str = r#"{"uuid":"65dd53e8-c5aa-4c9d-9583-6a212196e32f","filename":"data_test.csv","size":1180363942,"startTime":1488845854788,"endTime":1488845854801,"totalUploadTime":13,"path":"/tmp/data_test.csv","filetype":"text/csv"}"#;

    #[test]
    fn the_value_is_the_original_one_byte_for_byte() {
        let announcement = Announcement::parse(Some(ORIGINAL.as_bytes())).expect("readable");
        assert_eq!(announcement.value(), ORIGINAL.as_bytes());
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let more = ORIGINAL.replacen('{', r#"{"sender":"x","#, 1);
        assert!(Announcement::parse(Some(more.as_bytes())).is_ok());
    }

    #[test]
    fn what_is_no_announcement_says_why() {
        assert_eq!(Announcement::parse(None), Err(Unreadable::Empty));
        assert_eq!(Announcement::parse(Some(b"")), Err(Unreadable::Empty));
        let deep = [b'['; 60_000];
        for bad in [&b"hello"[..], b"{}", b"[]", &deep] {
            assert!(matches!(Announcement::parse(Some(bad)), Err(Unreadable::NotAnAnnouncement(_))));
        }
        let long = vec![b' '; 1 << 20];
        assert_eq!(Announcement::parse(Some(&long)), Err(Unreadable::TooLong(1 << 20)));
    }
}
