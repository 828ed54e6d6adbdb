mod fake;
mod warnings;

use fake::{FakeS3, Kind, Refusal};
use futures::future::join_all;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, RetryConfig};
use warnings::Warnings;

use super::{Kind as Kind_, *};

/// The refusals of the checksum by which a store does not know it.
const UNKNOWN: [Refusal; 7] = [
    (400, "InvalidRequest", "Bad request: invalid checksum algorithm"),
    (
        400,
        "InvalidArgument",
        "Unsupported header 'x-amz-checksum-crc64nvme' received for this API call.",
    ),
    (400, "InvalidArgument", ""),
    (
        400,
        "InvalidRequestParameter",
        "The value of a parameter in SelectRequest element is invalid.",
    ),
    (400, "MalformedXML", "The XML you provided was not well-formed."),
    (400, "", ""),
    (
        501,
        "NotImplemented",
        "A header you provided implies functionality that is not implemented.",
    ),
];

fn store(fake: &FakeS3) -> ChecksummedS3 {
    let builder = AmazonS3Builder::new()
        .with_bucket_name("bucket")
        .with_endpoint("https://store.example")
        .with_access_key_id("id")
        .with_secret_access_key("secret")
        // Without the pauses of repeated requests.
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        });
    ChecksummedS3::new(builder, fake).unwrap()
}

fn key() -> Path {
    Path::from("k")
}

fn payload(text: &'static str) -> PutPayload {
    PutPayload::from_static(text.as_bytes())
}

