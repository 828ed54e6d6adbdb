//! Downloads that continue others, on files that were damaged meanwhile.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path as Key;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::codec::Codec;
use crate::error::Error;
use crate::payload::digest::{Digest, DigestAlgorithm};
use crate::payload::subtree::granule::{GRANULE, GranuleHasher};
use crate::payload_store::PayloadStore;
use crate::pointer::{Envelope, Pointer};
use crate::receive::download::{write, write_stream};
use crate::testing::{TestStore, bytes};
use crate::transfer::journal::record::Record;

/// The payload's length: 7 granules, the last one short.
const LEN: u64 = 6 * GRANULE + 7;

/// The number of granules before a download is killed.
const DONE: u64 = 5;

/// The bytes that are requested after such a kill: the first response tells what the object is, and the rest is missing.
const REST: u64 = GRANULE + (LEN - DONE * GRANULE);

struct Fixture {
    store: TestStore,
    folder: TempDir,
    name: String,
    content: Bytes,
    /// The digest in the message.
    digest: Option<Digest>,
    keep: bool,
}

impl Fixture {
    async fn new() -> Self {
        let content = bytes(usize::try_from(LEN).unwrap());
        let fixture = Self {
            store: TestStore::default(),
            folder: tempfile::tempdir().unwrap(),
            name: "file".to_owned(),
            digest: Some(Digest::compute(DigestAlgorithm::Blake3, &content)),
            content,
            keep: false,
        };
        fixture.put(&fixture.content).await;
        fixture
    }

