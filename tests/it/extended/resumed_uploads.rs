//! Kills the sender of a file during its upload to a real store. The next attempt sends only the parts that the store
//! lacks.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use libtest_mimic::Trial;
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{MultipartId, PutMultipartOptions, PutPayload, PutResult, Result};
use serde::{Deserialize, Serialize};
use sqs_client::Client;
use sqs_extended::{ExtendedClient, Payload, PayloadStore};
use tokio::process::Command;
use tokio::runtime::Runtime;

use super::store::{BUCKET, Bucket, keys};
use crate::harness::{Harness, Outcome, name_of, unique};

/// The environment variable that makes this binary a sender.
const ORDERS: &str = "SQS_TEST_RESUME_ORDERS";

/// The part size, which is the smallest that S3 allows.
const PART: usize = 5 * 1024 * 1024;

/// The number of parts of the file. The last one is short.
const PARTS: usize = 40;

/// The number of parts that the store has when the sender is killed.
const STORED: usize = 36;

const KEY: &str = "backup.tar";

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let cases = [
        ("unchanged", Change::Nothing),
        ("changed_file", Change::File),
        ("changed_file_with_the_old_time", Change::FileButNotItsTime),
        ("truncated_journal", Change::TruncatedJournal),
        ("flipped_bit_in_the_journal", Change::FlippedJournal),
    ];
    let trials = cases.map(|(name, change)| {
        let name = format!("{}::{name}", name_of(&a_killed_upload_is_continued));
        harness.trial(name, move |harness| {
            let minio = harness.servers.minio().map_err(Clone::clone)?;
            let bucket = Bucket::new(minio).expect("a bucket");
            Ok(Box::pin(a_killed_upload_is_continued(bucket, change)))
        })
    });
    trials.into()
}

/// A change between the two attempts.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    File,
    FileButNotItsTime,
    TruncatedJournal,
    FlippedJournal,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Attempt {
    endpoint: String,
    queue: String,
    bucket: Bucket,
    prefix: String,
    file: PathBuf,
    journal: PathBuf,
}

async fn a_killed_upload_is_continued(bucket: Bucket, change: Change) -> Outcome {
    let server = sqs_tests::strict().start().await?;
    let client = server.client()?;
    let queue = client.create_queue(unique("resumed")).await?.queue_url;
    let folder = tempfile::tempdir()?;
    let attempt = Attempt {
        endpoint: server.endpoint(),
        queue: queue.clone(),
        bucket,
        prefix: format!("{}/", unique("resumed")),
        file: folder.path().join("file"),
        journal: folder.path().join("journal"),
    };
    let block: Vec<u8> = (0..=250).collect();
    let len = PART * (PARTS - 1) + 12_345;
    std::fs::write(
        &attempt.file,
        block.iter().copied().cycle().take(len).collect::<Vec<u8>>(),
    )?;
    attempt.kill().await?;
    let store = attempt.bucket.store()?;
    ensure!(
        keys(&store, &attempt.prefix).await?.is_empty(),
        "the upload is complete"
    );
    attempt.apply(change)?;

    let uploads = Uploads::new(store.clone(), usize::MAX);
    let begin = Arc::new(Mutex::new(None));
    let first = Arc::clone(&begin);
    let payload = Payload::from_path(&attempt.file).await?;
    let sent = attempt.extended(client.clone(), uploads.clone())?.send(&queue, payload);
    sent.payload_key(KEY)
        .resumable_upload(&attempt.journal)
        .on_progress(move |progress| {
            first.lock().expect("nobody panics here").get_or_insert(progress.done);
        })
        .await?;

    let (parts, aborts) = (
        uploads.parts.load(Ordering::SeqCst),
        uploads.aborts.load(Ordering::SeqCst),
    );
    eprintln!("{change:?}: {parts} of {PARTS} parts were sent again, {aborts} uploads were aborted");
    match change {
        Change::Nothing => {
            ensure!(parts == PARTS - STORED && aborts == 0, "{parts} parts, {aborts} aborts");
            let done = begin.lock().expect("nobody panics here").context("no progress")?;
            ensure!(done > (STORED * PART) as u64, "{done} bytes done at first");
        }
        Change::File => ensure!(parts == PARTS && aborts == 1, "{parts} parts, {aborts} aborts"),
        Change::FileButNotItsTime | Change::TruncatedJournal | Change::FlippedJournal => {
            ensure!(parts > PARTS - STORED, "{parts} parts");
        }
    }
    ensure!(!attempt.journal.exists(), "the journal of a complete upload remains");

    let received = attempt.extended(client, uploads)?.receive(&queue).await?;
    let delivery = received.into_iter().next().context("a message")??;
    let restored = folder.path().join("restored");
    delivery.download_to(&restored).await?;
    ensure!(
        std::fs::read(&restored)? == std::fs::read(&attempt.file)?,
        "the received file differs from the sent one"
    );
    delivery.ack().await?;
    Ok(())
}

