//! Tests handlers that block the runtime's only thread, and messages that are received again during or after handling.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use libtest_mimic::Trial;
use sqs_client::Delivery;
use sqs_local::{Action, Fault, FaultKind};

use super::{Seen, fast_consumer, fast_retries, local, numbered, send, until, view};
use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.blocking_test(a_blocking_handler_gets_each_message_once),
        harness.blocking_test(a_message_is_handled_again_after_its_blocking_handler_failed),
        harness.test(a_second_copy_of_a_message_is_not_handled),
    ]
}

const VISIBILITY: Duration = Duration::from_secs(1);

/// Runs a consumer on a single-threaded runtime until the queue is empty. The server runs on another runtime.
fn on_one_thread(handler: impl Fn(&Delivery) -> Result<(), ()> + Send + Sync + 'static) -> Outcome {
    let servers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let (server, client, queue) = servers.block_on(async {
        let server = sqs_tests::strict().start().await?;
        let client = server.client_builder().retry(fast_retries()).build()?;
        let queue = client.create_queue("q").await?.queue_url;
        send(&client, &queue, numbered(4)).await?;
        anyhow::Ok((server, client, queue))
    })?;
    let consumers = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    consumers.block_on(async {
        // A client of the other runtime would wait for that runtime's thread.
        let client = server.client_builder().retry(fast_retries()).build()?;
        let queue_view = view(&server, "q");
        let done = async move { until(|| queue_view.is_empty()).await.expect("all are handled") };
        let consumer = fast_consumer(&client, &queue).visibility_timeout(VISIBILITY);
        consumer
            .run(done, move |delivery| {
                let handled = handler(&delivery);
                async move { handled }
            })
            .await?;
        anyhow::Ok(())
    })?;
    drop(client);
    Ok(())
}

fn a_blocking_handler_gets_each_message_once() -> Outcome {
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: &Delivery| {
            std::thread::sleep(VISIBILITY * 2);
            seen.note(&delivery.message().body, "");
            Ok(())
        }
    };
    on_one_thread(handler)?;
    assert_eq!(seen.counts(), (4, 4), "{:?}", seen.all());
    Ok(())
}

fn a_message_is_handled_again_after_its_blocking_handler_failed() -> Outcome {
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: &Delivery| {
            let body = &delivery.message().body;
            seen.note(body, "");
            if seen.all()[body].len() == 1 {
                std::thread::sleep(VISIBILITY * 2);
                return Err(());
            }
            Ok(())
        }
    };
    on_one_thread(handler)?;
    assert_eq!(seen.counts(), (4, 8), "{:?}", seen.all());
    Ok(())
}

async fn a_second_copy_of_a_message_is_not_handled() -> Outcome {
    let (server, client, queue) = local().await?;
    server
        .faults()
        .add(Fault::on(Action::ReceiveMessage, FaultKind::Duplicate).times(1));
    send(&client, &queue, numbered(1)).await?;
    let seen = Seen::default();
    let handler = {
        let seen = seen.clone();
        move |delivery: Delivery| {
            let seen = seen.clone();
            async move {
                seen.note(&delivery.message().body, "");
                tokio::time::sleep(Duration::from_millis(500)).await;
                Ok::<_, ()>(())
            }
        }
    };
    let queue_view = view(&server, "q");
    let done = async { until(|| queue_view.is_empty()).await.expect("all are deleted") };
    fast_consumer(&client, &queue).run(done, handler).await?;
    ensure!(seen.counts() == (1, 1), "{:?}", seen.all());
    Ok(())
}