    async fn put(&self, content: &Bytes) {
        let key = Key::from("payloads/k");
        self.store.put(&key, content.clone().into()).await.unwrap();
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    fn part(&self) -> PathBuf {
        self.folder.path().join(".file.part")
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join(".file.part.journal")
    }

    fn names(&self) -> Vec<OsString> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    /// Writes what a killed process left, and forgets earlier requests.
    fn leave(&self, part: &[u8], journal: &[u8]) {
        let _ = std::fs::remove_file(self.path());
        std::fs::write(self.part(), part).unwrap();
        std::fs::write(self.journal(), journal).unwrap();
        self.store.calls.bytes.store(0, SeqCst);
    }

    async fn fetched(&self, store: &TestStore) -> Fetched {
        let payloads = PayloadStore::builder(store.clone(), "bucket")
            .prefix("payloads/")
            .download_concurrency(2)
            .download_part_size(GRANULE)
            .build()
            .unwrap();
        let mut pointer = Pointer::new("bucket", "payloads/k");
        pointer.digest.clone_from(&self.digest);
        let located = payloads.locate(Box::new(Envelope { pointer, size: None })).unwrap();
        let fetched = payloads.fetch(&located, &Codec::default()).await.unwrap();
        assert!(fetched.has_parts());
        fetched
    }

    /// Downloads as if the payload were long enough for a journal.
    async fn download(&self) -> Result<u64, Error> {
        self.download_from(&self.store).await
    }

    async fn download_from(&self, store: &TestStore) -> Result<u64, Error> {
        let fetched = self.fetched(store).await;
        let plan = Plan {
            identity: Some(fetched.identity()),
            keep: self.keep,
            ..Plan::new(&fetched)
        };
        write(fetched, self.path(), plan).await
    }

    /// Downloads, and returns the number of bytes that were requested.
    async fn requested(&self) -> u64 {
        self.store.calls.bytes.store(0, SeqCst);
        assert_eq!(self.download().await.unwrap(), self.content.len() as u64);
        assert!(std::fs::read(self.path()).unwrap() == self.content, "a wrong file");
        assert_eq!(self.names(), [self.name.as_str()]);
        self.store.calls.bytes.load(SeqCst) as u64
    }

    /// Starts a download that stops after [`DONE`] granules, and waits until it has recorded them in this journal.
    async fn stuck(self: &Arc<Self>, journal: &Path) -> JoinHandle<Result<u64, Error>> {
        // The same objects, but with failures of its own.
        let store = TestStore {
            objects: self.store.objects.clone(),
            ..TestStore::default()
        };
        let from = usize::try_from(DONE * GRANULE).unwrap();
        store.calls.hang_from.store(from, SeqCst);
        let without_etags = self.store.calls.without_etags.load(SeqCst);
        store.calls.without_etags.store(without_etags, SeqCst);
        let this = Arc::clone(self);
        let job = tokio::spawn(async move { this.download_from(&store).await });
        while recorded(journal) < DONE {
            assert!(!job.is_finished());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        job
    }

    /// Returns what a download that is killed after [`DONE`] granules leaves: its file and its journal.
    async fn killed(self: &Arc<Self>) -> (Vec<u8>, Vec<u8>) {
        let job = self.stuck(&self.journal()).await;
        let left = [self.part(), self.journal()].map(|path| std::fs::read(path).unwrap());
        job.abort();
        assert!(job.await.unwrap_err().is_cancelled());
        assert!(self.names().is_empty(), "a dropped download removes both");
        let [part, journal] = left;
        self.leave(&part, &journal);
        (part, journal)
    }
}

/// Returns the number of granules in a journal.
fn recorded(journal: &Path) -> u64 {
    let text = std::fs::read_to_string(journal).unwrap_or_default();
    let values = text
        .lines()
        .filter_map(|line| line.split_once(" granules ")?.1.split_once(' '));
    values.map(|(_, values)| values.len() as u64 / 64).sum()
}

#[tokio::test]
async fn a_killed_download_continues() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.killed().await;
    assert_eq!(fixture.requested().await, REST);
    // And from the beginning, as nothing is left of it.
    assert_eq!(fixture.requested().await, LEN);
}

#[tokio::test]
async fn a_strong_etag_suffices_without_a_digest_and_a_digest_without_an_etag() {
    let mut fixture = Fixture::new().await;
    fixture.digest = None;
    let fixture = Arc::new(fixture);
    fixture.killed().await;
    assert_eq!(fixture.requested().await, REST);

    let fixture = Arc::new(Fixture::new().await);
    fixture.store.calls.without_etags.store(true, SeqCst);
    fixture.killed().await;
    assert_eq!(fixture.requested().await, REST);
}

#[tokio::test]
async fn a_flipped_bit_of_the_file_costs_its_granule() {
    let fixture = Arc::new(Fixture::new().await);
    let (part, journal) = fixture.killed().await;
    for at in (0..DONE * GRANULE).step_by(400_009).chain([DONE * GRANULE - 1]) {
        let mut damaged = part.clone();
        damaged[usize::try_from(at).unwrap()] ^= 1 << (at % 8);
        fixture.leave(&damaged, &journal);
        // The first response contains the first granule.
        let cost = if at < GRANULE { 0 } else { GRANULE };
        assert_eq!(fixture.requested().await, REST + cost, "{at}");
    }
}

#[tokio::test]
async fn a_damaged_journal_costs_granules_only() {
    let fixture = Arc::new(Fixture::new().await);
    let (part, journal) = fixture.killed().await;
    for at in (0..journal.len()).step_by(29) {
        let mut damaged = journal.clone();
        damaged[at] ^= 1 << (at % 8);
        fixture.leave(&part, &damaged);
        let requested = fixture.requested().await;
        assert!((REST + 1..=LEN).contains(&requested), "{at}: {requested}");
    }
    for len in (0..journal.len()).step_by(61) {
        fixture.leave(&part, &journal[..len]);
        let requested = fixture.requested().await;
        assert!((REST + 1..=LEN).contains(&requested), "{len}: {requested}");
    }
}

#[tokio::test]
async fn a_file_of_another_length_is_used_as_far_as_it_is_right() {
    let fixture = Arc::new(Fixture::new().await);
    let (part, journal) = fixture.killed().await;
    for (granules, more) in [(0, 0), (0, 1), (1, 0), (2, 500), (4, 1_000_000), (DONE, 0)] {
        let len = usize::try_from(granules * GRANULE + more).unwrap();
        fixture.leave(&part[..len], &journal);
        let missing = LEN - granules * GRANULE;
        let first = if granules == 0 { 0 } else { GRANULE };
        assert_eq!(fixture.requested().await, first + missing, "{len}");
    }
    let mut longer = part;
    longer.resize(usize::try_from(2 * LEN).unwrap(), 7);
    fixture.leave(&longer, &journal);
    assert_eq!(fixture.requested().await, REST);
}

#[tokio::test]
async fn another_object_starts_over() {
    for (is_shorter, with_digest) in [(false, true), (false, false), (true, false)] {
        let mut fixture = Fixture::new().await;
        if !with_digest {
            fixture.digest = None;
        }
        let mut fixture = Arc::new(fixture);
        fixture.killed().await;
        let mut other: Vec<u8> = fixture.content.iter().map(|byte| !byte).collect();
        if is_shorter {
            other.truncate(usize::try_from(3 * GRANULE).unwrap());
        }
        let other = Bytes::from(other);
        fixture.put(&other).await;
        let changed = Arc::get_mut(&mut fixture).unwrap();
        changed.digest = with_digest.then(|| Digest::compute(DigestAlgorithm::Blake3, &other));
        changed.content = other.clone();
        assert_eq!(fixture.requested().await, other.len() as u64);
    }
}

/// Nobody but an attacker can record granules of other bytes.
#[tokio::test]
async fn a_wrong_digest_after_a_resumption_removes_both() {
    for keep in [false, true] {
        let mut fixture = Fixture::new().await;
        fixture.keep = keep;
        let granule = usize::try_from(GRANULE).unwrap();
        let wrong = vec![7; granule];
        let mut hasher = GranuleHasher::new(0);
        hasher.update(&wrong);
        let identity = fixture.fetched(&fixture.store).await.identity();
        let mut journal = Journal::create(&fixture.journal(), &identity, LEN).unwrap().unwrap();
        journal.append(&[Record::downloaded(&hasher.finish())]).unwrap();
        std::fs::write(fixture.part(), wrong).unwrap();
        drop(journal);

        let error = fixture.download().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("the next download starts over"), "{error}");
        assert!(fixture.names().is_empty());
        assert_eq!(fixture.requested().await, LEN);
    }
}

