//! Tests the progress that a download reports.

use std::sync::Mutex;

use super::*;
use crate::payload::Progress;

const LEN: usize = 20 * 1024 * 1024 + 12_345;

/// Downloads in order or in parts to a file. Returns all reports.
async fn reports(store: &TestStore, digest: Option<Digest>, to_file: bool) -> (Result<(), Error>, Vec<Progress>) {
    let reports = Arc::<Mutex<Vec<Progress>>>::default();
    let recorder = Arc::clone(&reports);
    let on_progress = OnProgress::new(move |progress| recorder.lock().unwrap().push(*progress));
    let store: Arc<dyn ObjectStore> = Arc::new(ChunkedStore::new(Arc::new(store.clone()), 100_000));
    let (settings, resources) = (
        DownloadSettings::default(),
        Resources::new(16 << 20, Pressure::default()),
    );
    let expected = Expected {
        digest,
        ..Expected::default()
    };
    let download = download(&store, &key(), expected, &settings).await.unwrap();
    let download = download.report_to(on_progress);
    let done = if to_file {
        let target = Arc::new(Target::new(tempfile::tempfile().unwrap()));
        download.into_file(target, &settings, &resources).await
    } else {
        let chunks = download.into_chunks(&settings, &resources);
        chunks.try_for_each(|_| async { Ok(()) }).await
    };
    let reports = reports.lock().unwrap().clone();
    (done, reports)
}

#[tokio::test]
async fn each_byte_counts_once_even_if_it_arrives_again() {
    let content = bytes(LEN);
    for to_file in [false, true] {
        let store = store_with(&content).await;
        let breaks = [Break::Failing(1_000_000), Break::Refused, Break::Ending(300_000)];
        store.calls.breaks.lock().unwrap().extend(breaks);
        let (done, reports) = reports(&store, digest(DigestAlgorithm::Blake3, &content), to_file).await;
        done.unwrap();
        assert!(reports.is_sorted_by_key(|progress| progress.done));
        let last = reports.last().unwrap();
        assert_eq!((last.done, last.total), (LEN as u64, Some(LEN as u64)), "{to_file}");
    }
}

#[tokio::test]
async fn a_payload_that_fails_its_verification_has_no_last_report() {
    let content = bytes(LEN);
    for to_file in [false, true] {
        let wrong = digest(DigestAlgorithm::Blake3, b"something else");
        let right = digest(DigestAlgorithm::Blake3, &content);
        // Without a last report, the last one is at least an interval before the end.
        let store = store_with(&content).await;
        let (failed, after_failure) = reports(&store, wrong, to_file).await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Corrupt);
        let (done, after_success) = reports(&store, right, to_file).await;
        done.unwrap();
        let completes = |reports: &[Progress]| reports.iter().filter(|progress| progress.done == LEN as u64).count();
        assert!(completes(&after_success) >= 1);
        assert!(completes(&after_failure) <= 1, "{after_failure:?}");
    }
}
