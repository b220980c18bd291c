//! What a queue promises, on the local one and on Kafka.

use std::{sync::Arc, time::Duration};

use userdata::{
    announcement::Announcement,
    config,
    queue::{Announced, Delivery, Queue, kafka::Kafka, local::Local},
    rows::RowOptions,
    store::{Store, sqlite},
    upload::{NewUpload, Place, UploadId},
};

/// Longer than any broker needs; a test that waits for it has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// Opens another client of the same queue, as after a restart.
type Open<'a> = &'a dyn Fn() -> Arc<dyn Queue>;

async fn exercise(open: Open<'_>, store: Arc<dyn Store>) {
    creating_may_be_repeated(open).await;
    what_is_announced_is_delivered_until_it_is_acknowledged(open, &store).await;
    settling_a_later_one_first_loses_nothing(open, &store).await;
    what_is_parked_is_kept_with_its_reason(open, &store).await;
    announcing_twice_delivers_twice(open, &store).await;
}

async fn creating_may_be_repeated(open: Open<'_>) {
    let queue = open();
    let first = queue.create(1, -1).await.expect("creates");
    assert!(first.iter().all(|topic| topic.created), "{first:?}");
    let second = queue.create(1, -1).await.expect("finds");
    assert!(second.iter().all(|topic| !topic.created && topic.remark.is_none()), "{second:?}");
    queue.check().await.expect("is there");
}

async fn what_is_announced_is_delivered_until_it_is_acknowledged(open: Open<'_>, store: &Arc<dyn Store>) {
    let queue = open();
    let announced = announce(&queue, store).await;
    let delivery = next(&queue).await;
    assert_eq!(delivery.announcement().expect("readable"), announced);
    drop(delivery);
    let again = next(&queue).await;
    assert_eq!(again.announcement().expect("readable").uuid, announced.uuid);
    drop(again);
    queue.close().await;
    drop(queue);

    let queue = open();
    let after_restart = next(&queue).await;
    assert_eq!(after_restart.announcement().expect("readable").uuid, announced.uuid);
    after_restart.acknowledge().await.expect("acknowledged");
    queue.close().await;

    let queue = open();
    let other = announce(&queue, store).await;
    let delivery = next(&queue).await;
    assert_eq!(delivery.announcement().expect("readable").uuid, other.uuid, "the acknowledged one does not come back");
    delivery.acknowledge().await.expect("acknowledged");
    queue.close().await;
}

async fn settling_a_later_one_first_loses_nothing(open: Open<'_>, store: &Arc<dyn Store>) {
    let queue = open();
    let earlier = announce(&queue, store).await;
    let later = announce(&queue, store).await;
    let first = next(&queue).await;
    let second = next(&queue).await;
    assert_eq!(second.announcement().expect("readable").uuid, later.uuid);
    second.acknowledge().await.expect("acknowledged");
    drop(first);
    queue.close().await;
    drop(queue);

    let queue = open();
    let delivery = next(&queue).await;
    assert_eq!(delivery.announcement().expect("readable").uuid, earlier.uuid);
    delivery.acknowledge().await.expect("acknowledged");
    // Behind the earlier one the later may come once more: at least once is the promise.
    let marker = announce(&queue, store).await;
    loop {
        let delivery = next(&queue).await;
        let id = delivery.announcement().expect("readable").uuid;
        delivery.acknowledge().await.expect("acknowledged");
        if id == marker.uuid {
            break;
        }
        assert_eq!(id, later.uuid);
    }
    queue.close().await;
}

async fn what_is_parked_is_kept_with_its_reason(open: Open<'_>, store: &Arc<dyn Store>) {
    let queue = open();
    let announced = announce(&queue, store).await;
    let delivery = next(&queue).await;
    let position = delivery.position();
    delivery.park("its path is not allowed").await.expect("parked");
    let parked = queue.parked(10).await.expect("readable");
    let last = parked.last().expect("one");
    assert_eq!(last.value.as_deref(), Some(&announced.value()[..]));
    assert_eq!((last.reason.as_str(), &last.position), ("its path is not allowed", &position));
    assert_eq!(last.size, announced.value().len());
    queue.close().await;
}

async fn announcing_twice_delivers_twice(open: Open<'_>, store: &Arc<dyn Store>) {
    let queue = open();
    let announced = announce(&queue, store).await;
    queue.announce(&announced).await.expect("announced");
    for _ in 0..2 {
        let delivery = next(&queue).await;
        assert_eq!(delivery.announcement().expect("readable").uuid, announced.uuid);
        delivery.acknowledge().await.expect("acknowledged");
    }
    queue.close().await;
}

async fn announce(queue: &Arc<dyn Queue>, store: &Arc<dyn Store>) -> Announcement {
    let new = upload();
    store.register(&new).await.expect("registered");
    let announcement = Announcement::of(&new);
    if queue.announce(&announcement).await.expect("announced") == Announced::ByTheBroker {
        store.announced(new.id).await.expect("noted");
    }
    announcement
}

async fn next(queue: &Arc<dyn Queue>) -> Box<dyn Delivery> {
    let received = async {
        loop {
            // A queue that was just created may say once that it does not know its topic yet.
            if let Ok(delivery) = queue.receive().await {
                return delivery;
            }
        }
    };
    tokio::time::timeout(DEADLINE, received).await.expect("a delivery")
}

fn upload() -> NewUpload {
    NewUpload {
        format: NewUpload::FORMAT,
        id: UploadId::new(),
        filename: "users.csv".into(),
        media_type: "text/csv".into(),
        size: 12,
        sha256: None,
        sample: None,
        sender: "local".into(),
        started_ms: 1_488_845_854_788,
        received_ms: 1_488_845_854_801,
        place: Place { path: Some("/tmp/users.csv".into()), ..Place::default() },
        options: RowOptions::default(),
        again_of: None,
    }
}

fn embedded_store(folder: &tempfile::TempDir) -> Arc<dyn Store> {
    Arc::new(sqlite::open(&folder.path().join("userdata.db")).expect("an embedded store"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_queue_keeps_its_promises() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = embedded_store(&folder);
    let behind = store.clone();
    exercise(&move || Arc::new(Local::new(behind.clone())), store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_keeps_its_promises() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = embedded_store(&folder);
    let brokers = crate::service("USERDATA_TEST_KAFKA");
    let topic = format!("contract-{}", UploadId::new());
    let config = config::Kafka {
        brokers,
        group: topic.clone(),
        topic,
        partitions: 1,
        replication: -1,
        properties: std::collections::BTreeMap::new(),
    };
    exercise(&move || Arc::new(Kafka::new(&config).expect("settings")), store).await;
}
