//! Everything in one process, with no configuration at all.

use crate::{
    generator::{Spec, Table, generate},
    world::World,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_put_by_curl_ends_in_the_table_with_exact_counts() {
    let (world, file) = (World::embedded(), generate(&Spec::default()));
    let server = world.serve().await;
    let mut expected = Table::new();
    let id = server.put("users.csv", &file.bytes, &[]).await;
    assert_eq!(server.done(&id).await, file.keep(&mut expected));
    assert_eq!(world.table().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_the_originals_form_loads_with_no_setting_at_all() {
    let (world, file) = (World::embedded(), generate(&Spec { original: true, ..Spec::default() }));
    let server = world.serve().await;
    let mut expected = Table::new();
    let id = server.put("data_test.csv", &file.bytes, &[]).await;
    assert_eq!(server.done(&id).await, file.keep(&mut expected));
    assert_eq!(world.table().await, expected);
}
