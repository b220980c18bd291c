//! The archive's contract: on a folder, and on the three FTP servers that matter, in the clear and encrypted.

use std::{sync::Arc, time::Duration};

use tokio::io::AsyncReadExt;
use userdata::{
    archive::{Archive, ArchivedSource, directory::Directory, name},
    error::{Error, Kind, Service},
    meter::Meter,
    source::{MemorySource, Source},
    upload::{Stage, Unit, UploadId},
};

use content::{Content, Trouble};

mod content;
mod ftp;
mod proxy;

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    exercise(Arc::new(Directory::new(folder.path().join("not/yet/there")))).await;
}

/// The whole contract. Names are of this call alone, so an archive may be exercised again.
async fn exercise(archive: Arc<dyn Archive>) {
    let archive = archive.as_ref();
    archive.check().await.unwrap();
    contents_come_back_as_they_were(archive).await;
    what_is_stored_already_is_not_sent_again(archive).await;
    another_file_of_the_name_is_not_touched(archive).await;
    a_dropped_transfer_goes_on_where_it_stopped(archive).await;
    a_successor_goes_on_with_what_it_was_handed(archive).await;
    a_source_that_fails_is_its_own_error(archive).await;
    a_temp_file_of_other_content_is_begun_anew(archive).await;
    a_whole_temp_file_is_only_renamed(archive).await;
    what_lies_beside_is_replaced(archive).await;
    reading_begins_at_an_offset(archive).await;
    eight_files_at_once(archive).await;
    whatever_a_file_is_called_it_is_stored(archive).await;
    names_that_lead_out_are_refused(archive).await;
    what_is_not_there_is_not_there(archive).await;
    a_folder_lists_its_files(archive).await;
}

async fn a_folder_lists_its_files(archive: &dyn Archive) {
    let folder = format!("parts-{}", UploadId::new());
    assert_eq!(archive.list(&folder).await.unwrap(), [""; 0]);
    let mut names: Vec<String> = (0..30).map(|number| format!("{}.{number}.run", UploadId::new())).collect();
    for name in &names {
        let name = format!("{folder}/{name}");
        archive.store(&format!("{name}.part"), &name, &MemorySource(b"x".to_vec()), &meter(1)).await.unwrap();
    }
    let mut found = archive.list(&folder).await.unwrap();
    found.sort();
    names.sort();
    assert_eq!(found, names);
    for name in &names {
        assert!(archive.remove(&format!("{folder}/{name}")).await.unwrap());
    }
    assert_eq!(archive.list(&folder).await.unwrap(), [""; 0]);
}

/// A file that nobody else has, deep enough for folders to be made.
fn fresh(file: &str) -> (String, String) {
    let (id, fence) = (UploadId::new(), 1);
    let name = name::original("{yyyy}/{mm}/{id}/{filename}", id, 1_795_000_000_000, file);
    (name::temp(&name, id, fence), name)
}

/// Every byte value, line ends in every order, and no two places alike.
fn bytes(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at ^ (at >> 8).wrapping_mul(31) ^ (at >> 16).wrapping_mul(7)) as u8).collect()
}

fn meter(total: u64) -> Meter {
    let meter = Meter::default();
    meter.begin(Stage::Archive, total, Unit::Bytes);
    meter
}

fn counted(meter: &Meter) -> u64 {
    meter.progress().unwrap().done
}

async fn read(archive: &dyn Archive, name: &str, offset: u64) -> Vec<u8> {
    let mut found = Vec::new();
    archive.open(name, offset).await.unwrap().read_to_end(&mut found).await.unwrap();
    found
}

async fn store(archive: &dyn Archive, (temp, name): &(String, String), content: &Content) -> Result<u64, Error> {
    let meter = meter(content.bytes().len() as u64);
    archive.store(temp, name, content, &meter).await?;
    assert_eq!(archive.size(temp).await?, None, "the temp file is gone");
    Ok(counted(&meter))
}

async fn assert_holds(archive: &dyn Archive, name: &str, expected: &[u8]) {
    assert_eq!(archive.size(name).await.unwrap(), Some(expected.len() as u64));
    assert!(read(archive, name, 0).await == expected, "{name} holds other bytes");
}

async fn contents_come_back_as_they_were(archive: &dyn Archive) {
    for length in [0, 1, 5_000_000] {
        let (names, content) = (fresh("users.csv"), Content::new(bytes(length)));
        assert_eq!(archive.size(&names.1).await.unwrap(), None);
        assert_eq!(store(archive, &names, &content).await.unwrap(), length as u64);
        assert_holds(archive, &names.1, content.bytes()).await;
        assert!(archive.remove(&names.1).await.unwrap());
        assert_eq!(archive.size(&names.1).await.unwrap(), None);
    }
}

