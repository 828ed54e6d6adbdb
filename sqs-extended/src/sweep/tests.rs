use std::sync::Mutex;
use std::sync::atomic::Ordering::SeqCst;

use futures::{FutureExt as _, TryStreamExt as _};
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;

use super::*;
use crate::error::ErrorKind;
use crate::testing::TestStore;
use crate::transfer::delete::BATCH;

const HOUR: Duration = Duration::from_secs(60 * 60);

async fn put(store: &InMemory, keys: &[&str]) {
    for key in keys {
        store.put(&Path::from(*key), "12345".into()).await.unwrap();
    }
}

async fn keys(store: &InMemory) -> Vec<String> {
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    objects.into_iter().map(|object| object.location.to_string()).collect()
}

fn count(objects: u64) -> SweepCount {
    SweepCount {
        objects,
        bytes: 5 * objects,
    }
}

/// A sweep that treats every object stored before it as old.
fn sweep(store: &InMemory, prefix: &str) -> Sweep {
    Sweep::new(store.clone(), prefix, Duration::ZERO).unwrap()
}

#[tokio::test]
async fn only_keys_with_the_prefix_are_removed() {
    let all = ["a", "p", "p-/x", "p/x", "p/y/z", "pp", "q/p/x"];
    for (prefix, swept) in [
        ("", &all[..]),
        ("p", &["p-/x", "p/x", "p/y/z", "p", "pp"]),
        ("p/", &["p/x", "p/y/z"]),
        ("p/y", &["p/y/z"]),
        ("p/y/z", &["p/y/z"]),
        ("missing/", &[]),
    ] {
        let store = InMemory::new();
        put(&store, &all).await;
        let found = sweep(&store, prefix).dry_run().await.unwrap();
        let number = u64::try_from(swept.len()).unwrap();
        assert_eq!(
            (found.seen, found.old, found.removed),
            (count(number), count(number), count(0))
        );
        assert_eq!(keys(&store).await.len(), all.len(), "a dry run removed something");

        let report = sweep(&store, prefix).remove().await.unwrap();
        assert_eq!((report.removed, report.failed), (count(number), 0));
        let left: Vec<_> = all.iter().filter(|key| !swept.contains(key)).collect();
        assert_eq!(
            keys(&store).await,
            left.into_iter().map(|key| (*key).to_owned()).collect::<Vec<_>>(),
            "{prefix}"
        );
    }
}

#[tokio::test]
async fn young_objects_stay_by_the_stores_clock() {
    let store = InMemory::new();
    put(&store, &["p/x"]).await;
    let report = Sweep::new(store.clone(), "p/", HOUR).unwrap().remove().await.unwrap();
    assert_eq!(
        (report.seen, report.old, report.removed),
        (count(1), count(0), count(0))
    );
    // No object is older than the epoch.
    let report = Sweep::new(store.clone(), "p/", Duration::MAX)
        .unwrap()
        .remove()
        .await
        .unwrap();
    assert_eq!(report.old, count(0));
    assert_eq!(keys(&store).await, ["p/x"]);
}

/// Another object is stored under the key between the listing and the removal.
#[tokio::test]
async fn an_object_replaced_after_the_listing_stays() {
    let store = InMemory::new();
    put(&store, &["p/again", "p/gone", "p/old"]).await;
    let shared = store.clone();
    let sweep = sweep(&store, "p/").on_event(move |event| match event {
        SweepEvent::Old(object) if object.location.as_ref() == "p/again" => {
            let stored = shared.put(&object.location, "the new payload".into()).now_or_never();
            stored.unwrap().unwrap();
        }
        SweepEvent::Old(object) if object.location.as_ref() == "p/gone" => {
            shared.delete(&object.location).now_or_never().unwrap().unwrap();
        }
        _ => {}
    });
    let report = sweep.remove().await.unwrap();
    assert_eq!(keys(&store).await, ["p/again"]);
    assert_eq!((report.old, report.removed, report.failed), (count(3), count(1), 0));
}

#[tokio::test]
async fn kept_objects_stay() {
    let store = InMemory::new();
    put(&store, &["p/x", "p/y"]).await;
    let sweep = sweep(&store, "p/").keep(|object| object.location.as_ref() == "p/y");
    let report = sweep.remove().await.unwrap();
    assert_eq!(
        (report.seen, report.old, report.removed),
        (count(2), count(1), count(1))
    );
    assert_eq!(keys(&store).await, ["p/y"]);
}

#[tokio::test]
async fn failed_deletions_are_counted_and_do_not_end_the_sweep() {
    let store = TestStore::default();
    let names: Vec<String> = (0..BATCH + 10).map(|number| format!("p/{number}")).collect();
    put(&store.objects, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    store.calls.fail_deletes.store(true, SeqCst);
    let events = Arc::new(Mutex::new(0_u64));
    let counter = events.clone();
    let sweep = Sweep::new(store.clone(), "p/", Duration::ZERO).unwrap();
    let sweep = sweep.on_event(move |event| {
        if matches!(event, SweepEvent::Failed(_)) {
            *counter.lock().unwrap() += 1;
        }
    });
    let report = sweep.remove().await.unwrap();
    let number = u64::try_from(names.len()).unwrap();
    assert_eq!(
        (report.old, report.removed, report.failed),
        (count(number), count(0), number)
    );
    assert!(*events.lock().unwrap() > 0);

    store.calls.fail_deletes.store(false, SeqCst);
    let report = sweep.remove().await.unwrap();
    // The one-byte object could not be removed the first time.
    assert_eq!((report.removed.objects, report.failed), (number + 1, 0));
    assert!(store.is_empty().await);
}

#[tokio::test]
async fn every_step_is_an_event() {
    let store = InMemory::new();
    put(&store, &["p/x"]).await;
    let events = Arc::new(Mutex::new(Vec::new()));
    let recorder = events.clone();
    let sweep = sweep(&store, "p/").on_event(move |event| {
        recorder.lock().unwrap().push(match event {
            SweepEvent::Seen(object) => format!("seen {}", object.location),
            SweepEvent::Old(object) => format!("old {}", object.location),
            SweepEvent::Removed(key, size) => format!("removed {key} {size}"),
            other => format!("{other:?}"),
        });
    });
    sweep.remove().await.unwrap();
    assert_eq!(*events.lock().unwrap(), ["seen p/x", "old p/x", "removed p/x 5"]);
}

#[test]
fn a_prefix_that_is_not_a_path_is_an_error() {
    for prefix in ["/", "p//", "../", "p/../"] {
        let error = Sweep::new(InMemory::new(), prefix, HOUR).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{prefix}");
    }
}

#[tokio::test]
async fn unfinished_uploads_of_other_stores_fail_before_anything_is_removed() {
    let store = InMemory::new();
    put(&store, &["p/x"]).await;
    let error = sweep(&store, "p/").unfinished_uploads(true).remove().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(keys(&store).await, ["p/x"]);
}
