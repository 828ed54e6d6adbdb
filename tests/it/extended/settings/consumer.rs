//! A consumer of payloads in the store: held as long as a download takes, deleted in order, given back whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::{FutureExt as _, StreamExt as _};
use libtest_mimic::Trial;
use sqs_client::OutgoingMessage;
use sqs_client::types::MessageAttributeValue;
use sqs_extended::{ExtendedClient, ExtendedDelivery, PayloadStore};
use sqs_tests::embedded::{Action, Fault, FaultKind};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::super::store::{BUCKET, bucket_of, keys};
use super::{Setting, large, set};
use crate::bench::{Bench, Outcome, trial, unique};

const VISIBILITY: Duration = Duration::from_secs(2);

pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    vec![
        trial(
            "extended::settings::consumer::a_slow_download_is_held",
            bench,
            |bench| {
                let store = bucket_of(bench.servers.minio().map_err(Clone::clone)?).expect("a bucket");
                Ok(Box::pin(async move {
                    let prefix = format!("{}/", unique("slow"));
                    let payloads = PayloadStore::builder(store.clone(), BUCKET).prefix(&*prefix);
                    slow(Setting::new().await?, payloads.build()?).await?;
                    ensure!(keys(&store, &prefix).await?.is_empty(), "its payload is still there");
                    Ok(())
                }))
            },
        ),
        set("consumer::the_message_is_deleted_first", bench, |setting| {
            ack_order(setting).boxed()
        }),
        set(
            "consumer::what_failed_is_given_back_with_its_payload",
            bench,
            |setting| given_back(setting).boxed(),
        ),
        set("consumer::a_refused_pointer_stops_no_others", bench, |setting| {
            refused(setting).boxed()
        }),
    ]
}

/// Consumes until so many messages were handled without an error.
async fn consume<H, F>(extended: &ExtendedClient, queue: &str, handled: usize, handler: H) -> Outcome
where
    H: Fn(ExtendedDelivery) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Outcome> + Send + 'static,
{
    let (told, mut done) = mpsc::unbounded_channel();
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
        let (handled, told) = (handler(delivery), told.clone());
        async move {
            handled.await?;
            told.send(())?;
            anyhow::Ok(())
        }
    });
    timeout(Duration::from_secs(30), run).await.context("all of it")??;
    Ok(())
}

/// The download takes longer than the visibility timeout.
async fn slow(setting: Setting, payloads: PayloadStore) -> Outcome {
    const SIZE: usize = 20 * 1024 * 1024;
    let builder = ExtendedClient::builder(setting.client.clone()).payload_store(payloads);
    let extended = builder.build()?;
    extended.send(&setting.queue, vec![7; SIZE]).await?;
    let (client, queue) = (setting.client.clone(), setting.queue.clone());
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
                    ensure!(others.is_empty(), "another consumer was given the message");
                    slept += 1;
                }
            }
            ensure!(read == SIZE && slept == 5);
            Ok(())
        }
    };
    consume(&extended, &setting.queue, 1, handler).await?;
    ensure!(
        setting.messages(&setting.queue).is_empty(),
        "the message is still there"
    );
    Ok(())
}

/// The queue is slow to delete: at no time is there a message without its payload.
async fn ack_order(setting: Setting) -> Outcome {
    for action in [Action::DeleteMessage, Action::DeleteMessageBatch] {
        let slow = Fault::on(action, FaultKind::Delay(Duration::from_millis(300)));
        setting.server.faults().add(slow);
    }
    let extended = setting.extended()?.build()?;
    extended.send(&setting.queue, large()).await?;
    let consuming = consume(&extended, &setting.queue, 1, |delivery| async move {
        ensure!(delivery.text().await? == large());
        Ok(())
    });
    let watching = async {
        loop {
            // In this order: the message is what goes first.
            let payload = setting.stored().await?.len();
            let message = setting.messages(&setting.queue).len();
            ensure!(payload >= message, "the payload was deleted first");
            sleep(Duration::from_millis(5)).await;
        }
        #[expect(unreachable_code, reason = "it says what an error is")]
        Ok(())
    };
    tokio::select! {
        consumed = consuming => consumed?,
        watched = watching => watched?,
    }
    ensure!(setting.messages(&setting.queue).is_empty());
    ensure!(setting.stored().await?.is_empty());
    Ok(())
}

async fn given_back(setting: Setting) -> Outcome {
    let extended = setting.extended()?.build()?;
    extended.send(&setting.queue, large()).await?;
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let handler = move |delivery: ExtendedDelivery| {
        let tried = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            ensure!(delivery.text().await? == large(), "its payload is gone");
            ensure!(tried >= 2, "not yet");
            Ok(())
        }
    };
    consume(&extended, &setting.queue, 1, handler).await?;
    ensure!(tries.load(Ordering::SeqCst) == 3);
    ensure!(setting.messages(&setting.queue).is_empty());
    ensure!(setting.stored().await?.is_empty());
    Ok(())
}

async fn refused(setting: Setting) -> Outcome {
    const GOOD: usize = 6;
    let extended = setting.extended()?.build()?;
    let body = r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"theirs","s3Key":"p/k"}]"#;
    for i in 0..GOOD {
        let size = MessageAttributeValue::number(300_000);
        let hostile = OutgoingMessage::new(body).message_attribute("ExtendedPayloadSize", size);
        setting.client.send_message(&setting.queue, hostile).await?;
        let payload = if i % 2 == 0 { large() } else { "small".to_owned() };
        extended.send(&setting.queue, payload).await?;
    }
    consume(&extended, &setting.queue, GOOD, |delivery| async move {
        let text = delivery.text().await?;
        ensure!(text == large() || text == "small");
        Ok(())
    })
    .await?;
    let left = setting.messages(&setting.queue);
    ensure!(
        left.len() == GOOD && left.iter().all(|message| message.body == body),
        "{left:?}"
    );
    ensure!(setting.stored().await?.is_empty());
    Ok(())
}
