//! Tests polls: they are bounded, they back off, and a lasting error ends them.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_client::{Delivery, ErrorCode, ErrorKind};
use sqs_local::{Action, Fault, FaultKind, Reply};
use tokio::time::Instant;

use super::{Seen, fast_consumer, local, numbered, send, until, view};
use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(received_messages_stay_within_the_bound),
        harness.test(failing_polls_back_off_and_recover),
        harness.test(empty_responses_do_not_spin),
        harness.test(a_deleted_queue_ends_the_consumer),
        harness.test(invalid_settings_are_refused),
    ]
}

async fn received_messages_stay_within_the_bound() -> Outcome {
    let (server, client, queue) = local().await?;
    send(&client, &queue, numbered(300)).await?;
    let queue_view = view(&server, "q");
    let seen = Seen::default();
    let handler = {
        let (seen, queue_view) = (seen.clone(), queue_view.clone());
        move |delivery: Delivery| {
            let (seen, queue_view) = (seen.clone(), queue_view.clone());
            async move {
                seen.note("in flight", &queue_view.counts().in_flight.to_string());
                tokio::time::sleep(Duration::from_millis(3)).await;
                seen.note(&delivery.message().body, "");
                Ok::<_, ()>(())
            }
        }
    };
    let done = async { until(|| queue_view.is_empty()).await.expect("all are handled") };
    let consumer = fast_consumer(&client, &queue).concurrency(8).prefetch(15).pollers(5);
    consumer.run(done, handler).await?;
    let most = seen.all()["in flight"]
        .iter()
        .filter_map(|count| count.parse::<usize>().ok())
        .max();
    ensure!(most.is_some_and(|most| (9..=23).contains(&most)), "{most:?}");
    Ok(())
}

async fn failing_polls_back_off_and_recover() -> Outcome {
    let (server, client, queue) = local().await?;
    let kinds = [
        FaultKind::Throttle,
        FaultKind::DropBefore,
        FaultKind::Reply(Reply::new(503)),
    ];
    let faults = kinds.map(|kind| server.faults().add(Fault::on(Action::ReceiveMessage, kind)));
    send(&client, &queue, numbered(1)).await?;
    let seen = Seen::default();
    let handler = seen.handler();
    let passes = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let polls = server.count(Action::ReceiveMessage);
        faults.iter().for_each(|fault| server.faults().remove(*fault));
        until(|| seen.counts().0 == 1).await.expect("the message is handled");
        assert!(
            (6..120).contains(&polls),
            "{polls} polls in 3 s, each of up to 6 attempts"
        );
    };
    fast_consumer(&client, &queue).run(passes, handler).await?;
    Ok(())
}

async fn empty_responses_do_not_spin() -> Outcome {
    let (server, client, queue) = local().await?;
    for (wait, response) in [(0, None), (20, Some("{}"))] {
        let before = server.count(Action::ReceiveMessage);
        if let Some(body) = response {
            // The server ignores the wait time.
            let reply = Reply::new(200)
                .header("content-type", "application/x-amz-json-1.0")
                .body(body);
            server
                .faults()
                .add(Fault::on(Action::ReceiveMessage, FaultKind::Reply(reply)));
        }
        let consumer = fast_consumer(&client, &queue).wait_time(Duration::from_secs(wait));
        let run = consumer.run(tokio::time::sleep(Duration::from_secs(3)), |_| {
            pending::<Result<(), ()>>()
        });
        run.await?;
        let polls = server.count(Action::ReceiveMessage) - before;
        ensure!((3..20).contains(&polls), "{polls} polls in 3 s with a wait of {wait} s");
    }
    Ok(())
}

async fn a_deleted_queue_ends_the_consumer() -> Outcome {
    let (server, client, queue) = local().await?;
    client.delete_queue(&queue).await?;
    let timeout = Duration::from_secs(2);
    let begin = Instant::now();
    let run = fast_consumer(&client, &queue)
        .refusal_timeout(timeout)
        .run(pending::<()>(), |_| pending::<Result<(), ()>>());
    let error = run.await.err().context("it ended without an error")?;
    assert_eq!(error.code(), Some(&ErrorCode::QueueDoesNotExist));
    let (took, polls) = (begin.elapsed(), server.count(Action::ReceiveMessage));
    ensure!(took >= timeout && took < timeout * 4, "{took:?}");
    ensure!((3..20).contains(&polls), "{polls} polls");
    Ok(())
}

async fn invalid_settings_are_refused() -> Outcome {
    let (server, client, queue) = local().await?;
    let hours = Duration::from_secs(3600);
    let wrong = [
        fast_consumer(&client, &queue).visibility_timeout(Duration::ZERO),
        fast_consumer(&client, &queue).visibility_timeout(13 * hours),
        fast_consumer(&client, &queue).wait_time(Duration::from_secs(21)),
    ];
    for consumer in wrong {
        let run = consumer.run(pending::<()>(), |_| pending::<Result<(), ()>>());
        let error = run.await.err().context("the setting was accepted")?;
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(server.count(Action::ReceiveMessage), 0);
    Ok(())
}
