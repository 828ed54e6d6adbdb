//! Tests responses with one damaged entry. The other entries of the batch remain valid.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_client::ErrorKind;
use sqs_client::types::SendMessageBatchEntry;
use sqs_extended::ExtendedMessage;
use sqs_local::{Action, Fault, FaultKind, LocalSqs};

use super::server;
use crate::extended::store::{Counting, extended, keys};
use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(a_damaged_entry_fails_alone),
        harness.test(the_raw_call_names_the_damaged_entry),
        harness.test(an_unreadable_deletion_result_fails_alone),
        harness.test(the_payload_of_a_damaged_entry_stays),
    ]
}

/// Returns each kind of damage and the kind of error that it must cause.
fn damages() -> [(FaultKind, ErrorKind); 2] {
    let id = || "3".to_owned();
    [
        (FaultKind::WrongEntryMd5(id()), ErrorKind::Checksum),
        (FaultKind::SpoilEntry(id()), ErrorKind::Response),
    ]
}

fn damage(server: &LocalSqs, action: Action, kind: FaultKind) {
    server.faults().clear();
    server.faults().add(Fault::on(action, kind));
}

fn numbers() -> impl Iterator<Item = String> + Send {
    (0..10).map(|number| number.to_string())
}

async fn a_damaged_entry_fails_alone() -> Outcome {
    for (fault, kind) in damages() {
        for through_batcher in [false, true] {
            let (server, client, queue) = server(3).await?;
            damage(&server, Action::SendMessageBatch, fault.clone());
            // Long enough for all entries on a busy machine. A full batch does not wait.
            let batcher = client.batcher(&queue).linger(Duration::from_secs(1)).build();
            let results = if through_batcher {
                futures::future::join_all(numbers().map(|number| batcher.send(number))).await
            } else {
                client.send_messages(&queue, numbers()).await
            };
            let failed: Vec<_> = results.iter().map(Result::is_err).collect();
            assert_eq!(
                failed.iter().filter(|failed| **failed).count(),
                1,
                "{fault:?}: {failed:?}"
            );
            let error = results.into_iter().find_map(Result::err).context("an error")?;
            ensure!(error.kind() == kind && error.may_have_been_sent(), "{error:?}");
            ensure!(error.operation() == Some("SendMessageBatch"), "{error:?}");
            assert_eq!(
                server.count(Action::SendMessageBatch),
                1,
                "{fault:?}: the batch was sent again"
            );
            assert_eq!(server.queue("q").map(|queue| queue.len()), Some(10));
        }
    }
    Ok(())
}

async fn the_raw_call_names_the_damaged_entry() -> Outcome {
    for (fault, kind) in damages() {
        let (server, client, queue) = server(3).await?;
        damage(&server, Action::SendMessageBatch, fault);
        let entries = numbers().map(|number| SendMessageBatchEntry::new(number.clone(), number));
        let sent = client.send_message_batch(&queue, entries).await?;
        assert_eq!((sent.successful.len(), sent.failed.len()), (9, 0));
        let [entry] = &sent.unconfirmed[..] else {
            anyhow::bail!("{sent:?}");
        };
        assert_eq!((&*entry.id, entry.error.kind()), ("3", kind));
        ensure!(entry.error.may_have_been_sent(), "{entry:?}");
    }
    Ok(())
}

async fn an_unreadable_deletion_result_fails_alone() -> Outcome {
    let (server, client, queue) = server(3).await?;
    for result in client.send_messages(&queue, numbers()).await {
        result?;
    }
    let received = client.receive_message(&queue).max_messages(10).await?.messages;
    let body = r#"{"Successful":[{"Id":"0"},{"Id":[1]},{"Id":"2"}],"Failed":[{"Id":"3","SenderFault":{}}]}"#;
    let reply = sqs_local::Reply::new(200).body(body);
    damage(&server, Action::DeleteMessageBatch, FaultKind::Reply(reply));
    let handles: Vec<_> = received
        .into_iter()
        .take(4)
        .map(|message| message.receipt_handle)
        .collect();
    let results = client.delete_messages(&queue, handles).await;
    let kinds: Vec<_> = results
        .into_iter()
        .map(|result| result.err().map(|error| error.kind()))
        .collect();
    let unreadable = Some(ErrorKind::Response);
    assert_eq!(kinds, [None, unreadable, None, unreadable]);
    Ok(())
}

async fn the_payload_of_a_damaged_entry_stays() -> Outcome {
    for (fault, _) in damages() {
        let (server, client, queue) = server(3).await?;
        let store = Counting::default();
        let extended = extended(client, store.clone(), "p/");
        damage(&server, Action::SendMessageBatch, fault);
        let messages = (0..5).map(|_| ExtendedMessage::new("x".repeat(300_000)));
        let sent = extended.send_messages(&queue, messages).await;
        let errors: Vec<_> = sent.into_iter().filter_map(Result::err).collect();
        ensure!(errors.len() == 1 && errors[0].may_have_been_sent(), "{errors:?}");
        assert_eq!(keys(&store, "p").await?.len(), 5);
        server.faults().clear();
        for delivery in extended.receive(&queue).max_messages(10).await? {
            assert_eq!(delivery?.text().await?.len(), 300_000);
        }
    }
    Ok(())
}
