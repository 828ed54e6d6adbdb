//! Tests a consumer of offloaded payloads: leases during downloads, the order of deletion, and failed messages.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use libtest_mimic::Trial;
use object_store::aws::AmazonS3;
use sqs_client::OutgoingMessage;
use sqs_client::types::MessageAttributeValue;
use sqs_extended::pointer::PointerKeys;
use sqs_extended::{ExtendedClient, ExtendedDelivery, PayloadStore};
use sqs_local::{Action, Fault, FaultKind};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::super::store::{BUCKET, bucket_of, keys};
use super::{Fixture, large, test};
use crate::harness::{Harness, Outcome, name_of, unique};

const VISIBILITY: Duration = Duration::from_secs(2);

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.trial(name_of(&a_slow_download_keeps_its_lease), |harness| {
            let store = bucket_of(harness.servers.minio().map_err(Clone::clone)?).expect("a bucket");
            Ok(Box::pin(a_slow_download_keeps_its_lease(store)))
        }),
        test(harness, the_message_is_deleted_before_its_payload),
        test(harness, a_failed_message_returns_with_its_payload),
        test(harness, a_refused_pointer_stops_no_other_message),
        test(harness, a_name_is_looked_up_once),
        test(harness, an_arn_is_refused_without_any_request),
    ]
}

/// Consumes until `handled` messages were handled without an error.
async fn consume<H, F>(extended: &ExtendedClient, queue: &str, handled: usize, handler: H) -> Outcome
where
    H: Fn(ExtendedDelivery) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    let (handled_one, mut done) = mpsc::unbounded_channel();
    let until = async move {
        for _ in 0..handled {
            done.recv().await;
        }
    };
    let consumer = extended.consumer(queue).configure(|consumer| {
        consumer
            .visibility_timeout(VISIBILITY)
            .wait_time(Duration::from_secs(1))
            .backoff(Duration::ZERO, Duration::ZERO)
    });
    let run = consumer.run(until, move |delivery| {
        let (handled, handled_one) = (handler(delivery), handled_one.clone());
        async move {
            handled.await?;
            handled_one.send(())?;
            anyhow::Ok(())
        }
    });
    timeout(Duration::from_secs(30), run)
        .await
        .context("not all messages were handled within 30 s")??;
    Ok(())
}

/// The download takes longer than the visibility timeout.
async fn a_slow_download_keeps_its_lease(store: AmazonS3) -> Outcome {
    const SIZE: usize = 20 * 1024 * 1024;
    let fixture = Fixture::new().await?;
    let prefix = format!("{}/", unique("slow"));
    let payloads = PayloadStore::builder(store.clone(), BUCKET).prefix(&*prefix);
    let builder = ExtendedClient::builder(fixture.client.clone()).payload_store(payloads.build()?);
    let extended = builder.build()?;
    extended.send(&fixture.queue, vec![7; SIZE]).await?;
    let (client, queue) = (fixture.client.clone(), fixture.queue.clone());
    let handler = move |delivery: ExtendedDelivery| {
        let (client, queue) = (client.clone(), queue.clone());
        async move {
            let mut chunks = delivery.stream().await?;
            let (mut read, mut slept) = (0, 0);
            while let Some(chunk) = chunks.next().await {
                read += chunk?.len();
                while slept < 5 * read / SIZE {
                    sleep(VISIBILITY * 3 / 10).await;
                    let others = client.receive_message(&queue).await?.messages;
                    ensure!(others.is_empty(), "another consumer received the message");
                    slept += 1;
                }
            }
            ensure!(read == SIZE && slept == 5);
            Ok(())
        }
    };
    consume(&extended, &fixture.queue, 1, handler).await?;
    ensure!(
        fixture.messages(&fixture.queue).is_empty(),
        "the message was not deleted"
    );
    ensure!(keys(&store, &prefix).await?.is_empty(), "the payload was not deleted");
    Ok(())
}

/// The queue deletes slowly. At no time does a message exist without its payload.
async fn the_message_is_deleted_before_its_payload(fixture: Fixture) -> Outcome {
    for action in [Action::DeleteMessage, Action::DeleteMessageBatch] {
        let slow = Fault::on(action, FaultKind::Delay(Duration::from_millis(300)));
        fixture.server.faults().add(slow);
    }
    let extended = fixture.extended()?.build()?;
    extended.send(&fixture.queue, large()).await?;
    let consuming = consume(&extended, &fixture.queue, 1, |delivery| async move {
        ensure!(delivery.text().await? == large());
        Ok(())
    });
    let watching = async {
        loop {
            // Read in this order, because the message is deleted first.
            let payload = fixture.stored().await?.len();
            let message = fixture.messages(&fixture.queue).len();
            ensure!(payload >= message, "the payload was deleted first");
            sleep(Duration::from_millis(5)).await;
        }
        #[expect(unreachable_code, reason = "it names the error type")]
        Ok(())
    };
    tokio::select! {
        consumed = consuming => consumed?,
        watched = watching => watched?,
    }
    ensure!(fixture.messages(&fixture.queue).is_empty());
    ensure!(fixture.stored().await?.is_empty());
    Ok(())
}

