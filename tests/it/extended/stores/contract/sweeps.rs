//! Tests sweeps.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use futures::{TryStreamExt as _, stream};
use libtest_mimic::Trial;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use sqs_extended::ErrorKind;
use sqs_extended::sweep::{Sweep, SweepReport};

use super::place::{Kind, PART, Place, Quirk};
use super::test;
use crate::harness::{Harness, Outcome};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Stores report the times of objects with a resolution of one second.
const TICK: Duration = Duration::from_millis(1_100);

pub fn trials(harness: &Arc<Harness>, kind: Kind) -> Vec<Trial> {
    let mut trials = vec![
        test(harness, kind, old_objects_of_the_prefix_are_swept),
        test(harness, kind, unfinished_uploads_are_swept_where_they_can_be_listed),
    ];
    if !kind.has(Quirk::IsSlow) {
        trials.push(test(harness, kind, more_objects_than_one_request_covers_are_swept));
    }
    if !kind.has(Quirk::NoEmptySegments) {
        trials.push(test(harness, kind, keys_with_empty_segments_are_swept_on_s3));
    }
    trials
}

fn objects(report: &SweepReport) -> [u64; 4] {
    [
        report.seen.objects,
        report.old.objects,
        report.removed.objects,
        report.failed,
    ]
}

fn sweep(place: &Place, older_than: Duration) -> anyhow::Result<Sweep> {
    Ok(Sweep::from_url(&place.url(), older_than)?)
}

async fn old_objects_of_the_prefix_are_swept(place: Place) -> Outcome {
    let neighbor = Path::from(format!("{}-neighbor", place.prefix.trim_end_matches('/')));
    place.store.put(&neighbor, "neighbor".into()).await?;
    for name in ["a", "b/c", "100% ü+"] {
        place.store.put(&place.key(name), "12345".into()).await?;
    }
    tokio::time::sleep(TICK).await;

    ensure!(objects(&sweep(&place, HOUR)?.remove().await?) == [3, 0, 0, 0]);
    let found = sweep(&place, Duration::ZERO)?.dry_run().await?;
    ensure!((objects(&found), found.old.bytes) == ([3, 3, 0, 0], 15), "{found:?}");
    ensure!(place.keys().await?.len() == 3, "the dry run removed an object");
    let removed = sweep(&place, Duration::ZERO)?.remove().await?;
    ensure!(
        (objects(&removed), removed.removed.bytes) == ([3, 3, 3, 0], 15),
        "{removed:?}"
    );
    ensure!(place.keys().await?.is_empty());
    place.store.head(&neighbor).await?;
    place.store.delete(&neighbor).await?;
    Ok(())
}

/// One request lists at most 1,000 objects of S3 or 5,000 of Azure, and the library deletes at most 250 by one request.
async fn more_objects_than_one_request_covers_are_swept(place: Place) -> Outcome {
    let many: u64 = if place.kind == Kind::Azurite { 303 } else { 1_003 };
    let put = |number: u64| {
        let (store, key) = (Arc::clone(&place.store), place.key(&number.to_string()));
        async move { store.put(&key, "x".into()).await.map(drop) }
    };
    stream::iter((0..many).map(Ok)).try_for_each_concurrent(16, put).await?;
    tokio::time::sleep(TICK).await;
    let report = sweep(&place, Duration::ZERO)?.remove().await?;
    ensure!(objects(&report) == [many, many, many, 0], "{report:?}");
    ensure!(place.keys().await?.is_empty());
    Ok(())
}

/// object_store cannot list such keys.
async fn keys_with_empty_segments_are_swept_on_s3(place: Place) -> Outcome {
    for name in ["!first", "/empty", "a//b", "last"] {
        place.store.put(&place.key(name), "12345".into()).await?;
    }
    tokio::time::sleep(TICK).await;
    let swept = sweep(&place, Duration::ZERO)?.remove().await;
    if place.kind.is_s3() {
        let report = swept?;
        ensure!(objects(&report) == [4, 4, 4, 0], "{report:?}");
        ensure!(place.keys().await?.is_empty());
        return Ok(());
    }
    let error = swept.unwrap_err();
    ensure!(error.kind() == ErrorKind::Store, "{error:?}");
    ensure!(error.to_string().contains("empty segment"), "{error}");
    Ok(())
}

async fn unfinished_uploads_are_swept_where_they_can_be_listed(place: Place) -> Outcome {
    // Leave an upload unfinished, as a killed process does.
    let mut upload = place.store.put_multipart(&place.key("part&more")).await?;
    upload.put_part(vec![0; PART].into()).await?;
    place.store.put(&place.key("object"), "12345".into()).await?;
    tokio::time::sleep(TICK).await;

    let with_uploads = |older_than| sweep(&place, older_than).map(|sweep| sweep.unfinished_uploads(true));
    let counts = |report: &SweepReport| [report.uploads.seen, report.uploads.old, report.uploads.removed];
    if !place.kind.is_s3() {
        let error = with_uploads(Duration::ZERO)?.remove().await.unwrap_err();
        ensure!(error.kind() == ErrorKind::InvalidInput, "{error:?}");
        ensure!(place.keys().await?.len() == 1, "the sweep began");
        return Ok(());
    }
    if place.kind.has(Quirk::ListsNoUploads) {
        let error = with_uploads(HOUR)?.remove().await.unwrap_err();
        ensure!(
            error.to_string().contains("unfinished uploads could not be listed"),
            "{error:?}"
        );
        upload.abort().await?;
        return Ok(());
    }
    if !place.kind.has(Quirk::UploadsWithoutAges) {
        ensure!(counts(&with_uploads(HOUR)?.remove().await?) == [1, 0, 0]);
    }
    ensure!(counts(&with_uploads(Duration::ZERO)?.dry_run().await?) == [1, 1, 0]);
    let removed = with_uploads(Duration::ZERO)?.remove().await?;
    ensure!(
        counts(&removed) == [1, 1, 1] && objects(&removed) == [1, 1, 1, 0],
        "{removed:?}"
    );
    ensure!(counts(&with_uploads(Duration::ZERO)?.dry_run().await?) == [0; 3]);
    Ok(())
}
