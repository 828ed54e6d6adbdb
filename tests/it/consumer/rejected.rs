//! Tests an unreadable message among readable ones, which it must not affect.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use libtest_mimic::Trial;
use sqs_client::{Delivery, OutgoingMessage, QueueAttributes};
use sqs_extended::ExtendedClient;
use sqs_local::{Action, Fault, FaultKind, LocalSqs};

use super::poison::Queues;
use super::{Seen, fast_consumer, fast_retries, grouped, local, numbered, send, until, view};
use crate::harness::{Backend, Context, Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(an_unreadable_message_affects_no_other),
        harness.test(nothing_of_a_group_overtakes_an_unreadable_message),
        harness.test(an_unreadable_message_of_a_group_dies_alone),
        harness.test(an_extended_receive_rejects_only_the_unreadable_message),
    ]
}

/// Replaces the body of messages with this body by a number, until the returned function is called.
fn spoil(server: &LocalSqs, body: &str) -> impl Fn() {
    let spoils = Fault::on(Action::ReceiveMessage, FaultKind::SpoilBody(body.to_owned()));
    let fault = server.faults().add(spoils);
    move || server.faults().remove(fault)
}

fn noting(seen: &Seen) -> impl Fn(Delivery) -> std::future::Ready<Result<(), ()>> + Send + Sync + 'static {
    let seen = seen.clone();
    move |delivery: Delivery| {
        let group = delivery.message().attributes.message_group_id().unwrap_or_default();
        seen.note(group, &delivery.message().body);
        std::future::ready(Ok(()))
    }
}

async fn an_unreadable_message_affects_no_other() -> Outcome {
    let (server, client, queue) = local().await?;
    let stop_spoiling = spoil(&server, "4");
    send(&client, &queue, numbered(10)).await?;
    let seen = Seen::default();
    let done = async {
        until(|| seen.counts().1 == 9).await.expect("the others are handled");
        let bad = || view(&server, "q").messages().first().map_or(0, |bad| bad.receives);
        until(|| bad() >= 3)
            .await
            .expect("it is returned to the queue each time");
        stop_spoiling();
        until(|| view(&server, "q").is_empty()).await.expect("all are handled");
    };
    fast_consumer(&client, &queue).run(done, noting(&seen)).await?;
    let mut handled = seen.all().remove("").context("no message was handled")?;
    ensure!(
        handled.pop().as_deref() == Some("4"),
        "the unreadable message was not the last: {handled:?}"
    );
    handled.sort_unstable();
    assert_eq!(handled, ["0", "1", "2", "3", "5", "6", "7", "8", "9"]);
    Ok(())
}

async fn nothing_of_a_group_overtakes_an_unreadable_message() -> Outcome {
    let (server, client, _) = local().await?;
    let mut attributes = QueueAttributes::default();
    attributes.fifo_queue = Some(true);
    let queue = client.create_queue("q.fifo").attributes(attributes).await?.queue_url;
    let message = |group: &str, number: usize| {
        OutgoingMessage::new(format!("{group}{number}"))
            .message_group_id(group)
            .message_deduplication_id(format!("{group}{number}"))
    };
    let messages = (0..5).flat_map(|number| ["a", "b"].map(|group| message(group, number)));
    send(&client, &queue, messages.collect()).await?;
    let stop_spoiling = spoil(&server, "a2");
    let seen = Seen::default();
    let before = AtomicUsize::new(0);
    let done = async {
        let rejected = || {
            view(&server, "q.fifo")
                .messages()
                .iter()
                .any(|message| message.receives >= 4)
        };
        until(|| rejected() && seen.all().get("b").is_some_and(|b| b.len() == 5))
            .await
            .expect("b is handled");
        before.store(seen.all().get("a").map_or(0, Vec::len), Ordering::SeqCst);
        stop_spoiling();
        until(|| view(&server, "q.fifo").is_empty())
            .await
            .expect("all are handled");
    };
    fast_consumer(&client, &queue).run(done, noting(&seen)).await?;
    assert_eq!(
        before.into_inner(),
        2,
        "a message of the group overtook the unreadable one"
    );
    let seen = seen.all();
    assert_eq!(seen["a"], ["a0", "a1", "a2", "a3", "a4"]);
    assert_eq!(seen["b"], ["b0", "b1", "b2", "b3", "b4"]);
    Ok(())
}

async fn an_unreadable_message_of_a_group_dies_alone() -> Outcome {
    for bad in ["0", "4", "9"] {
        let (server, client, _) = local().await?;
        let context = Context {
            client: client.clone(),
            backend: Backend::Local,
        };
        let queues = Queues::new(context).await?;
        send(&client, &queues.queue, grouped(2, 10)).await?;
        let stop_spoiling = spoil(&server, bad);
        let seen = Seen::default();
        queues.consumer().run(queues.emptied(), noting(&seen)).await?;
        stop_spoiling();
        let dead = queues.dead().await?;
        let good: Vec<_> = (0..10).map(|number| number.to_string()).filter(|n| n != bad).collect();
        for group in ["group-0", "group-1"] {
            assert_eq!(dead.get(group), Some(&vec![bad.to_owned()]), "{group}: dead");
            assert_eq!(seen.all().get(group), Some(&good), "{group}: handled");
        }
    }
    Ok(())
}

async fn an_extended_receive_rejects_only_the_unreadable_message() -> Outcome {
    let server = sqs_tests::strict().start().await?;
    let client = server.client_builder().retry(fast_retries()).build()?;
    let queue = client.create_queue("q").await?.queue_url;
    send(&client, &queue, numbered(3)).await?;
    let _stop_spoiling = spoil(&server, "1");
    let extended = ExtendedClient::builder(client.clone()).build()?;
    let receive = extended
        .receive(&queue)
        .max_messages(10)
        .wait_time(Duration::from_secs(5));
    let (mut bodies, mut bad) = (Vec::new(), Vec::new());
    for received in receive.await? {
        match received {
            Ok(delivery) => bodies.push(delivery.text().await?),
            Err(rejected) => bad.push(rejected),
        }
    }
    assert_eq!(bodies, ["0", "2"]);
    let [rejected] = &bad[..] else { bail!("{bad:?}") };
    ensure!(
        rejected.error().kind() == sqs_extended::ErrorKind::Queue,
        "{rejected:?}"
    );
    client.delete_message(&queue, rejected.receipt_handle()).await?;
    assert_eq!(view(&server, "q").messages().len(), 2);
    Ok(())
}