/// Uploads these parts side by side.
async fn upload(store: &ChecksummedS3, parts: &[&'static str]) -> Result<PutResult> {
    let mut upload = store.put_multipart(&key()).await?;
    let sending: Vec<_> = parts.iter().map(|part| upload.put_part(payload(part))).collect();
    for sent in join_all(sending).await {
        sent?;
    }
    upload.complete().await
}

fn unknown_at(kind: Kind, refusal: Refusal) -> FakeS3 {
    FakeS3::refusing(move |seen, _| (seen.kind == kind && seen.is_checked).then_some(refusal))
}

#[tokio::test]
async fn a_store_that_verifies_gets_unsigned_payloads_with_checksums() {
    let (warnings, fake) = (Warnings::collect(), FakeS3::verifying());
    let store = store(&fake);
    store.put(&key(), payload("one")).await.unwrap();
    assert_eq!(fake.take(), [(Kind::Put, true)]);
    assert_eq!(fake.object("k").unwrap(), "one");

    upload(&store, &["first", "second"]).await.unwrap();
    let expected = [Kind::Begin, Kind::Part, Kind::Part, Kind::Complete].map(|kind| (kind, true));
    assert_eq!(fake.take(), expected);
    assert_eq!(fake.object("k").unwrap(), "firstsecond");
    assert_eq!(store.get(&key()).await.unwrap().bytes().await.unwrap(), "firstsecond");
    assert_eq!(warnings.take(), [""; 0]);
}

#[tokio::test]
async fn a_store_that_ignores_checksums_keeps_getting_them() {
    let (warnings, fake) = (Warnings::collect(), FakeS3::ignoring());
    let store = store(&fake);
    store.put(&key(), payload("one")).await.unwrap();
    upload(&store, &["first", "second"]).await.unwrap();
    let sent = fake.take();
    let (completion, others) = sent.split_last().unwrap();
    assert!(others.iter().all(|(_, is_checked)| *is_checked), "{others:?}");
    // The store returned no checksums of parts that the completion could repeat.
    assert_eq!(*completion, (Kind::Complete, false));
    assert_eq!(fake.object("k").unwrap(), "firstsecond");
    assert_eq!(warnings.take(), [""; 0]);
}

#[tokio::test]
async fn a_store_that_refuses_the_checksum_of_an_object_is_detected_once() {
    for refusal in UNKNOWN {
        let (warnings, fake) = (Warnings::collect(), unknown_at(Kind::Put, refusal));
        let store = store(&fake);
        store.put(&key(), payload("one")).await.unwrap();
        assert_eq!(fake.object("k").unwrap(), "one");
        let sent = fake.take();
        let (last, refused) = sent.split_last().unwrap();
        assert_eq!(*last, (Kind::Put, false));
        assert!((1..=2).contains(&refused.len()), "{refused:?}");
        let warned = warnings.take();
        assert_eq!(warned.len(), 1);
        for part in ["bucket \\\"bucket\\\" at store.example", "TLS", "digest", refusal.1] {
            assert!(warned[0].contains(part), "{}", warned[0]);
        }

        store.clone().put(&key(), payload("two")).await.unwrap();
        upload(&store, &["first", "second"]).await.unwrap();
        assert!(fake.take().iter().all(|(_, is_checked)| !is_checked));
        assert_eq!(fake.object("k").unwrap(), "firstsecond");
        assert_eq!(warnings.take(), [""; 0]);
    }
}

#[tokio::test]
async fn a_store_that_refuses_the_algorithm_of_an_upload_is_detected_once() {
    for refusal in UNKNOWN {
        let (warnings, fake) = (Warnings::collect(), unknown_at(Kind::Begin, refusal));
        let store = store(&fake);
        upload(&store, &["first", "second"]).await.unwrap();
        assert_eq!(fake.object("k").unwrap(), "firstsecond");
        let sent = fake.take();
        let refused = sent.iter().filter(|(_, is_checked)| *is_checked).count();
        assert!((1..=2).contains(&refused), "{sent:?}");
        store.put(&key(), payload("two")).await.unwrap();
        assert_eq!(fake.take(), [(Kind::Put, false)]);
        assert_eq!(warnings.take().len(), 1);
    }
}

#[tokio::test]
async fn an_upload_whose_parts_are_refused_continues_without_checksums() {
    for refusal in UNKNOWN {
        let (warnings, fake) = (Warnings::collect(), unknown_at(Kind::Part, refusal));
        let store = store(&fake);
        let mut upload = store.put_multipart(&key()).await.unwrap();
        let first = [upload.put_part(payload("1")), upload.put_part(payload("2"))];
        for sent in join_all(first).await {
            sent.unwrap();
        }
        fake.take();
        upload.put_part(payload("3")).await.unwrap();
        upload.complete().await.unwrap();
        assert_eq!(fake.take(), [(Kind::Part, false), (Kind::Complete, false)]);
        assert_eq!(fake.object("k").unwrap(), "123");
        store.put(&key(), payload("two")).await.unwrap();
        assert_eq!(fake.take(), [(Kind::Put, false)]);
        assert_eq!(warnings.take().len(), 1);
    }
}

#[tokio::test]
async fn a_store_that_cannot_complete_with_checksums_still_verifies_the_parts() {
    let more: [Refusal; 3] = [
        (
            400,
            "BadDigest",
            "The crc64nvme you specified did not match the calculated checksum.",
        ),
        (
            400,
            "InvalidPart",
            "One or more of the specified parts could not be found.",
        ),
        (400, "InvalidDigest", "Invalid checksum for part 1"),
    ];
    for refusal in UNKNOWN.into_iter().chain(more) {
        let refuse =
            move |seen: &fake::Seen, _: &_| (seen.kind == Kind::Complete && seen.is_checked).then_some(refusal);
        let (warnings, fake) = (Warnings::collect(), FakeS3::new(true, refuse));
        let store = store(&fake);
        upload(&store, &["first", "second"]).await.unwrap();
        assert_eq!(fake.object("k").unwrap(), "firstsecond");
        assert_eq!(fake.take()[3..], [(Kind::Complete, true), (Kind::Complete, false)]);
        assert_eq!(warnings.take().len(), 1);

        upload(&store, &["third"]).await.unwrap();
        let expected = [(Kind::Begin, true), (Kind::Part, true), (Kind::Complete, false)];
        assert_eq!(fake.take(), expected);
        store.put(&key(), payload("one")).await.unwrap();
        assert_eq!(fake.take(), [(Kind::Put, true)]);
        assert_eq!(warnings.take(), [""; 0]);
    }
}

#[tokio::test]
async fn concurrent_requests_detect_the_store_with_one_warning() {
    let (warnings, fake) = (Warnings::collect(), unknown_at(Kind::Put, UNKNOWN[1]));
    let store = store(&fake);
    let keys: Vec<_> = (0..16).map(|number| Path::from(format!("k{number}"))).collect();
    for stored in join_all(keys.iter().map(|key| store.put(key, payload("one")))).await {
        stored.unwrap();
    }
    assert!(keys.iter().all(|key| fake.object(key.as_ref()).is_some()));
    assert_eq!(warnings.take().len(), 1);
    fake.take();
    for stored in join_all(keys.iter().map(|key| store.put(key, payload("two")))).await {
        stored.unwrap();
    }
    assert_eq!(fake.take(), [(Kind::Put, false); 16]);
    assert_eq!(warnings.take(), [""; 0]);
}

#[tokio::test]
async fn a_refusal_for_another_reason_changes_nothing() {
    let others: [Refusal; 7] = [
        (403, "AccessDenied", "No checksum for you."),
        (404, "NoSuchBucket", "The specified bucket does not exist"),
        (507, "QuotaExceeded", "Full."),
        (503, "SlowDown", "Reduce your request rate."),
        (500, "InternalError", "Io error: checksum mismatch: CRC64NVME"),
        (400, "EntityTooLarge", "Too large."),
        (400, "InvalidTag", "A tag is invalid."),
    ];
    for refusal in others {
        let mut is_first = Some(());
        let is_first = Mutex::new(move || is_first.take().is_some());
        let (warnings, fake) = (
            Warnings::collect(),
            FakeS3::refusing(move |_, _| is_first.lock().unwrap()().then_some(refusal)),
        );
        let store = store(&fake);
        store.put(&key(), payload("one")).await.unwrap_err();
        store.put(&key(), payload("two")).await.unwrap();
        assert_eq!(fake.take(), [(Kind::Put, true); 2], "{refusal:?}");
        assert_eq!(warnings.take(), [""; 0]);
    }
}

#[tokio::test]
async fn a_request_that_also_fails_without_the_checksum_returns_that_error() {
    let (warnings, fake) = (
        Warnings::collect(),
        FakeS3::refusing(|seen, _| match seen.is_checked {
            true => Some((400, "InvalidArgument", "Unsupported header 'x-amz-checksum-crc64nvme'")),
            false => Some((403, "AccessDenied", "No.")),
        }),
    );
    let store = store(&fake);
    for _ in 0..2 {
        let error = store.put(&key(), payload("one")).await.unwrap_err();
        assert!(
            matches!(error, object_store::Error::PermissionDenied { .. }),
            "{error:?}"
        );
        assert_eq!(
            fake.take(),
            [(Kind::Put, true), (Kind::Put, false)],
            "the store's reason is unknown"
        );
    }
    assert_eq!(warnings.take(), [""; 0]);
}

#[tokio::test]
async fn damaged_bytes_never_turn_checksums_off() {
    let refusal = (
        400,
        "BadDigest",
        "The CRC64NVME you specified did not match the calculated checksum.",
    );
    let refuse = move |_: &fake::Seen, body: &bytes::Bytes| (body == "damaged").then_some(refusal);
    let (warnings, fake) = (Warnings::collect(), FakeS3::new(true, refuse));
    let store = store(&fake);
    let error = store.put(&key(), payload("damaged")).await.unwrap_err();
    assert!(error.to_string().contains("BadDigest"), "{error}");
    upload(&store, &["damaged"]).await.unwrap_err();
    let sent = fake.take();
    assert!(sent.iter().all(|(_, is_checked)| *is_checked), "{sent:?}");
    assert_eq!(sent.len(), 5, "each was sent twice");
    assert!(fake.object("k").is_none());
    assert_eq!(warnings.take().len(), 2);
    store.put(&key(), payload("whole")).await.unwrap();
    assert_eq!(fake.take(), [(Kind::Put, true)]);
}

#[tokio::test]
async fn a_conditional_put_keeps_its_condition_without_the_checksum() {
    let fake = FakeS3::refusing(|seen, _| match seen.is_checked {
        true => Some(UNKNOWN[0]),
        false => Some((412, "PreconditionFailed", "It exists.")),
    });
    let options = PutOptions::from(PutMode::Create);
    let error = store(&fake)
        .put_opts(&key(), payload("one"), options)
        .await
        .unwrap_err();
    assert!(matches!(error, object_store::Error::AlreadyExists { .. }), "{error:?}");
}

#[tokio::test]
async fn an_upload_of_another_process_continues_in_its_kind() {
    let (warnings, fake) = (Warnings::collect(), FakeS3::verifying());
    let first = store(&fake);
    let id = first.create_multipart(&key()).await.unwrap();
    let one = first.put_part(&key(), &id, 0, payload("1")).await.unwrap();
    let second = store(&fake);
    let two = second.put_part(&key(), &id, 1, payload("2")).await.unwrap();
    second.complete_multipart(&key(), &id, vec![one, two]).await.unwrap();
    assert!(fake.take().iter().all(|(_, is_checked)| *is_checked));
    assert_eq!(fake.object("k").unwrap(), "12");

    // Begun without checksums: S3 refuses a part that has one.
    fake.begin_unchecked("other");
    let id = "other".to_owned();
    let mut parts = Vec::new();
    for (index, text) in ["3", "4"].into_iter().enumerate() {
        parts.push(second.put_part(&key(), &id, index, payload(text)).await.unwrap());
    }
    second.complete_multipart(&key(), &id, parts).await.unwrap();
    let expected = [
        (Kind::Part, true),
        (Kind::Part, false),
        (Kind::Part, false),
        (Kind::Complete, false),
    ];
    assert_eq!(fake.take(), expected);
    assert_eq!(fake.object("k").unwrap(), "34");
    second.put(&key(), payload("one")).await.unwrap();
    assert_eq!(fake.take(), [(Kind::Put, true)], "it said nothing about the store");
    assert_eq!(warnings.take(), [""; 0]);
}

#[tokio::test]
async fn an_upload_with_a_part_that_failed_is_not_completed() {
    let fake =
        FakeS3::refusing(|seen, body| (seen.kind == Kind::Part && body == "2").then_some((403, "AccessDenied", "No.")));
    let store = store(&fake);
    let mut upload = store.put_multipart(&key()).await.unwrap();
    upload.put_part(payload("1")).await.unwrap();
    upload.put_part(payload("2")).await.unwrap_err();
    let error = upload.complete().await.unwrap_err();
    assert!(error.to_string().contains("only 1 of the upload's 2 parts"), "{error}");
    upload.abort().await.unwrap();
    assert_eq!(fake.take().last(), Some(&(Kind::Abort, false)));
    assert_eq!(store.0.uploads.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn the_memory_of_uploads_is_bounded() {
    let store = store(&FakeS3::verifying());
    for number in 0..=MAX_UPLOADS {
        store.remember(&number.to_string(), Kind_::Checked);
    }
    assert!(store.0.uploads.lock().unwrap().len() <= MAX_UPLOADS);
}

#[test]
fn only_the_etag_of_a_part_remains() {
    let part = |content_id: &str| {
        without_checksum(&PartId {
            content_id: content_id.to_owned(),
        })
        .content_id
    };
    let checked =
        "<PartMetadata><e_tag>&quot;e&quot;</e_tag><checksum_crc64nvme>AAA=</checksum_crc64nvme></PartMetadata>";
    assert_eq!(part(checked), "\"e\"");
    assert_eq!(part("\"e\""), "\"e\"");
    assert_eq!(part(""), "");
}

#[test]
fn its_name_tells_what_keys_it_supports() {
    assert_eq!(store(&FakeS3::verifying()).to_string(), "AmazonS3(bucket)");
    let debug = format!("{:?}", store(&FakeS3::verifying()));
    assert!(!debug.contains("secret"), "{debug}");
}