#[tokio::test]
async fn a_failed_download_keeps_its_file_on_request() {
    for keep in [false, true] {
        let mut fixture = Fixture::new().await;
        fixture.keep = keep;
        let from = usize::try_from(DONE * GRANULE).unwrap();
        fixture.store.calls.missing_from.store(from, SeqCst);
        assert!(fixture.download().await.unwrap_err().is_missing_payload());
        fixture.store.calls.missing_from.store(0, SeqCst);
        let kept = [".file.part", ".file.part.journal"];
        assert_eq!(fixture.names(), kept[..if keep { 2 } else { 0 }]);
        assert_eq!(fixture.requested().await < LEN, keep);
    }
}

#[tokio::test]
async fn a_dropped_download_keeps_its_file_on_request() {
    let mut fixture = Fixture::new().await;
    fixture.keep = true;
    let fixture = Arc::new(fixture);
    let job = fixture.stuck(&fixture.journal()).await;
    job.abort();
    assert!(job.await.unwrap_err().is_cancelled());
    assert_eq!(fixture.names(), [".file.part", ".file.part.journal"]);
    assert_eq!(fixture.requested().await, REST);
}

#[tokio::test]
async fn two_downloads_never_share_a_file() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.killed().await;
    // The first continues the remaining part, and the second begins a file of its own.
    let first = fixture.stuck(&fixture.journal()).await;
    let second = fixture.stuck(&fixture.folder.path().join(".file.1.part.journal")).await;
    assert_eq!(fixture.names().len(), 4);
    fixture.store.calls.bytes.store(0, SeqCst);
    assert_eq!(fixture.download().await.unwrap(), LEN);
    assert_eq!(
        fixture.store.calls.bytes.load(SeqCst) as u64,
        LEN,
        "neither is continued"
    );
    assert_eq!(fixture.names().len(), 5);
    for job in [first, second] {
        assert!(!job.is_finished());
        job.abort();
        assert!(job.await.unwrap_err().is_cancelled());
    }
    assert_eq!(fixture.names(), ["file"]);
    assert!(std::fs::read(fixture.path()).unwrap() == fixture.content);
}

