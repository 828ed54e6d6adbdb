//! Uploads that break off in every way, and continue.

mod uploads;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Mutex;

use bytes::Bytes;
use futures::FutureExt as _;
use object_store::multipart::MultipartStore;
use object_store::path::Path as Key;
use object_store::{Attributes, TagSet};
use tempfile::TempDir;

use self::uploads::{Completion, Uploads};
use super::super::Target;
use super::*;
use crate::error::ErrorKind;
use crate::payload::progress::OnProgress;
use crate::payload::{Payload, Progress};
use crate::testing::bytes;
use crate::transfer::Resources;
use crate::transfer::pressure::Pressure;

const PART: usize = 1024 * 1024;
const PARTS: usize = 6;
const LEN: usize = (PARTS - 1) * PART + 12_345;

/// A file with its journal, and the store that it is sent to.
struct Case {
    folder: TempDir,
    store: Uploads,
    multipart: Arc<dyn MultipartStore>,
    on_progress: OnProgress,
    reports: Arc<Mutex<Vec<Progress>>>,
}

impl Case {
    fn new() -> Self {
        let store = Uploads::default();
        let reports = Arc::<Mutex<Vec<Progress>>>::default();
        let recorder = Arc::clone(&reports);
        let case = Self {
            folder: tempfile::tempdir().unwrap(),
            multipart: Arc::new(store.clone()),
            store,
            on_progress: OnProgress::new(move |progress| recorder.lock().unwrap().push(*progress)),
            reports,
        };
        std::fs::write(case.file(), bytes(LEN)).unwrap();
        case
    }

