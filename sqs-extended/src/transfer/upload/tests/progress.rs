//! Tests the progress that an upload reports.

use std::sync::{Arc, Mutex};

use super::*;
use crate::payload::Progress;

/// Uploads with a report of the progress. Returns all reports.
async fn reports(store: &TestStore, payload: Payload) -> (Result<Measured, Error>, Vec<Progress>) {
    let reports = Arc::<Mutex<Vec<Progress>>>::default();
    let recorder = Arc::clone(&reports);
    let on_progress = OnProgress::new(move |progress| recorder.lock().unwrap().push(*progress));
    let (settings, aborts) = (settings(), TaskTracker::new());
    let (target, resources) = (target(), resources());
    let source = payload.into();
    let stored = super::super::upload(store, &target, source, &on_progress, &settings, &resources, &aborts).await;
    let reports = reports.lock().unwrap().clone();
    (stored, reports)
}

#[tokio::test]
async fn the_last_report_is_about_all_bytes() {
    for len in [0, 10, 1000, 1001, 12_345] {
        for (name, payload) in payloads(&bytes(len), &[700, 5000]) {
            let total = payload.size();
            let (stored, reports) = reports(&TestStore::default(), payload).await;
            stored.unwrap();
            let last = reports.last().unwrap();
            assert_eq!((last.done, last.total), (len as u64, total), "{name} of {len}");
            assert!(reports.is_sorted_by_key(|progress| progress.done), "{name} of {len}");
        }
    }
}

#[tokio::test]
async fn a_failed_upload_is_never_complete() {
    let store = TestStore::default();
    store.calls.fail_from_part.store(4, SeqCst);
    let (stored, reports) = reports(&store, Payload::from(bytes(10_000))).await;
    stored.unwrap_err();
    assert!(reports.iter().all(|progress| progress.done <= 3 * PART), "{reports:?}");
}

#[tokio::test]
async fn a_report_that_panics_does_not_end_the_upload() {
    let on_progress = OnProgress::new(|_| panic!("as told"));
    let (store, settings) = (TestStore::default(), settings());
    let content = bytes(10_000);
    let (source, aborts) = (Payload::from(content.clone()).into(), TaskTracker::new());
    let (target, resources) = (target(), resources());
    let stored = super::super::upload(&store, &target, source, &on_progress, &settings, &resources, &aborts).await;
    assert_eq!(stored.unwrap().len, 10_000);
    assert_eq!(store.object(&key()).await.unwrap(), content);
}

#[cfg(feature = "metrics")]
#[test]
fn metrics_count_bytes_and_requests() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (_, stored) = super::store(Payload::from(bytes(2500))).await;
            stored.unwrap();
        });
    });
    let counters: Vec<_> = snapshotter.snapshot().into_vec();
    let value = |name: &str| {
        let counter = counters.iter().find(|(key, ..)| key.key().name() == name);
        let (key, _, _, value) = counter.unwrap();
        let direction = key.key().labels().next().unwrap();
        assert_eq!((direction.key(), direction.value()), ("direction", "upload"));
        match value {
            DebugValue::Counter(value) => *value,
            other => panic!("{name} is {other:?}"),
        }
    };
    // The beginning, three parts and the completion.
    assert_eq!((value("sqs.payload.bytes"), value("sqs.payload.requests")), (2500, 5));
}
