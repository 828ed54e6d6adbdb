//! Tests batches whose first attempt may have taken effect. No later response rules that out.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_client::{Error, ErrorCode};
use sqs_extended::ExtendedMessage;
use sqs_local::{Action, Fault, FaultKind, LocalSqs, Reply};

use super::server;
use crate::extended::store::{Counting, extended, keys};
use crate::harness::{Harness, Outcome};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(a_failed_entry_of_a_repeated_request_may_have_been_sent),
        harness.test(an_entry_in_both_lists_may_have_been_sent),
        harness.test(a_lost_round_counts_for_all_later_rounds),
        harness.test(an_entry_that_a_later_round_omits_may_have_been_sent),
        harness.test(a_request_refused_as_too_long_after_a_lost_one_may_have_been_sent),
        harness.test(the_payload_of_a_queued_message_stays),
    ]
}

/// Returns every way to lose the response to a request that took effect.
fn losses() -> [FaultKind; 4] {
    [
        FaultKind::DropAfter,
        FaultKind::Reset,
        FaultKind::TruncatedResponse,
        FaultKind::status(500),
    ]
}

/// Skips `skipped` requests, and responds to the next one with a batch output that the server itself would not send.
fn reply(server: &LocalSqs, skipped: u64, successful: &str, failed: &str) {
    let body = format!(r#"{{"Successful":[{successful}],"Failed":[{failed}]}}"#);
    let kind = FaultKind::Reply(Reply::new(200).body(&body));
    server
        .faults()
        .add(Fault::on(Action::SendMessageBatch, kind).after(skipped).times(1));
}

const REFUSED: &str = r#"{"Id":"0","SenderFault":true,"Code":"InvalidParameterValue","Message":"refused"}"#;
const THROTTLED: &str = r#"{"Id":"0","SenderFault":false,"Code":"RequestThrottled","Message":"slow down"}"#;
/// The MD5 is that of `x`.
const SENT: &str = r#"{"Id":"0","MessageId":"m","MD5OfMessageBody":"9dd4e461268c8034f5c8564e155c67a6"}"#;

fn lose(server: &LocalSqs, kind: FaultKind, skipped: u64) {
    let fault = Fault::on(Action::SendMessageBatch, kind).after(skipped).times(1);
    server.faults().add(fault);
}

fn only_error<T>(results: Vec<Result<T, Error>>) -> anyhow::Result<Error> {
    ensure!(results.len() == 1, "{} results", results.len());
    results.into_iter().find_map(Result::err).context("sent")
}

async fn a_failed_entry_of_a_repeated_request_may_have_been_sent() -> Outcome {
    for kind in losses() {
        let (server, client, queue) = server(3).await?;
        let batcher = client.batcher(&queue).build();
        for through_batcher in [false, true] {
            server.faults().clear();
            lose(&server, kind.clone(), 0);
            reply(&server, 1, "", REFUSED);
            let results = if through_batcher {
                vec![batcher.send("x").await]
            } else {
                client.send_messages(&queue, ["x"]).await
            };
            let error = only_error(results)?;
            assert_eq!(error.code(), Some(&ErrorCode::InvalidParameterValue));
            ensure!(
                error.may_have_been_sent(),
                "{kind:?}, batcher {through_batcher}: {error:?}"
            );
        }
    }
    // A refusal of the first attempt is definite.
    let (server, client, queue) = server(3).await?;
    reply(&server, 0, "", REFUSED);
    let error = only_error(client.send_messages(&queue, ["x"]).await)?;
    ensure!(!error.may_have_been_sent(), "{error:?}");
    Ok(())
}

async fn an_entry_in_both_lists_may_have_been_sent() -> Outcome {
    let (server, client, queue) = server(3).await?;
    reply(&server, 0, SENT, REFUSED);
    let error = only_error(client.send_messages(&queue, ["x"]).await)?;
    ensure!(error.may_have_been_sent(), "{error:?}");
    Ok(())
}

async fn a_lost_round_counts_for_all_later_rounds() -> Outcome {
    let (server, client, queue) = server(5).await?;
    // The first round is lost once and then throttled by entry. The second one refuses.
    lose(&server, FaultKind::DropAfter, 0);
    reply(&server, 1, "", THROTTLED);
    reply(&server, 2, "", REFUSED);
    let error = only_error(client.send_messages(&queue, ["x"]).await)?;
    assert_eq!(server.count(Action::SendMessageBatch), 3);
    ensure!(error.may_have_been_sent(), "{error:?}");
    Ok(())
}

async fn an_entry_that_a_later_round_omits_may_have_been_sent() -> Outcome {
    let (server, client, queue) = server(5).await?;
    reply(&server, 0, "", THROTTLED);
    reply(&server, 1, "", "");
    let error = only_error(client.send_messages(&queue, ["x"]).await)?;
    ensure!(error.may_have_been_sent(), "the second request took effect: {error:?}");
    Ok(())
}

async fn a_request_refused_as_too_long_after_a_lost_one_may_have_been_sent() -> Outcome {
    let (server, client, queue) = server(3).await?;
    lose(&server, FaultKind::DropAfter, 0);
    let too_long = r#"{"__type":"com.amazonaws.sqs#BatchRequestTooLong","message":"too long"}"#;
    let replies = [Reply::new(400).body(too_long), Reply::new(403), Reply::new(403)];
    for (skipped, refusal) in (1..).zip(replies) {
        let fault = Fault::on(Action::SendMessageBatch, FaultKind::Reply(refusal));
        server.faults().add(fault.after(skipped).times(1));
    }
    let results = client.send_messages(&queue, ["first", "second"]).await;
    assert_eq!(
        server.count(Action::SendMessageBatch),
        4,
        "two attempts and one for each half"
    );
    for result in results {
        let error = result.err().context("sent")?;
        ensure!(error.status() == Some(403) && error.may_have_been_sent(), "{error:?}");
    }
    assert_eq!(server.queue("q").map(|queue| queue.len()), Some(2));
    Ok(())
}

async fn the_payload_of_a_queued_message_stays() -> Outcome {
    let (server, client, queue) = server(3).await?;
    let store = Counting::default();
    let extended = extended(client, store.clone(), "p/");
    lose(&server, FaultKind::DropAfter, 0);
    reply(&server, 1, "", REFUSED);
    let sent = extended
        .send_messages(&queue, [ExtendedMessage::new("x".repeat(300_000))])
        .await;
    let errors = sent.into_iter().filter_map(Result::err);
    ensure!(errors.map(|error| error.may_have_been_sent()).eq([true]));
    assert_eq!(keys(&store, "p").await?.len(), 1);
    let delivery = extended.receive(&queue).await?.remove(0)?;
    assert_eq!(delivery.text().await?.len(), 300_000);
    Ok(())
}
