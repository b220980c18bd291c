//! A table keeps its pages well filled, whether users go behind its rows or between them.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use userdata::{rows::Existing, store::session::Applied};

use crate::{
    join::{BOTH, ids, store, users},
    server::{Server, table},
};

crate::alone_on_both! {
    users_between_the_tables_rows_leave_its_pages_half_full
    users_of_an_empty_table_fill_its_pages
}

const USERS: usize = 40_000;

fn name() -> String {
    "n".repeat(200)
}

async fn users_between_the_tables_rows_leave_its_pages_half_full(server: Server) {
    let (all, mut random) = (ids(USERS, 1), StdRng::seed_from_u64(1));
    let (there, between): (Vec<_>, Vec<_>) = all.iter().partition(|_| random.random_bool(2.0 / 3.0));
    for existing in BOTH {
        for allowed in [true, false] {
            server.allow_load_data(allowed).await;
            let database = server.initialized().await;
            store(&database, users(there.iter().copied(), &name()), Existing::Keep).await.unwrap();
            let before = server.leaf_pages().await;
            let applied = store(&database, users(between.iter().copied(), &name()), existing).await.unwrap();
            assert_eq!(applied, Applied { inserted: between.len() as u64, replaced: 0 });
            assert_eq!(server.users().await, table(&users(&all, &name())));
            // Half as many rows again: each page that was full is split once.
            let after = server.leaf_pages().await;
            assert!(2 * after <= 5 * before, "{existing:?}, LOAD DATA {allowed}: {before} pages, then {after}");
            server.run("TRUNCATE DB.userinfo").await;
        }
    }
    server.allow_load_data(true).await;
    server.dropped().await;
}

async fn users_of_an_empty_table_fill_its_pages(server: Server) {
    for existing in BOTH {
        let database = server.initialized().await;
        let all = ids(USERS, 1);
        for some in all.chunks(USERS / 2) {
            store(&database, users(some, &name()), existing).await.unwrap();
        }
        // An InnoDB row has about 22 bytes besides its values.
        let bytes = USERS * (22 + 7 + 200 + 1);
        let pages = server.leaf_pages().await as usize;
        assert!(pages * 16_384 <= bytes * 6 / 5, "{existing:?}: {pages} pages");
        server.run("TRUNCATE DB.userinfo").await;
    }
    server.dropped().await;
}