impl Attempt {
    /// Starts a sender, and kills it when the journal contains all parts that the store lets it send.
    async fn kill(&self) -> Outcome {
        let orders = serde_json::to_string(self)?;
        let mut program = Command::new(std::env::current_exe()?);
        let mut child = program.env(ORDERS, orders).kill_on_drop(true).spawn()?;
        let noted = async {
            loop {
                let journal = std::fs::read_to_string(&self.journal).unwrap_or_default();
                if journal.lines().filter(|line| line.contains(" part ")).count() == STORED && journal.ends_with('\n') {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            noted = tokio::time::timeout(Duration::from_secs(60), noted) => noted.context("no parts within 60 s")?,
            ended = child.wait() => anyhow::bail!("the sender ended by itself: {ended:?}"),
        }
        // SIGKILL on Unix.
        child.kill().await?;
        Ok(())
    }

    fn apply(&self, change: Change) -> Outcome {
        match change {
            Change::Nothing => {}
            Change::File | Change::FileButNotItsTime => {
                let modified = std::fs::metadata(&self.file)?.modified()?;
                let mut content = std::fs::read(&self.file)?;
                content[2 * PART + 7] ^= 1;
                std::fs::write(&self.file, content)?;
                let time = match change {
                    Change::FileButNotItsTime => modified,
                    _ => modified + Duration::from_secs(1),
                };
                std::fs::File::options()
                    .write(true)
                    .open(&self.file)?
                    .set_modified(time)?;
            }
            Change::TruncatedJournal | Change::FlippedJournal => {
                let mut journal = std::fs::read(&self.journal)?;
                let middle = journal.len() / 2;
                match change {
                    Change::FlippedJournal => journal[middle] ^= 1,
                    _ => journal.truncate(middle),
                }
                std::fs::write(&self.journal, journal)?;
            }
        }
        Ok(())
    }

    fn extended(&self, client: Client, uploads: Uploads) -> anyhow::Result<ExtendedClient> {
        let payloads = PayloadStore::builder(uploads.store.clone(), BUCKET)
            .multipart_store(uploads)
            .prefix(&*self.prefix)
            .part_size(PART as u64)
            .build()?;
        Ok(ExtendedClient::builder(client).payload_store(payloads).build()?)
    }

    /// Sends the file as far as the store lets it.
    async fn send(self) -> Outcome {
        let client = sqs_local::client_builder(&self.endpoint).build()?;
        let uploads = Uploads::new(self.bucket.store()?, STORED);
        let extended = self.extended(client, uploads)?;
        let payload = Payload::from_path(&self.file).await?;
        let sent = extended.send(&self.queue, payload).payload_key(KEY);
        sent.resumable_upload(&self.journal).await?;
        Ok(())
    }
}

/// Sends in a child, until the process is killed. Returns `None` in the parent.
pub fn run_if_ordered() -> Option<Outcome> {
    let orders = std::env::var(ORDERS).ok()?;
    let send = |attempt: Attempt| Runtime::new()?.block_on(attempt.send());
    Some(serde_json::from_str(&orders).map_err(Into::into).and_then(send))
}

/// A store that counts the parts sent to it. Parts with a number of `stall_from` or more never arrive.
#[derive(Clone)]
struct Uploads {
    store: AmazonS3,
    stall_from: usize,
    parts: Arc<AtomicUsize>,
    aborts: Arc<AtomicUsize>,
}

impl Uploads {
    fn new(store: AmazonS3, stall_from: usize) -> Self {
        Self {
            store,
            stall_from,
            parts: Arc::default(),
            aborts: Arc::default(),
        }
    }
}

#[async_trait]
impl MultipartStore for Uploads {
    async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
        self.store.create_multipart(path).await
    }

    async fn create_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<MultipartId> {
        self.store.create_multipart_opts(path, options).await
    }

    async fn put_part(&self, path: &Path, id: &MultipartId, index: usize, payload: PutPayload) -> Result<PartId> {
        if index >= self.stall_from {
            std::future::pending::<()>().await;
        }
        self.parts.fetch_add(1, Ordering::SeqCst);
        self.store.put_part(path, id, index, payload).await
    }

    async fn complete_multipart(&self, path: &Path, id: &MultipartId, parts: Vec<PartId>) -> Result<PutResult> {
        self.store.complete_multipart(path, id, parts).await
    }

    async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
        self.aborts.fetch_add(1, Ordering::SeqCst);
        self.store.abort_multipart(path, id).await
    }
}