async fn a_failed_message_returns_with_its_payload(fixture: Fixture) -> Outcome {
    let extended = fixture.extended()?.build()?;
    extended.send(&fixture.queue, large()).await?;
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let handler = move |delivery: ExtendedDelivery| {
        let tried = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            ensure!(delivery.text().await? == large(), "the payload was deleted");
            ensure!(tried >= 2, "not yet");
            Ok(())
        }
    };
    consume(&extended, &fixture.queue, 1, handler).await?;
    ensure!(tries.load(Ordering::SeqCst) == 3);
    ensure!(fixture.messages(&fixture.queue).is_empty());
    ensure!(fixture.stored().await?.is_empty());
    Ok(())
}

async fn a_refused_pointer_stops_no_other_message(fixture: Fixture) -> Outcome {
    const GOOD: usize = 6;
    let extended = fixture.extended()?.build()?;
    let body = r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"theirs","s3Key":"p/k"}]"#;
    for i in 0..GOOD {
        let size = MessageAttributeValue::number(300_000);
        let hostile = OutgoingMessage::new(body).message_attribute("ExtendedPayloadSize", size);
        fixture.client.send_message(&fixture.queue, hostile).await?;
        let payload = if i % 2 == 0 { large() } else { "small".to_owned() };
        extended.send(&fixture.queue, payload).await?;
    }
    consume(&extended, &fixture.queue, GOOD, |delivery| async move {
        let text = delivery.text().await?;
        ensure!(text == large() || text == "small");
        Ok(())
    })
    .await?;
    let remaining = fixture.messages(&fixture.queue);
    ensure!(
        remaining.len() == GOOD && remaining.iter().all(|message| message.body == body),
        "{remaining:?}"
    );
    ensure!(fixture.stored().await?.is_empty());
    Ok(())
}

/// The redrive check, the polls, the authentication codes and the settling of messages share the lookup.
async fn a_name_is_looked_up_once(fixture: Fixture) -> Outcome {
    let keys = PointerKeys::new("k", &[7; 32])?;
    let extended = fixture.with(fixture.payloads().pointer_keys(keys))?.build()?;
    extended.send(&fixture.queue, large()).await?;
    extended.send(&fixture.queue, "small").await?;
    let (handled_one, mut done) = mpsc::unbounded_channel();
    let until = async move {
        for _ in 0..2 {
            done.recv().await;
        }
    };
    let queue = fixture.queue.clone();
    let before = fixture.server.count(Action::GetQueueAttributes);
    let consumer = extended.consumer("q").competing_consumers(2);
    let run = consumer.run(until, move |delivery| {
        let (queue, handled_one) = (queue.clone(), handled_one.clone());
        async move {
            ensure!(delivery.queue_url() == queue, "{}", delivery.queue_url());
            let text = delivery.text().await?;
            ensure!(text == large() || text == "small");
            handled_one.send(())?;
            anyhow::Ok(())
        }
    });
    timeout(Duration::from_secs(30), run)
        .await
        .context("not all messages were handled within 30 s")??;
    assert_eq!(fixture.server.count(Action::GetQueueUrl), 1);
    assert_eq!(fixture.server.count(Action::GetQueueAttributes), before + 1);
    ensure!(fixture.messages(&fixture.queue).is_empty());
    ensure!(fixture.stored().await?.is_empty());
    Ok(())
}

async fn an_arn_is_refused_without_any_request(fixture: Fixture) -> Outcome {
    let extended = fixture.extended()?.build()?;
    let arn = fixture.server.queue("q").context("no queue")?.arn().to_owned();
    let before = fixture.server.requests().len();
    for consumer in [extended.consumer(&arn), extended.consumer(&arn).competing_consumers(2)] {
        let run = consumer.run(pending::<()>(), |_| pending::<Result<(), ()>>());
        let error = run.await.err().context("the ARN was accepted")?;
        let text = format!("{error:?}");
        ensure!(
            text.contains("is an ARN; pass the queue's name (\"q\") or its URL"),
            "{text}"
        );
    }
    assert_eq!(fixture.server.requests().len(), before);
    Ok(())
}