async fn what_is_stored_already_is_not_sent_again(archive: &dyn Archive) {
    let (names, content) = (fresh("users.csv"), Content::new(bytes(100_000)));
    store(archive, &names, &content).await.unwrap();
    let again = content.mended();
    assert_eq!(store(archive, &names, &again).await.unwrap(), 100_000, "found bytes are counted");
    assert_eq!(again.read(), 0);
    // Also where another claim began to send it once more.
    archive.store_beside("other.part", &names.0, &MemorySource(bytes(10))).await.unwrap();
    store(archive, &names, &again).await.unwrap();
    assert_holds(archive, &names.1, content.bytes()).await;
}

async fn another_file_of_the_name_is_not_touched(archive: &dyn Archive) {
    let (names, content) = (fresh("users.csv"), Content::new(bytes(1000)));
    store(archive, &names, &content).await.unwrap();
    for length in [0, 999, 1001] {
        let error = store(archive, &names, &Content::new(vec![0; length])).await.unwrap_err();
        assert_eq!((error.kind, error.code), (Kind::Rejected, "archive_name_taken"), "{error}");
    }
    assert_holds(archive, &names.1, content.bytes()).await;
}

/// Stores until the content stops, then drops the transfer, and returns when something of it is in the archive.
async fn drop_in_the_middle(archive: &dyn Archive, (temp, name): &(String, String), content: &Content) {
    let meter = meter(content.bytes().len() as u64);
    tokio::select! {
        done = archive.store(temp, name, content, &meter) => panic!("it did not stop: {done:?}"),
        () = content.in_trouble.notified() => {}
    }
    assert!(counted(&meter) > 0);
    let arrived = async { while archive.size(temp).await.unwrap().unwrap_or(0) == 0 {} };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("nothing of the transfer is there");
    assert_eq!(archive.size(name).await.unwrap(), None, "half a file has the name");
}

async fn a_dropped_transfer_goes_on_where_it_stopped(archive: &dyn Archive) {
    // More than the buffers of both systems hold, so that some of it has arrived.
    let (names, content) = (fresh("users.csv"), Content::new(bytes(30_000_000)).with(25_000_000, Trouble::Stops));
    drop_in_the_middle(archive, &names, &content).await;
    let rest = content.mended();
    assert_eq!(store(archive, &names, &rest).await.unwrap(), 30_000_000);
    let &[offset] = rest.opened().as_slice() else { panic!("opened at {:?}", rest.opened()) };
    assert!(0 < offset && offset <= 25_000_000, "{offset}");
    assert_eq!(rest.read(), 30_000_000 - offset);
    assert_holds(archive, &names.1, content.bytes()).await;
}

async fn a_successor_goes_on_with_what_it_was_handed(archive: &dyn Archive) {
    let (names, content) = (fresh("users.csv"), Content::new(bytes(1_000_000)));
    let left = names.0.replace(".1.", ".0.");
    assert!(!archive.adopt(&left, &names.0).await.unwrap(), "adopted what is not there");
    archive.store_beside("left.part", &left, &MemorySource(bytes(400_000))).await.unwrap();
    assert!(archive.adopt(&left, &names.0).await.unwrap());
    assert_eq!(archive.size(&left).await.unwrap(), None);
    assert_eq!(store(archive, &names, &content).await.unwrap(), 1_000_000);
    assert_eq!(content.opened(), [400_000]);
    assert_holds(archive, &names.1, content.bytes()).await;
}

async fn a_source_that_fails_is_its_own_error(archive: &dyn Archive) {
    for trouble in [Trouble::Fails, Trouble::Ends] {
        let (names, content) = (fresh("users.csv"), Content::new(bytes(2_000_000)).with(1_500_000, trouble));
        let error = store(archive, &names, &content).await.unwrap_err();
        assert_eq!((error.kind, error.service), (Kind::Transient, Some(Service::Source)), "{error}");
        assert!(error.to_string().contains("the test's content"), "{error}");
        assert_eq!(archive.size(&names.1).await.unwrap(), None);
        store(archive, &names, &content.mended()).await.unwrap();
        assert_holds(archive, &names.1, content.bytes()).await;
    }
}

async fn a_temp_file_of_other_content_is_begun_anew(archive: &dyn Archive) {
    let (names, content) = (fresh("users.csv"), Content::new(bytes(1000)));
    archive.store_beside("longer.part", &names.0, &MemorySource(vec![b'x'; 5000])).await.unwrap();
    assert_eq!(store(archive, &names, &content).await.unwrap(), 1000);
    assert_holds(archive, &names.1, content.bytes()).await;
}

