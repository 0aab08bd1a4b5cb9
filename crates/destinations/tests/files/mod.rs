//! The conformance suite on files, in a folder and in S3, in every format; and what files alone have.

mod content;
mod crashes;
mod s3;

use std::sync::Arc;

use tapline_core::Destination;
use tapline_core::testing::bench::Bench;
use tapline_destinations::files::Files;
use tapline_endpoint::Endpoint;

use crate::fileset::{self, Look, Place, demands};

/// A folder, files of a format, and a look at them.
pub fn in_folder(settings: &str) -> (Bench, Look) {
    let folder = tempfile::tempdir().unwrap();
    let destination = destination(folder.path(), settings);
    let look = Look::folder(folder, "out");
    (fileset::bench(destination, "rows", look.clone()), look)
}

/// A destination in the folder `out` below a folder.
pub fn destination(folder: &std::path::Path, settings: &str) -> Arc<dyn Destination> {
    fileset::connect(&Files, &format!("url: out\n{settings}"), folder)
}

/// The same below a prefix of a bucket.
async fn in_bucket(settings: &str) -> (Bench, Look) {
    let endpoint = Endpoint::builder().bucket("lake").start().await.unwrap();
    let destination = destination_in(&endpoint, settings);
    let look = Look::bucket(endpoint, "lake", "exports/crm/");
    (fileset::bench(destination, "rows", look.clone()), look)
}

fn destination_in(endpoint: &Endpoint, settings: &str) -> Arc<dyn Destination> {
    let key = endpoint.access_key();
    destination_as(endpoint, &key.id, &key.secret, settings)
}

fn destination_as(endpoint: &Endpoint, id: &str, secret: &str, settings: &str) -> Arc<dyn Destination> {
    let settings = format!(
        "url: s3://lake/exports/crm/\nregion: us-east-1\nendpoint: {}\nauth: {{ type: iam_user, access_key_id: {id}, \
         secret_access_key: {secret} }}\n{settings}",
        endpoint.url()
    );
    fileset::connect(&Files, &settings, std::path::Path::new("/nowhere"))
}

macro_rules! conformance {
    ($($module:ident: $setup:expr;)+) => {
        $(
            mod $module {
                async fn setup(demand: &str) -> Option<tapline_core::testing::bench::Bench> {
                    if crate::fileset::applies(demand) { Some($setup.await.0) } else { None }
                }

                tapline_core::destination_conformance!(setup);
            }
        )+
    };
}

conformance! {
    parquet: async { super::in_folder("") };
    csv: async { super::in_folder("format: csv\ncompression: gzip") };
    ndjson: async { super::in_folder("format: ndjson\ncompression: zstd\nname: \"{stream}\"") };
    bucket: super::in_bucket("");
}

macro_rules! demands {
    ($($demand:ident),+ $(,)?) => {
        mod beyond_the_suite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $demand() {
                    for settings in ["", "format: csv", "format: ndjson\nname: \"{date}/{sync}\""] {
                        let (bench, look) = super::in_folder(settings);
                        super::demands::$demand(&bench, &look).await;
                    }
                    let (bench, look) = super::in_bucket("").await;
                    super::demands::$demand(&bench, &look).await;
                }
            )+
        }
    };
}

demands!(
    only_one_set_is_visible,
    every_operation_is_applied,
    refused_rows_stop_a_run_or_stay,
    fields_are_added,
    rows_of_one_key_are_one,
    a_check_passes_and_leaves_nothing,
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_gone_show() {
    let (bench, look) = in_folder("");
    let Place::Folder(folder) = look.place.as_ref() else { unreachable!() };
    let remove = |path: &str| std::fs::remove_file(folder.join(path)).unwrap();
    demands::files_that_are_gone_show(&bench, &look, remove).await;
    let (bench, look) = in_bucket("").await;
    let Place::Bucket(endpoint, bucket, prefix) = look.place.as_ref() else { unreachable!() };
    let remove = |path: &str| assert!(endpoint.delete(bucket, &format!("{prefix}{path}")).unwrap());
    demands::files_that_are_gone_show(&bench, &look, remove).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_that_is_gone_fences_off() {
    let (bench, look) = in_folder("");
    let Place::Folder(folder) = look.place.as_ref() else { unreachable!() };
    let remove = |path: &str| std::fs::remove_file(folder.join(path)).unwrap();
    demands::a_marker_that_is_gone_fences_off(&bench, &look, remove).await;
}
