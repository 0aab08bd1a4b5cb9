//! The conformance suite of [`Destination`](crate::Destination): one function per demand, for SQL destinations.
//! Not here: what only one kind of destination does, which its own tests say.
//! Called through [`destination_conformance!`](crate::destination_conformance).

mod delivery;
mod fence;
mod reading;
mod refresh;
mod values;
mod widening;

pub use delivery::*;
pub use fence::*;
pub use reading::*;
pub use refresh::*;
pub use values::*;
pub use widening::*;

/// Makes one `#[tokio::test]` per demand. `$setup` is an async function from the demand's name to `Option<Bench>`; with
/// `None` the demand is not tested, and the function says so.
#[macro_export]
macro_rules! destination_conformance {
    ($setup:path) => {
        $crate::destination_conformance!(@each $setup:
            a_run_without_rows_makes_the_table
            a_run_of_empty_batches_publishes
            rows_of_many_batches_arrive
            nulls_and_unicode_are_kept
            nul_in_a_text_is_kept_or_rejected
            over_long_values_are_kept_whole_or_rejected
            what_is_no_number_is_kept_or_rejected
            every_type_is_taken
            a_composite_key_tells_rows_apart
            values_that_do_not_fit_are_rejected
            a_bad_row_stands_alone
            a_bad_row_is_found_among_many
            too_many_refused_rows_stop_the_run
            values_that_cannot_be_staged_count_as_refused
            rows_set_aside_count_as_refused
            an_upsert_adds_and_changes
            columns_that_are_not_mapped_keep_their_values
            a_strict_insert_rejects_a_key_that_is_there
            an_update_skips_a_key_that_is_absent
            rows_of_one_key_are_never_two
            a_delete_removes_and_forgives
            deletes_come_before_updates_and_updates_before_inserts
            unique_values_change_places
            missing_columns_are_named_at_once
            a_missing_unique_index_is_named
            a_column_without_a_value_is_named
            missing_columns_are_added
            a_failed_publication_widens_nothing
            a_key_is_not_added
            a_type_becomes_wider_or_the_run_is_refused
            nothing_is_visible_before_publish
            abort_leaves_nothing
            a_dropped_writer_leaves_nothing
            two_streams_at_once
            stamping_twice_is_stamping_once
            a_lower_generation_cannot_stamp
            a_later_generation_fences_off
            another_owner_fences_off
            a_marker_that_is_gone_fences_off
            a_lost_connection_costs_one_attempt
            the_marker_tells_of_the_publication
            the_marker_tells_what_was_removed
            a_run_repeats_a_lost_attempt
            a_failed_publication_can_be_repeated
            a_recreated_table_shows
            outcomes_are_recorded
            lost_rows_stop_the_publication
            retracted_rows_are_not_published
            retraction_must_be_announced
            a_full_refresh_equals_its_rows
            a_full_refresh_without_key_equals_its_rows
            a_full_refresh_keeps_a_row_whose_new_version_is_rejected
            rows_of_others_stop_a_full_refresh
            a_reader_sees_the_old_rows_or_the_new
            every_type_is_read_back
            the_ends_of_ranges_are_read_back
            rows_are_read_by_their_keys
            a_reader_of_the_stream_sees_one_moment
            what_cannot_be_given_back_lacks
        );
    };
    (@each $setup:path: $($demand:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $demand() {
                if let Some(bench) = $setup(stringify!($demand)).await {
                    $crate::testing::destination::$demand(&bench).await;
                }
            }
        )*
    };
}