    /// Begins an upload whose part with this number fails, counted from 0.
    async fn broken_off_at(part: usize) -> Self {
        let case = Self::new();
        case.store.state().fail_from = Some(part);
        case.send().await.unwrap_err();
        case.store.state().fail_from = None;
        assert_eq!(case.store.take_sent(), (0..part).collect::<Vec<_>>());
        assert!(case.journal().exists());
        assert_eq!(case.store.state().aborted, 0, "a later process continues the upload");
        case
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("file")
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    async fn send(&self) -> Result<Measured, Error> {
        let source = Payload::from_path(self.file()).await.unwrap().into();
        let upload = ResumableUpload {
            store: &self.store.objects,
            multipart: &self.multipart,
            bucket: "bucket",
            target: &Target {
                key: key(),
                is_fresh: false,
            },
            journal: &self.journal(),
            on_progress: &self.on_progress,
            settings: &UploadSettings {
                part_size: Some(PART as u64),
                // One after another, so that the test knows which parts were stored.
                concurrency: Some(1),
                digest: DigestAlgorithm::Blake3,
                attributes: Attributes::new(),
                tags: TagSet::default(),
            },
            resources: &Resources::new(16 << 20, Pressure::default()),
        };
        upload.run(source).await
    }

    /// Sends the file. Checks that the object is the file, and that nothing else remains. Returns the parts that were sent.
    async fn complete(&self) -> Vec<usize> {
        let content = std::fs::read(self.file()).unwrap();
        let stored = self.send().await.unwrap();
        assert_eq!(stored.len, content.len() as u64);
        assert_eq!(stored.digest.hex(), blake3::hash(&content).to_hex().as_str());
        assert!(
            self.store.object().await.unwrap() == content,
            "the object differs from the file"
        );
        assert!(!self.journal().exists());
        assert_eq!(self.store.state().uploads.len(), 0);
        self.store.take_sent()
    }

    fn change(&self, at: usize, keep_time: bool) {
        let modified = std::fs::metadata(self.file()).unwrap().modified().unwrap();
        let mut content = std::fs::read(self.file()).unwrap();
        content[at] ^= 1;
        std::fs::write(self.file(), content).unwrap();
        let time = if keep_time {
            modified
        } else {
            modified + std::time::Duration::from_secs(1)
        };
        File::options()
            .write(true)
            .open(self.file())
            .unwrap()
            .set_modified(time)
            .unwrap();
    }
}

fn key() -> Key {
    Key::from("payloads/k")
}

#[tokio::test]
async fn only_missing_parts_are_sent_again() {
    for part in 0..PARTS {
        let case = Case::broken_off_at(part).await;
        case.reports.lock().unwrap().clear();
        assert_eq!(case.complete().await, (part..PARTS).collect::<Vec<_>>());
        assert_eq!(case.store.state().begun, 1);
        let reports = case.reports.lock().unwrap();
        let (first, last) = (reports.first().unwrap(), reports.last().unwrap());
        assert!(first.done >= (part * PART) as u64, "{first:?}");
        assert_eq!((last.done, last.total), (LEN as u64, Some(LEN as u64)));
    }
}

#[tokio::test]
async fn an_uninterrupted_upload_leaves_nothing() {
    let case = Case::new();
    assert_eq!(case.complete().await, (0..PARTS).collect::<Vec<_>>());
    assert_eq!(case.complete().await.len(), PARTS, "a complete upload is not resumed");
}

#[tokio::test]
async fn a_dropped_upload_is_continued() {
    let case = Case::new();
    case.store.state().stall_from = Some(3);
    let mut sending = Box::pin(case.send());
    while case.store.state().sent.len() < 3 {
        assert!(sending.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    // The third part may not be noted yet.
    drop(sending);
    case.store.state().stall_from = None;
    case.store.take_sent();
    assert_eq!(case.store.state().aborted, 0);
    let sent = case.complete().await;
    assert!(sent.len() <= PARTS - 2, "{sent:?}");
    assert_eq!(case.store.state().begun, 1);
}

#[tokio::test]
async fn a_changed_file_starts_over() {
    // Within a part that the store has, and behind all of them.
    for at in [0, 2 * PART - 1, 5 * PART] {
        let case = Case::broken_off_at(4).await;
        case.change(at, false);
        assert_eq!(case.complete().await.len(), PARTS);
        let state = case.store.state();
        assert_eq!((state.begun, state.aborted), (2, 1));
    }
}

#[tokio::test]
async fn a_changed_file_with_the_old_time_is_never_mixed_up() {
    for at in [0, 2 * PART - 1, 5 * PART] {
        let case = Case::broken_off_at(4).await;
        case.change(at, true);
        let sent = case.complete().await;
        assert!(sent.contains(&(at / PART)), "{sent:?}");
    }
    let case = Case::broken_off_at(4).await;
    std::fs::write(case.file(), bytes(LEN + PART)).unwrap();
    assert_eq!(case.complete().await.len(), PARTS + 1);
}

#[tokio::test]
async fn a_damaged_journal_costs_only_parts() {
    let case = Case::broken_off_at(5).await;
    let journal = std::fs::read(case.journal()).unwrap();
    for at in (0..journal.len()).step_by(61) {
        for flips in [false, true] {
            let case = Case::broken_off_at(5).await;
            // The upload of this case has the id of its own journal.
            let mut damaged = std::fs::read(case.journal()).unwrap();
            match flips {
                true => damaged[at] ^= 4,
                false => damaged.truncate(at),
            }
            std::fs::write(case.journal(), damaged).unwrap();
            case.store.state().ignores_leftovers = true;
            case.complete().await;
        }
    }
}

#[tokio::test]
async fn an_upload_that_the_store_forgot_starts_over_once() {
    let case = Case::broken_off_at(4).await;
    case.store.state().uploads.clear();
    assert_eq!(case.complete().await, (0..PARTS).collect::<Vec<_>>());
    assert_eq!(case.store.state().begun, 2);

    let case = Case::broken_off_at(4).await;
    case.store.state().uploads.clear();
    case.store.state().completions.push(Completion::Forgets);
    let error = case.send().await.unwrap_err();
    assert!(error.to_string().contains("no longer has the upload"), "{error}");
    assert_eq!(case.store.state().begun, 2, "it starts over only once");
    case.complete().await;
}

#[tokio::test]
async fn a_part_that_the_store_lost_starts_over() {
    let case = Case::broken_off_at(4).await;
    let upload = case.store.state().uploads.keys().next().unwrap().clone();
    case.store.state().uploads.get_mut(&upload).unwrap().remove(&1);
    assert_eq!(case.complete().await.len(), 2 + PARTS);
    assert_eq!(case.store.state().aborted, 1);
}

#[tokio::test]
async fn a_completion_without_a_response_is_noticed() {
    // object_store repeats the request, or else a later process does.
    for completion in [Completion::Repeated, Completion::Lost] {
        let case = Case::new();
        case.store.state().completions.push(completion);
        let sent = case.send().await;
        assert_eq!(sent.is_ok(), completion == Completion::Repeated);
        assert_eq!(case.store.take_sent().len(), PARTS);
        if completion == Completion::Lost {
            assert!(case.complete().await.is_empty(), "the object exists already");
        }
        assert_eq!(case.store.state().begun, 1);
    }
}

#[tokio::test]
async fn an_older_object_is_not_taken_for_the_payload() {
    let case = Case::new();
    case.store.put_object(Bytes::from(vec![0; LEN])).await;
    case.store.state().fail_from = Some(PARTS - 1);
    case.send().await.unwrap_err();
    case.store.state().fail_from = None;
    case.store.state().completions.push(Completion::Forgets);
    case.complete().await;
    assert_eq!(case.store.state().begun, 2);
}

#[tokio::test]
async fn a_journal_in_use_is_refused_and_its_upload_stays() {
    let case = Case::new();
    case.store.state().stall_from = Some(2);
    let mut sending = Box::pin(case.send());
    while case.store.state().sent.len() < 2 {
        assert!(sending.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    let error = case.send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("another process"), "{error}");
    let state = case.store.state();
    assert_eq!((state.begun, state.aborted, state.uploads.len()), (1, 0, 1));
}

#[tokio::test]
async fn a_file_that_is_not_a_journal_is_never_replaced() {
    let case = Case::new();
    // A mistake is to name another file, or the payload's own.
    std::fs::write(case.journal(), "precious").unwrap();
    let error = case.send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(std::fs::read(case.journal()).unwrap(), b"precious");

    std::fs::remove_file(case.journal()).unwrap();
    std::fs::hard_link(case.file(), case.journal()).unwrap();
    let error = case.send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        std::fs::read(case.file()).unwrap() == bytes(LEN),
        "the payload was overwritten"
    );
    assert_eq!(case.store.state().begun, 0, "before any request");
}