async fn a_whole_temp_file_is_only_renamed(archive: &dyn Archive) {
    let (names, content) = (fresh("users.csv"), Content::new(bytes(1000)));
    archive.store_beside("whole.part", &names.0, &MemorySource(bytes(1000))).await.unwrap();
    assert_eq!(store(archive, &names, &content).await.unwrap(), 1000);
    assert_eq!(content.read(), 0);
    assert_holds(archive, &names.1, content.bytes()).await;
}

async fn what_lies_beside_is_replaced(archive: &dyn Archive) {
    let (temp, original) = fresh("users.csv");
    let name = name::beside(&original, name::RECEIPT);
    archive.store_beside("old.part", &temp, &MemorySource(bytes(50_000))).await.unwrap();
    for length in [10_000, 20_000, 0, 5] {
        let content = MemorySource(vec![b'\n'; length]);
        archive.store_beside(&temp, &name, &content).await.unwrap();
        assert_holds(archive, &name, &content.0).await;
        assert_eq!(archive.size(&temp).await.unwrap(), None);
    }
}

async fn reading_begins_at_an_offset(archive: &dyn Archive) {
    let (names, content) = (fresh("users.csv"), Content::new(bytes(1_000_000)));
    store(archive, &names, &content).await.unwrap();
    for offset in [1, 65_536, 999_999, 1_000_000, 2_000_000] {
        let expected = content.bytes().get(offset..).unwrap_or_default();
        assert!(read(archive, &names.1, offset as u64).await == expected, "from {offset}");
    }
    // Given up in the middle, and read by two at once.
    let mut first = archive.open(&names.1, 0).await.unwrap();
    first.read_exact(&mut [0; 1000]).await.unwrap();
    let mut second = archive.open(&names.1, 0).await.unwrap();
    second.read_exact(&mut [0; 1000]).await.unwrap();
    drop(first);
    let mut rest = Vec::new();
    second.read_to_end(&mut rest).await.unwrap();
    assert!(rest == content.bytes()[1000..]);
}

async fn eight_files_at_once(archive: &dyn Archive) {
    let each = (0..8).map(|number| async move {
        let (names, content) = (fresh(&format!("{number}.csv")), Content::new(bytes(300_000 + number)));
        store(archive, &names, &content).await.unwrap();
        assert_holds(archive, &names.1, content.bytes()).await;
    });
    futures_util::future::join_all(each).await;
}

async fn whatever_a_file_is_called_it_is_stored(archive: &dyn Archive) {
    let long = format!("{}.csv", "a".repeat(400));
    for file in ["", "..", ".htaccess", "-rf *", "Kundén \"Mär\"\r\n2026%s.csv", "用户.csv", "a/b\\c:d|e.csv", &long]
    {
        let (names, content) = (fresh(file), Content::new(bytes(100)));
        store(archive, &names, &content).await.unwrap_or_else(|error| panic!("{file:?}: {error}"));
        assert_holds(archive, &names.1, content.bytes()).await;
    }
}

async fn names_that_lead_out_are_refused(archive: &dyn Archive) {
    for name in ["/x.csv", "../x.csv", "a/../../x.csv", "x\r\nDELE y", ""] {
        let error = archive.store("t.part", name, &MemorySource(vec![1]), &meter(1)).await.unwrap_err();
        assert_eq!((error.kind, error.code), (Kind::Rejected, "archive_name_refused"), "{error}");
        assert_eq!(archive.remove(name).await.unwrap_err().code, "archive_name_refused");
    }
    assert_eq!(archive.size("t.part").await.unwrap(), None);
}

async fn what_is_not_there_is_not_there(archive: &dyn Archive) {
    let (_, name) = fresh("users.csv");
    assert_eq!(archive.size(&name).await.unwrap(), None);
    assert!(!archive.remove(&name).await.unwrap());
    let Err(error) = archive.open(&name, 0).await.map(drop) else { panic!("opened what is not there") };
    assert_eq!((error.kind, error.service), (Kind::Transient, Some(Service::Archive)));
    assert!(error.to_string().contains(&name) && error.to_string().contains(&archive.name()), "{error}");
}

#[tokio::test]
async fn an_archived_file_is_a_source() {
    let folder = tempfile::tempdir().unwrap();
    let archive: Arc<dyn Archive> = Arc::new(Directory::new(folder.path()));
    archive.store_beside("x.part", "x.csv", &MemorySource(bytes(10))).await.unwrap();
    let source = ArchivedSource { archive: Arc::clone(&archive), file: "x.csv".into() };
    assert_eq!(source.size().await.unwrap(), 10);
    let (_, copy) = fresh("copy.csv");
    archive.store("copy.part", &copy, &source, &meter(10)).await.unwrap();
    assert_holds(archive.as_ref(), &copy, &bytes(10)).await;
}