#[tokio::test]
async fn what_no_download_continues_is_removed() {
    let fixture = Arc::new(Fixture::new().await);
    let (part, journal) = fixture.killed().await;
    std::fs::remove_file(fixture.journal()).unwrap();
    assert_eq!(fixture.requested().await, LEN, "a file without a journal");

    fixture.leave(&part, &journal);
    std::fs::remove_file(fixture.part()).unwrap();
    assert_eq!(fixture.requested().await, LEN, "a journal without a file");

    // A payload that is not fetched in parts continues nothing.
    fixture.leave(&part, &journal);
    let stream = fixture.fetched(&fixture.store).await.into_stream();
    write_stream(stream, fixture.path()).await.unwrap();
    assert_eq!(fixture.names(), ["file"]);

    // Of two files that could be continued, one is.
    fixture.leave(&part, &journal);
    std::fs::write(fixture.folder.path().join(".file.3.part"), &part).unwrap();
    std::fs::write(fixture.folder.path().join(".file.3.part.journal"), &journal).unwrap();
    assert_eq!(fixture.requested().await, REST);
}

#[tokio::test]
async fn a_short_payload_has_no_journal() {
    let fixture = Fixture::new().await;
    assert!(Plan::new(&fixture.fetched(&fixture.store).await).identity.is_none());
}

#[tokio::test]
async fn a_name_that_is_too_long_for_a_journal_works() {
    let mut fixture = Fixture::new().await;
    for len in [241, 242, 249, 250] {
        fixture.name = "n".repeat(len);
        assert_eq!(fixture.requested().await, LEN);
        std::fs::remove_file(fixture.path()).unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_with_another_name_is_not_continued() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.killed().await;
    let other = tempfile::tempdir_in(fixture.folder.path()).unwrap();
    let link = other.path().join("link");
    std::fs::hard_link(fixture.part(), &link).unwrap();
    let before = std::fs::read(&link).unwrap();
    fixture.store.calls.bytes.store(0, SeqCst);
    assert_eq!(fixture.download().await.unwrap(), LEN);
    assert_eq!(fixture.store.calls.bytes.load(SeqCst) as u64, LEN);
    assert!(std::fs::read(&link).unwrap() == before);
}

#[tokio::test]
async fn a_download_that_is_dropped_while_it_hashes_is_continued() {
    let mut fixture = Arc::new(Fixture::new().await);
    fixture.killed().await;
    Arc::get_mut(&mut fixture).unwrap().keep = true;
    let mut download = Box::pin(fixture.download());
    assert!(download.as_mut().now_or_never().is_none());
    // The hashing takes longer than this.
    std::thread::sleep(Duration::from_millis(1));
    drop(download);
    assert_eq!(fixture.requested().await, REST);
}

#[tokio::test]
async fn an_interrupted_continuation_keeps_the_file_on_request() {
    let fixture = Arc::new(Fixture::new().await);
    let (part, journal) = fixture.killed().await;
    let fetched = fixture.fetched(&fixture.store).await;
    for keep in [true, false] {
        fixture.leave(&part, &journal);
        let plan = Plan {
            identity: Some(fetched.identity()),
            keep,
            ..Plan::new(&fetched)
        };
        let interrupt = Interrupt::default();
        interrupt.set();
        assert!(Partial::open(&fixture.path(), &plan, &interrupt).is_err());
        let kept = [".file.part", ".file.part.journal"];
        assert_eq!(fixture.names(), kept[..if keep { 2 } else { 0 }]);
    }
}
