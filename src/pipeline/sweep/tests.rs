//! What the sweeps of a spool and of the ledger make of what was lost or cannot be read.

use std::{collections::HashSet, path::Path, sync::Arc};

use bytes::Bytes;
use futures_util::stream;

use super::{
    hopeless::{UNREADABLE_MAX, was_unreadable_too_long},
    spool::{clean_spool, register_and_announce},
};
use crate::{
    command::table::tests::upload,
    config::Layers,
    error::Service,
    pipeline::{
        Pipeline,
        receive::{Offer, Receiver},
    },
    rows::RowOptions,
    store::as_ms,
    upload::{NewUpload, State, Waiting},
};

/// Everything embedded, below a folder.
pub async fn embedded(folder: &Path) -> Arc<Pipeline> {
    let environment = [("USERDATA_DATA".to_owned(), folder.display().to_string())].into();
    let mut config = Layers { environment, ..Layers::default() }.load().unwrap().config;
    config.spool.free_bytes = 0;
    Pipeline::open(Arc::new(config)).await.unwrap()
}

/// An upload that lies in the spool, and nowhere else.
pub async fn received(pipeline: &Pipeline) -> NewUpload {
    let offer = Offer {
        filename: "users.csv".into(),
        media_type: String::new(),
        sender: "local".into(),
        size: None,
        options: RowOptions::default(),
    };
    let bytes = Bytes::from_static(b"id,name,time_of_start\n1,Ada,2017-03-07\n");
    let receiver = Receiver::new(pipeline.spool().unwrap(), pipeline.config.clone());
    receiver.receive(offer, stream::iter([Ok::<_, std::io::Error>(bytes)])).await.unwrap()
}

async fn is_registered(pipeline: &Pipeline, new: &NewUpload) -> bool {
    pipeline.store.upload(new.id).await.unwrap().is_some()
}

#[tokio::test]
async fn what_cannot_be_read_in_the_spool_is_told_and_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (pipeline, mut registered) = (embedded(folder.path()).await, HashSet::new());
    let (broken, good) = (received(&pipeline).await, received(&pipeline).await);
    let info = pipeline.spool().unwrap().folder().join(format!("{}.info.json", broken.id));
    std::fs::write(&info, "{").unwrap();
    let error = register_and_announce(&pipeline, &mut registered).await.unwrap_err();
    assert!(error.to_string().contains(&info.display().to_string()), "{error}");
    assert!(is_registered(&pipeline, &good).await && !is_registered(&pipeline, &broken).await);
    std::fs::write(&info, serde_json::to_vec(&broken).unwrap()).unwrap();
    register_and_announce(&pipeline, &mut registered).await.unwrap();
    assert!(is_registered(&pipeline, &broken).await);
}

#[tokio::test]
async fn what_the_ledger_has_lost_is_registered_again() {
    let folder = tempfile::tempdir().unwrap();
    let (pipeline, mut registered) = (embedded(folder.path()).await, HashSet::new());
    let (lost, kept) = (received(&pipeline).await, received(&pipeline).await);
    register_and_announce(&pipeline, &mut registered).await.unwrap();
    assert!(clean_spool(&pipeline).await.unwrap().is_empty());
    let ledger = rusqlite::Connection::open(pipeline.config.database()).unwrap();
    ledger.execute("delete from userdata_upload where id = ?", [lost.id.to_string()]).unwrap();
    assert_eq!(clean_spool(&pipeline).await.unwrap(), [lost.id]);
    registered.remove(&lost.id);
    register_and_announce(&pipeline, &mut registered).await.unwrap();
    assert!(is_registered(&pipeline, &lost).await && is_registered(&pipeline, &kept).await);
    assert!(clean_spool(&pipeline).await.unwrap().is_empty());
}

#[test]
fn only_a_strangers_file_that_has_waited_for_a_reader_all_day_is_given_up() {
    let day = as_ms(UNREADABLE_MAX);
    let given_up = |sender: &str, service, since| {
        let mut upload = upload("users.csv", State::Received);
        (upload.new.sender, upload.now_ms) = (sender.into(), day);
        upload.waiting = Some(Waiting { service, message: String::new(), since, next_try: None });
        was_unreadable_too_long(&upload)
    };
    assert!(given_up("announcement", Service::Source, 0));
    assert!(!given_up("announcement", Service::Source, 1));
    assert!(!given_up("announcement", Service::Archive, 0), "whoever waits for the archive could read it");
    assert!(!given_up("local", Service::Source, 0));
    assert!(!was_unreadable_too_long(&upload("users.csv", State::Received)));
}
