//! The store as object_store's client sees it.

use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStore as _, ObjectStoreExt as _, PutPayload, RetryConfig};
use sqs_extended::store::StoreConnector;

use super::*;

async fn start(link: Link) -> (AmazonS3, Arc<Store>) {
    let store = Arc::new(Store {
        content: Content::new().unwrap(),
        objects: Objects::default(),
        counts: Mutex::default(),
    });
    let listener = listener().await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (served, shared) = (store.clone(), Arc::new(Shared::new(link)));
    tokio::spawn(async move { connection::accept(&served, listener, None, &shared, &shared).await });
    let client = AmazonS3Builder::new()
        .with_http_connector(StoreConnector::new())
        .with_endpoint(url)
        .with_allow_http(true)
        .with_region(REGION)
        .with_access_key_id(ACCESS_KEY_ID)
        .with_secret_access_key(SECRET_ACCESS_KEY)
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        })
        .with_bucket_name("bench");
    (client.build().unwrap(), store)
}

fn payload(position: u64, length: u64) -> PutPayload {
    Pattern::new().pieces(position, length, MAX_PIECE as u64).collect()
}

#[tokio::test]
async fn an_upload_in_parts_can_be_read_in_ranges() {
    const PART: u64 = 5 * 1024 * 1024;

    let (client, store) = start(Link::default()).await;
    let key = Path::from("a folder/key");
    let mut upload = client.put_multipart(&key).await.unwrap();
    for (position, length) in [(0, PART), (PART, PART), (2 * PART, 7)] {
        upload.put_part(payload(position, length)).await.unwrap();
    }
    upload.complete().await.unwrap();

    let meta = client.head(&key).await.unwrap();
    assert_eq!(meta.size, 2 * PART + 7);
    let tail = client.get_range(&key, PART - 3..2 * PART + 7).await.unwrap();
    assert!(Pattern::new().matches(PART - 3, &tail) && tail.len() as u64 == PART + 10);
    let options = GetOptions {
        if_match: Some("\"another\"".to_owned()),
        ..GetOptions::default()
    };
    let error = client.get_opts(&key, options).await.unwrap_err();
    assert!(matches!(error, Error::Precondition { .. }), "{error}");
    client.delete(&key).await.unwrap();
    assert!(matches!(client.head(&key).await, Err(Error::NotFound { .. })));

    let counts = store.counts.lock().unwrap().clone();
    assert_eq!(
        (counts.create_upload, counts.put_part, counts.complete_upload),
        (1, 3, 1)
    );
    assert_eq!((counts.bytes_in, counts.bytes_out), (2 * PART + 7, PART + 10));
    assert_eq!((counts.get, counts.head, counts.delete), (2, 2, 1));
}

#[tokio::test]
async fn misplaced_parts_and_other_content_are_refused() {
    const PART: u64 = 5 * 1024 * 1024;

    let (client, _) = start(Link::default()).await;
    let key = Path::from("key");
    client.put(&key, payload(0, 100)).await.unwrap();
    let other = Bytes::from_static(&[b'x'; 100]);
    assert!(client.put(&key, other.into()).await.is_err());
    let mut upload = client.put_multipart(&key).await.unwrap();
    for position in [PART, 0] {
        upload.put_part(payload(position, PART)).await.unwrap();
    }
    assert!(upload.complete().await.is_err());
    assert_eq!(client.head(&key).await.unwrap().size, 100, "the first object is left");
}

#[tokio::test]
async fn unlucky_requests_are_refused_with_slow_down() {
    let link = Link {
        slow_down: 1.0,
        ..Link::default()
    };
    let (client, store) = start(link).await;
    let key = Path::from("key");
    let error = client.put(&key, payload(0, 1_000_000)).await.unwrap_err();
    assert!(error.to_string().contains("SlowDown"), "{error}");
    assert!(client.head(&key).await.is_err());
    assert_eq!(store.counts.lock().unwrap().slow_down, 2);
}
