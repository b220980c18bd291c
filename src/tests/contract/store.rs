//! The store's contract: on SQLite, MySQL and MariaDB, all of it. Each scenario has a database of its own.

use std::sync::Arc;

use userdata::store::Store;

use backend::{MySqlServer, SqliteFiles};

mod attempts;
mod backend;
mod claims;
mod fixture;
mod lists;
mod loads;
mod marks;
mod register;
mod requests;
mod retries;
mod stages;
mod takeover;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_the_contract() {
    exercise(&SqliteFiles).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mysql_keeps_the_contract() {
    exercise(&MySqlServer::at("USERDATA_TEST_MYSQL")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_keeps_the_contract() {
    exercise(&MySqlServer::at("USERDATA_TEST_MARIADB")).await;
}

/// A kind of database that makes fresh stores.
#[async_trait::async_trait]
trait Backend: Sync {
    async fn fresh(&self) -> Bench;
}

/// A fresh store, the same one as another process has it open, and its user table seen from outside.
struct Bench {
    store: Arc<dyn Store>,
    other: Arc<dyn Store>,
    table: Box<dyn UserTable>,
}

type Users = Vec<(String, String, String)>;

#[async_trait::async_trait]
trait UserTable: Send + Sync {
    /// Id, name and time of each user, in order of ids.
    async fn users(&self) -> Users;

    /// Forgets the database.
    async fn close(self: Box<Self>);
}

macro_rules! scenarios {
    ($backend:ident: $($file:ident { $($scenario:ident)* })*) => {
        $($({
            eprintln!("{}: {}", stringify!($file), stringify!($scenario));
            let bench = $backend.fresh().await;
            $file::$scenario(&bench).await;
            bench.table.close().await;
        })*)*
    };
}

/// The whole contract. The scenario that runs is printed, so a failure names it.
async fn exercise(backend: &dyn Backend) {
    scenarios! { backend:
        register {
            the_schema_may_be_made_again
            an_upload_is_registered_once_with_all_that_is_known_of_it
            an_import_registers_its_upload_already_claimed
            what_was_announced_is_not_announced_again
        }
        claims {
            of_many_claims_at_once_one_wins
            a_lease_that_ran_out_is_claimed_by_another
            a_heartbeat_renews_the_lease_and_writes_the_progress
            every_write_of_a_claim_that_was_taken_over_is_refused
            what_is_handed_back_is_open_at_once
            a_wait_is_kept_until_the_next_stage_is_finished
            what_is_not_due_is_not_claimed
            calls_whose_answer_was_lost_may_be_repeated
        }
        attempts {
            three_deaths_in_a_row_fail_the_upload
            a_finished_stage_is_not_counted
            a_moved_watermark_is_not_counted
            unexpected_ends_count_by_the_same_rule
            handing_back_and_waiting_count_nothing
        }
        stages {
            an_upload_goes_all_the_way_and_its_history_tells_it
            a_name_in_the_archive_belongs_to_one_upload
            a_load_is_split_once
            parts_are_accepted_with_their_ranges_once
            ranges_that_overlap_are_refused
            a_load_without_ranges_is_done
            done_needs_every_range_and_every_good_row
            a_failed_upload_says_why
            what_cleaning_found_is_kept_of_a_file_that_is_not_loaded
            what_nobody_works_on_can_be_abandoned
        }
        loads {
            keep_stores_what_is_absent_and_counts_the_rest
            replace_stores_what_differs_and_counts_it_apart
            a_dropped_load_changes_nothing
            blocks_out_of_order_are_refused
            ids_that_look_alike_stay_apart
            any_text_comes_out_as_it_went_in
        }
        takeover {
            a_successor_waits_for_an_open_load_and_goes_on_behind_it
            after_the_successor_took_over_the_old_one_stores_nothing
            a_late_take_over_of_an_old_claim_is_refused
            heartbeats_go_on_beside_loads
        }
        requests {
            a_waiting_upload_is_cancelled_at_once
            a_claimed_upload_is_asked_to_stop
            whoever_claims_a_flagged_upload_only_cancels_it
            what_ended_is_not_cancelled
            replace_loads_wait_for_earlier_ones
        }
        retries {
            only_what_failed_or_was_cancelled_is_opened_again
            before_it_was_archived_it_opens_as_received
            with_no_row_stored_it_is_cleaned_anew_under_other_options
            with_rows_stored_it_goes_on_loading
            a_restart_forgets_the_ranges_but_not_the_rows
            what_a_newer_one_has_overtaken_is_refused
        }
        lists {
            the_newest_come_first_in_pages
            states_and_searches_narrow_the_list
            a_sender_s_own_are_told_from_those_of_others
            the_same_content_is_found_again
            an_id_is_found_by_its_beginning
            candidates_are_the_oldest_that_are_free
            receipts_are_missing_until_they_are_copied
            what_was_begun_in_the_archive_is_listed_until_it_is_removed
            what_was_parked_is_read_in_order
        }
        marks {
            every_change_of_an_upload_changes_its_mark
            what_ended_is_marked_for_the_time_that_was_asked_for
            uploads_are_read_by_their_ids
        }
    }
}
