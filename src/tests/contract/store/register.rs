//! How uploads enter the ledger.

use std::path::PathBuf;

use userdata::{
    rows::{Delimiter, Existing, MaxRejects},
    store::ClaimOutcome,
    upload::{Place, State, UploadId},
};
use uuid::Uuid;

use super::{Bench, fixture::*};

pub async fn the_schema_may_be_made_again(bench: &Bench) {
    for _ in 0..2 {
        let said = bench.other.init(false).await.unwrap();
        assert!(!said.is_empty());
        bench.store.check().await.unwrap();
        bench.store.check_table().await.unwrap();
    }
    let schema = bench.store.schema();
    for table in ["userinfo", "userdata_upload", "userdata_upload_part", "userdata_upload_event", "userdata_parked"] {
        assert!(schema.contains(table), "{table} in {schema}");
    }
    assert!(!bench.store.name().is_empty());
}

pub async fn an_upload_is_registered_once_with_all_that_is_known_of_it(bench: &Bench) {
    let store = &*bench.store;
    let mut new = new_upload();
    new.filename = "Müller's \"grüße\" \\ %_\n\t😀 İ.csv".into();
    new.media_type = String::new();
    new.sha256 = None;
    new.sender = "émile".into();
    new.place = Place {
        spool: Some(Uuid::from_u128(u128::MAX)),
        path: Some(PathBuf::from("/srv/ä b\\c")),
        server: Some("http://[::1]:9000".into()),
        archive: Some("2026/11/x.csv".into()),
        host: Some("beta".into()),
    };
    new.options.existing = Existing::Replace;
    new.options.delimiter = Some(Delimiter(b'\t'));
    new.options.max_rejects = MaxRejects::Rows(7);
    new.options.columns.name = "Größe".into();
    new.again_of = Some(UploadId::new());
    assert!(store.register(&new).await.unwrap());
    let mut later = new.clone();
    later.filename = "another.csv".into();
    assert!(!store.register(&later).await.unwrap());
    assert!(!bench.other.register(&later).await.unwrap());
    let upload = row(store, new.id).await;
    assert_eq!(upload.new, new);
    assert_eq!((upload.state, upload.attempts, upload.fence, upload.is_claimed()), (State::Received, 0, 0, false));
    assert!(store.upload(UploadId::new()).await.unwrap().is_none());
    assert_eq!(store.events(new.id).await.unwrap().len(), 1);

    let bare = userdata::upload::NewUpload { place: Place::default(), id: UploadId::new(), ..new_upload() };
    register(store, &bare).await;
    assert_eq!(row(store, bare.id).await.new, bare);
    let too_large = userdata::upload::NewUpload { size: u64::MAX, id: UploadId::new(), ..new_upload() };
    assert_eq!(kind(store.register(&too_large).await), Some(userdata::error::Kind::Rejected));
}

pub async fn an_import_registers_its_upload_already_claimed(bench: &Bench) {
    let new = new_upload();
    let claim = bench.store.register_claimed(&new, "import", LONG).await.unwrap().expect("it was unknown");
    assert_eq!((claim.id, claim.owner.as_str(), claim.lease), (new.id, "import", LONG));
    assert!(bench.other.register_claimed(&new, "another", LONG).await.unwrap().is_none());
    assert!(!bench.other.register(&new).await.unwrap());
    assert_eq!(bench.other.claim(new.id, "another", LONG).await.unwrap(), ClaimOutcome::Taken);
    assert!(row(&*bench.store, new.id).await.is_claimed());
    archive(&*bench.store, &claim).await;
    // One whose import died is taken by a worker, like any other.
    let new = new_upload();
    bench.store.register_claimed(&new, "import", SHORT).await.unwrap().expect("it was unknown");
    let claim = successor(&*bench.other, new.id, "worker", LONG).await;
    assert_eq!(row(&*bench.store, claim.id).await.attempts, 1);
}

pub async fn what_was_announced_is_not_announced_again(bench: &Bench) {
    let store = &*bench.store;
    let (first, mut second, third) = (new_upload(), new_upload(), new_upload());
    second.place.spool = Some(Uuid::from_u128(8));
    for new in [&first, &second, &third] {
        register(store, new).await;
    }
    let ids = async |spool: Option<u128>, limit| -> Vec<UploadId> {
        let uploads = store.unannounced(spool.map(Uuid::from_u128), limit).await.unwrap();
        uploads.iter().map(|upload| upload.id()).collect()
    };
    assert_eq!(ids(None, 10).await, [first.id, second.id, third.id]);
    assert_eq!(ids(None, 2).await, [first.id, second.id]);
    assert_eq!(ids(Some(7), 10).await, [first.id, third.id]);
    assert_eq!(ids(Some(8), 10).await, [second.id]);
    store.announced(first.id).await.unwrap();
    store.announced(first.id).await.unwrap();
    assert!(row(store, first.id).await.announced_ms.is_some());
    assert_eq!(ids(None, 10).await, [second.id, third.id]);
    let claim = claim(store, second.id, "one", LONG).await;
    store.fail(&claim, &failure("broken")).await.unwrap();
    assert_eq!(ids(None, 10).await, [third.id], "what has ended wakes no worker");
    assert_eq!(ids(Some(8), 10).await, [second.id], "other readers of the topic are told of every upload");
}
