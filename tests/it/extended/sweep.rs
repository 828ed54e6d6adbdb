//! Tests sweeps of real stores.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use futures::{TryStreamExt as _, stream};
use libtest_mimic::Trial;
use object_store::ObjectStoreExt as _;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use sqs_extended::sweep::{Sweep, SweepEvent, SweepReport};
use sqs_tests::servers::{Server, Servers, Unavailable};

use super::store::{BUCKET, bucket_of, keys};
use crate::harness::{Harness, Outcome, name_of, unique};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// S3 reports the times of objects with a resolution of one second.
const TICK: Duration = Duration::from_millis(1_100);

/// The minimum size of a part other than the last.
const PART: usize = 5 * 1024 * 1024;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let minio: fn(&Servers) -> Result<&Server, &Unavailable> = Servers::minio;
    let moto: fn(&Servers) -> Result<&Server, &Unavailable> = Servers::moto;
    let mut trials = vec![
        harness.test(a_folder_by_url_is_swept),
        test(harness, "minio", minio, more_objects_than_one_request_covers_are_swept),
    ];
    for (name, server) in [("minio", minio), ("moto", moto)] {
        trials.push(test(harness, name, server, a_prefix_by_url_is_swept));
        trials.push(test(harness, name, server, unfinished_uploads_are_swept));
    }
    trials
}

/// Returns a test with a prefix of its own on this server, whose name ends in the server's.
fn test<F, T>(
    harness: &Arc<Harness>,
    name: &str,
    server: fn(&Servers) -> Result<&Server, &Unavailable>,
    test: F,
) -> Trial
where
    F: FnOnce(Prefix) -> T + Send + 'static,
    T: Future<Output = Outcome> + Send + 'static,
{
    harness.trial(format!("{}::{name}", name_of(&test)), move |harness| {
        let prefix = Prefix::new(server(&harness.servers).map_err(Clone::clone)?);
        Ok(Box::pin(test(prefix)))
    })
}

/// A prefix in a bucket.
struct Prefix {
    store: AmazonS3,
    path: String,
    url: String,
    /// `false` if the ages of unfinished uploads are wrong. moto dates all of them to 2010.
    reports_ages: bool,
}

impl Prefix {
    fn new(server: &Server) -> Self {
        let name = unique("swept");
        let url = format!(
            "s3://{BUCKET}/{name}?endpoint={}&region={}&access_key_id={}&secret_access_key={}",
            server.endpoint(),
            server.region(),
            server.access_key(),
            server.secret_key().replace('+', "%2B"),
        );
        Self {
            store: bucket_of(server).expect("a bucket"),
            path: format!("{name}/"),
            url,
            reports_ages: server.name() != "moto",
        }
    }

    fn key(&self, name: &str) -> Path {
        Path::from(format!("{}{name}", self.path))
    }

    fn sweep(&self, older_than: Duration) -> anyhow::Result<Sweep> {
        Ok(Sweep::from_url(&self.url, older_than)?)
    }
}

fn objects(report: &SweepReport) -> [u64; 4] {
    let SweepReport {
        seen,
        old,
        removed,
        failed,
        ..
    } = report;
    [seen.objects, old.objects, removed.objects, *failed]
}

async fn a_prefix_by_url_is_swept(prefix: Prefix) -> Outcome {
    let neighbor = Path::from(format!("{}-neighbor", prefix.path.trim_end_matches('/')));
    prefix.store.put(&neighbor, "neighbor".into()).await?;
    for name in ["a", "b/c"] {
        prefix.store.put(&prefix.key(name), "12345".into()).await?;
    }
    tokio::time::sleep(TICK).await;

    assert_eq!(objects(&prefix.sweep(HOUR)?.remove().await?), [2, 0, 0, 0]);
    let found = prefix.sweep(Duration::ZERO)?.dry_run().await?;
    assert_eq!((objects(&found), found.old.bytes), ([2, 2, 0, 0], 10));
    assert_eq!(
        keys(&prefix.store, &prefix.path).await?.len(),
        2,
        "the dry run removed an object"
    );
    let removed = prefix.sweep(Duration::ZERO)?.remove().await?;
    assert_eq!((objects(&removed), removed.removed.bytes), ([2, 2, 2, 0], 10));
    assert_eq!(keys(&prefix.store, &prefix.path).await?, Vec::<String>::new());
    prefix.store.head(&neighbor).await?;
    Ok(())
}

