//! What only S3 has: rights, uploads in parts, and two runs that meet.

use tapline_core::Op;
use tapline_core::testing::bench::FULL;
use tapline_endpoint::{Endpoint, Policy, User};

use super::{destination_as, in_bucket};
use crate::fileset::Place;
use crate::fileset::demands::two;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_right_is_named() {
    let rights = [
        ("s3:ListBucket", "reach", "arn:aws:s3:::lake"),
        ("s3:PutObject", "write", "arn:aws:s3:::lake/exports/crm/*"),
        ("s3:GetObject", "move", "arn:aws:s3:::lake/exports/crm/*"),
        ("s3:DeleteObject", "move", "arn:aws:s3:::lake/exports/crm/*"),
    ];
    for (right, step, resource) in rights {
        let policy = Policy::full_access().deny(&[right], "*");
        let endpoint = Endpoint::builder()
            .bucket("lake")
            .user(User::new("AKIAWRITER", "secret").policy(policy))
            .start()
            .await
            .unwrap();
        let steps = destination_as(&endpoint, "AKIAWRITER", "secret", "").check().await;
        let failed = steps.last().unwrap();
        assert_eq!((failed.name.as_str(), failed.ok), (step, false), "{right}: {steps:?}");
        let told = format!("{} {}", failed.message.as_deref().unwrap(), failed.hint.as_deref().unwrap());
        let missing =
            if step == "move" { told.contains("s3:") } else { told.contains(right) && told.contains(resource) };
        assert!(missing, "{right}: {told}");
    }
    let endpoint = Endpoint::builder().bucket("lake").start().await.unwrap();
    let steps = destination_as(&endpoint, "AKIANOBODY", "secret", "").check().await;
    assert_eq!(steps.last().unwrap().code.as_deref(), Some("DEST-002"), "{steps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_go_up_in_parts() {
    let (bench, look) = in_bucket("format: csv").await;
    let ids: Vec<i64> = (0..60_000).collect();
    let long: Vec<String> = ids.iter().map(|id| format!("{id:0400}")).collect();
    let rows = two(&ids, &long.iter().map(String::as_str).collect::<Vec<_>>());
    bench.deliver(1, FULL, &["id"], vec![(Op::Upsert, rows)]).await.unwrap();
    let shown = look.stream("rows").unwrap();
    assert!(shown.files[0].content.len() > 20_000_000);
    assert_eq!(shown.rows.len(), 60_000);
    let Place::Bucket(endpoint, bucket, _) = look.place.as_ref() else { unreachable!() };
    assert_eq!(endpoint.unfinished_uploads(bucket).unwrap(), Vec::<String>::new());
}
