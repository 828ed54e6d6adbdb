//! Tests pointers to missing objects and buckets. They affect no other message.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use object_store::ObjectStoreExt as _;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use sqs_client::Protocol;
use sqs_extended::ErrorKind;

use super::store::{Counting, bucket_of, extended, missing_bucket};
use crate::harness::{Backend, Context, Harness, Outcome, name_of};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.server_test(
            Backend::Local,
            Protocol::Json,
            a_missing_object_affects_one_message_of_ten,
        ),
        harness.trial(name_of(&a_missing_bucket_is_not_a_missing_payload), |harness| {
            let context = Context::new(harness, Backend::Local, Protocol::Json)?;
            let minio = harness.servers.minio().map_err(Clone::clone)?;
            let right = bucket_of(minio).expect("a bucket");
            let wrong = missing_bucket(minio).expect("valid settings");
            Ok(Box::pin(a_missing_bucket_is_not_a_missing_payload(
                context, right, wrong,
            )))
        }),
    ]
}

async fn a_missing_object_affects_one_message_of_ten(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let store = Counting::default();
    let extended = extended(context.client.clone(), store.clone(), "p/");
    let mut pointers = Vec::new();
    for i in 0..10 {
        let sent = extended.send(&queue, format!("{i}").repeat(300_000)).await?;
        pointers.extend(sent.pointer);
    }
    store.objects.delete(&Path::from(pointers[3].key.as_str())).await?;

    let received = extended
        .receive(&queue)
        .max_messages(10)
        .wait_time(Duration::from_secs(5))
        .await?;
    assert_eq!(received.len(), 10);
    let (mut arrived, mut lost) = (0, 0);
    for delivery in received {
        let delivery = delivery?;
        match delivery.text().await {
            Ok(text) => {
                assert_eq!(text.len(), 300_000);
                delivery.ack().await?;
                arrived += 1;
            }
            Err(error) => {
                assert!(error.is_missing_payload(), "{error:?}");
                assert_eq!(error.receipt_handle(), Some(delivery.receipt_handle()));
                lost += 1;
            }
        }
    }
    assert_eq!((arrived, lost), (9, 1));
    Ok(())
}

/// A program that treats a missing payload as already consumed would lose every message if the bucket is misconfigured.
async fn a_missing_bucket_is_not_a_missing_payload(context: Context, right: AmazonS3, wrong: AmazonS3) -> Outcome {
    let queue = context.queue().await?;
    let sent = extended(context.client.clone(), right.clone(), "p/")
        .send(&queue, "x".repeat(300_000))
        .await?;
    let misled = extended(context.client.clone(), wrong, "p/");
    let delivery = misled
        .receive(&queue)
        .wait_time(Duration::from_secs(5))
        .await?
        .remove(0)?;
    let error = delivery.text().await.unwrap_err();
    assert!(
        !error.is_missing_payload() && error.kind() == ErrorKind::Store,
        "{error:?}"
    );

    right.delete(&Path::from(sent.pointer.expect("a pointer").key)).await?;
    let right_bucket = extended(context.client.clone(), right, "p/");
    delivery.nack(Duration::ZERO).await?;
    let delivery = right_bucket
        .receive(&queue)
        .wait_time(Duration::from_secs(5))
        .await?
        .remove(0)?;
    assert!(delivery.text().await.unwrap_err().is_missing_payload());
    Ok(())
}