/// One request lists or deletes at most 1,000 objects.
async fn more_objects_than_one_request_covers_are_swept(prefix: Prefix) -> Outcome {
    const MANY: u64 = 1_203;
    let put = |number: u64| {
        let (store, key) = (prefix.store.clone(), prefix.key(&number.to_string()));
        async move { store.put(&key, "x".into()).await.map(drop) }
    };
    stream::iter((0..MANY).map(Ok)).try_for_each_concurrent(16, put).await?;
    tokio::time::sleep(TICK).await;
    assert_eq!(
        objects(&prefix.sweep(Duration::ZERO)?.remove().await?),
        [MANY, MANY, MANY, 0]
    );
    assert_eq!(keys(&prefix.store, &prefix.path).await?, Vec::<String>::new());
    Ok(())
}

async fn unfinished_uploads_are_swept(prefix: Prefix) -> Outcome {
    // Leave uploads unfinished, as a killed process does, under the prefix and next to it.
    let neighbor = Path::from(format!("{}-neighbor", prefix.path.trim_end_matches('/')));
    for key in [prefix.key("one"), prefix.key("two&more"), neighbor] {
        let mut upload = prefix.store.put_multipart(&key).await?;
        upload.put_part(vec![0; PART].into()).await?;
    }
    let mut finished = prefix.store.put_multipart(&prefix.key("finished")).await?;
    finished.put_part(vec![0; PART].into()).await?;
    tokio::time::sleep(TICK).await;

    let counts = |report: &SweepReport| {
        let uploads = report.uploads;
        [uploads.seen, uploads.old, uploads.removed, uploads.failed]
    };
    let sweep = |older_than| prefix.sweep(older_than).map(|sweep| sweep.unfinished_uploads(true));
    if prefix.reports_ages {
        assert_eq!(counts(&sweep(HOUR)?.remove().await?), [3, 0, 0, 0]);
    }
    assert_eq!(counts(&sweep(Duration::ZERO)?.dry_run().await?), [3, 3, 0, 0]);
    assert_eq!(
        counts(&prefix.sweep(Duration::ZERO)?.remove().await?),
        [0; 4],
        "uploads were swept without the setting"
    );

    // A completed upload is not unfinished.
    finished.complete().await?;
    let removed_keys = Arc::new(Mutex::new(Vec::new()));
    let noted = removed_keys.clone();
    let sweep = Sweep::s3(prefix.store.clone(), prefix.path.clone(), Duration::ZERO)?;
    let sweep = sweep.unfinished_uploads(true).on_event(move |event| {
        if let SweepEvent::RemovedUpload(upload) = event {
            noted.lock().expect("no panic").push(upload.key.clone());
        }
    });
    let removed = sweep.remove().await?;
    assert_eq!(counts(&removed), [2, 2, 2, 0]);
    let mut removed_keys = removed_keys.lock().expect("no panic").clone();
    removed_keys.sort();
    assert_eq!(
        removed_keys,
        [prefix.key("one").to_string(), prefix.key("two&more").to_string()]
    );
    assert_eq!(counts(&sweep.dry_run().await?), [0; 4]);

    // The upload next to the prefix remains.
    let all = format!("{}-", prefix.path.trim_end_matches('/'));
    let sweep = Sweep::s3(prefix.store.clone(), all, Duration::ZERO)?.unfinished_uploads(true);
    assert_eq!(counts(&sweep.remove().await?), [1, 1, 1, 0]);
    Ok(())
}

async fn a_folder_by_url_is_swept() -> Outcome {
    let folder = tempfile::tempdir()?;
    let store = object_store::local::LocalFileSystem::new_with_prefix(folder.path())?;
    for key in ["a", "b/c"] {
        store.put(&Path::from(key), "12345".into()).await?;
    }
    let url = format!("file://{}", folder.path().display());
    assert_eq!(objects(&Sweep::from_url(&url, HOUR)?.remove().await?), [2, 0, 0, 0]);
    let removed = Sweep::from_url(&url, Duration::ZERO)?.remove().await?;
    assert_eq!((objects(&removed), removed.removed.bytes), ([2, 2, 2, 0], 10));
    assert_eq!(keys(&store, "").await?, Vec::<String>::new());
    Ok(())
}
