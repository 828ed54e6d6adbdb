//! Tests messages of untrusted senders in a child process. They are refused before the store is called, and in bounded
//! memory.

mod bomb;
mod throttled;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use libtest_mimic::Trial;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use sqs_client::OutgoingMessage;
use sqs_client::types::MessageAttributeValue;
use sqs_extended::receive::Rejected;
use sqs_extended::{ErrorKind, ExtendedClient, ExtendedDelivery};
use tokio::process::Command;
use tokio::runtime::Runtime;

use super::store::{BUCKET, Counting, extended};
use crate::child::peak_memory;
use crate::harness::{Harness, Outcome};

/// The environment variable that makes this binary the child process that receives.
const ORDERS: &str = "SQS_TEST_HOSTILE_ORDERS";

/// The memory limit of the whole process, of which the code of a debug build can be two thirds.
const MEMORY_KIB: u64 = 96 * 1024;

/// SQS's limit for a message including its attributes.
const MESSAGE_BYTES: usize = 1024 * 1024;

const GIB: u64 = 1024 * 1024 * 1024;

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let mut trials = vec![
        harness.test(untrusted_pointers_are_refused),
        harness.test(huge_messages_are_refused),
        harness.test(false_lengths_are_detected),
        harness.test(a_pointer_in_a_payload_is_not_followed),
        harness.test(a_decompression_bomb_is_detected),
    ];
    trials.extend(throttled::trials(harness));
    trials
}

async fn untrusted_pointers_are_refused() -> Outcome {
    in_a_child(bad_pointers(), Expected::Refused).await
}

async fn huge_messages_are_refused() -> Outcome {
    in_a_child(huge(), Expected::Refused).await
}

async fn false_lengths_are_detected() -> Outcome {
    in_a_child(false_lengths(), Expected::FalseLength).await
}

async fn a_pointer_in_a_payload_is_not_followed() -> Outcome {
    in_a_child(recursive(), Expected::Text).await
}

async fn a_decompression_bomb_is_detected() -> Outcome {
    in_a_child(Vec::new(), Expected::Bomb).await
}

/// A message that anybody could send: a body and the attribute that marks it as a pointer.
struct Hostile {
    body: String,
    size: MessageAttributeValue,
}

impl Hostile {
    fn new(body: impl Into<String>) -> Self {
        Self::claiming(body, 10)
    }

    fn claiming(body: impl Into<String>, bytes: u64) -> Self {
        Self {
            body: body.into(),
            size: MessageAttributeValue::number(bytes),
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Expected {
    /// The message is refused without a call to the store.
    Refused,
    /// The false length is detected once the store returns the length.
    FalseLength,
    /// The payload arrives unchanged.
    Text,
    /// The bomb is detected in time. The process creates it itself.
    Bomb,
}

#[derive(Serialize, Deserialize)]
struct Orders {
    endpoint: String,
    queue: String,
    messages: usize,
    expected: Expected,
}

fn pointer(bucket: &str, key: &str) -> String {
    with(&format!(
        r#""s3BucketName":{},"s3Key":{}"#,
        serde_json::json!(bucket),
        serde_json::json!(key)
    ))
}

fn with(members: &str) -> String {
    format!(r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{{{members}}}]"#)
}

fn bad_pointers() -> Vec<Hostile> {
    let foreign = [
        pointer("another-bucket", "ours/key"),
        pointer("", "ours/key"),
        pointer(BUCKET, "theirs/key"),
        pointer(BUCKET, "ours"),
        pointer(BUCKET, "ours/"),
        pointer(BUCKET, "ours/../theirs/key"),
        pointer(BUCKET, "ours/.."),
        pointer(BUCKET, "ours/./key"),
        pointer(BUCKET, "ours//key"),
        pointer(BUCKET, "/ours/key"),
        pointer(BUCKET, "ours/%2e%2e/theirs"),
        pointer(BUCKET, "ours/%252e./theirs"),
        pointer(BUCKET, "ours//../theirs"),
        pointer(BUCKET, "ours/a%2f..%2f..%2ftheirs"),
        pointer(BUCKET, "ours/%5c../theirs"),
        pointer(BUCKET, "ours/%00"),
        pointer(BUCKET, "ours%2f..%2ftheirs"),
        pointer(BUCKET, "ours\\..\\theirs"),
        pointer(BUCKET, "ours/\0"),
        pointer(BUCKET, &format!("ours/{}", "k".repeat(1020))),
        pointer(BUCKET, ""),
    ];
    let malformed = [
        r#"{"s3BucketName":1,"s3Key":[]}"#.to_owned(),
        with(r#""s3BucketName":["payloads"],"s3Key":{"s3Key":"ours/key"}"#),
        with(r#""s3BucketName":"payloads","s3Key":null"#),
        with(r#""s3BucketName":"payloads","s3Key":"ours/key","s3Key":"theirs/key""#),
        with(r#""s3BucketName":"payloads""#),
        format!(
            r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{}]"#,
            pointer(BUCKET, "ours/key")
        ),
        pointer(BUCKET, "ours/key").replace("software.amazon", "java.lang"),
        "[]".to_owned(),
        "null".to_owned(),
        "not a pointer".to_owned(),
    ];
    let sizes = [
        MessageAttributeValue::number(-1),
        MessageAttributeValue::number("1.5"),
        MessageAttributeValue::number("99999999999999999999"),
        MessageAttributeValue::from("ten"),
        MessageAttributeValue::binary(b"10".to_vec()),
    ];
    let sizes = sizes.into_iter().map(|size| Hostile {
        body: pointer(BUCKET, "ours/key"),
        size,
    });
    let two_lengths = with(r#""s3BucketName":"payloads","s3Key":"ours/key","payloadLength":2147483648"#);
    foreign
        .into_iter()
        .chain(malformed)
        .chain([two_lengths])
        .map(Hostile::new)
        .chain(sizes)
        .collect()
}

/// Returns ten bodies of the maximum size, which arrive in one response.
fn huge() -> Vec<Hostile> {
    let room = MESSAGE_BYTES - 1024;
    let member = |value: &str| with(&format!(r#""s3BucketName":"payloads","s3Key":"ours/key","x":{value}"#));
    let bodies = [
        "[".repeat(room),
        r#"{"a":"#.repeat(room / 5),
        format!("[{}0]", "0,".repeat(room / 2 - 2)),
        r#"["","#.repeat(room / 4),
        "\"".repeat(room),
        "\\\\".repeat(room / 2),
        pointer(BUCKET, &format!("ours/{}", "k".repeat(room - 200))),
        member(&format!("\"{}\"", "x".repeat(room - 200))),
        member(&"[".repeat(room - 200)),
        member(&format!("[{}0]", r#"{"s3Key":"ours/key"},"#.repeat(room / 22))),
    ];
    bodies.map(Hostile::new).into()
}

/// Returns messages with false lengths of the ten bytes at `ours/ten`.
fn false_lengths() -> Vec<Hostile> {
    let ten = pointer(BUCKET, "ours/ten");
    let length = |bytes: u64| {
        let pointer = with(&format!(
            r#""s3BucketName":"payloads","s3Key":"ours/ten","payloadLength":{bytes}"#
        ));
        Hostile::claiming(pointer, bytes)
    };
    vec![
        Hostile::claiming(&*ten, 2 * GIB),
        Hostile::claiming(&*ten, u64::MAX),
        Hostile::claiming(&*ten, 9),
        Hostile::claiming(&*ten, 0),
        length(2 * GIB),
        length(9),
    ]
}

/// Returns a pointer to the payload at `ours/pointer`, which is itself that pointer.
fn recursive() -> Vec<Hostile> {
    let itself = pointer(BUCKET, "ours/pointer");
    let length = itself.len() as u64;
    vec![Hostile::claiming(itself, length)]
}

/// Sends these messages and receives them in a child process.
async fn in_a_child(hostile: Vec<Hostile>, expected: Expected) -> Outcome {
    let server = sqs_tests::strict().start().await?;
    let client = server.client()?;
    let queue = client.create_queue("q").await?.queue_url;
    let messages = hostile.len();
    for Hostile { body, size } in hostile {
        let message = OutgoingMessage::new(body).message_attribute("ExtendedPayloadSize", size);
        client.send_message(&queue, message).await?;
    }
    let orders = Orders {
        endpoint: server.endpoint(),
        queue,
        messages,
        expected,
    };
    let mut program = Command::new(std::env::current_exe()?);
    let child = program
        .env(ORDERS, serde_json::to_string(&orders)?)
        .kill_on_drop(true)
        .output()
        .await?;
    ensure!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    let peak = String::from_utf8(child.stdout)?;
    // Only Linux reports the peak memory.
    if let Ok(peak) = peak.trim().parse::<u64>() {
        ensure!(peak < MEMORY_KIB, "the process used {peak} KiB");
        eprintln!("{expected:?}: peak memory {peak} KiB");
    }
    Ok(())
}

/// Receives the messages in a child, and prints its peak memory. Returns `None` in the parent.
pub fn run_if_ordered() -> Option<anyhow::Result<()>> {
    let orders = std::env::var(ORDERS).ok()?;
    let follow = |orders: Orders| {
        let runtime = Runtime::new()?;
        runtime.block_on(receive(orders))?;
        if let Some(peak) = peak_memory("self") {
            println!("{peak}");
        }
        Ok(())
    };
    Some(serde_json::from_str(&orders).map_err(Into::into).and_then(follow))
}

async fn receive(orders: Orders) -> Outcome {
    let client = sqs_local::client_builder(&orders.endpoint).build()?;
    let store = Counting::default();
    let put = |key: &str, text: String| {
        let (store, key) = (store.objects.clone(), Path::from(key));
        async move { store.put(&key, text.into()).await }
    };
    if let Expected::Bomb = orders.expected {
        return bomb::is_found_out(&client, &store, &orders.queue).await;
    }
    put("ours/ten", "ten bytes!".to_owned()).await?;
    put("ours/pointer", pointer(BUCKET, "ours/pointer")).await?;
    let extended = extended(client, store.clone(), "ours/");
    let mut arrived = 0;
    while arrived < orders.messages {
        let received = ten(&extended, &orders.queue).await?;
        arrived += received.len();
        for received in received {
            match orders.expected {
                Expected::Refused => {
                    let rejected = received.err().context("the pointer was accepted")?;
                    let error = rejected.error();
                    ensure!(error.kind() == ErrorKind::RefusedPointer, "{error:?}");
                    ensure!(!rejected.receipt_handle().is_empty() && !error.to_string().is_empty());
                    ensure!(store.calls() == 0, "the store was called");
                }
                Expected::FalseLength => false_length(&received?, &store).await?,
                Expected::Text => {
                    ensure!(received?.text().await? == pointer(BUCKET, "ours/pointer"));
                    ensure!(store.calls() == 1, "the store was called {} times", store.calls());
                }
                Expected::Bomb => bail!("the parent sends no bomb"),
            }
        }
    }
    Ok(())
}

async fn ten(extended: &ExtendedClient, queue: &str) -> anyhow::Result<Vec<Result<ExtendedDelivery, Rejected>>> {
    let received = extended
        .receive(queue)
        .max_messages(10)
        .wait_time(Duration::from_secs(5))
        .await?;
    ensure!(!received.is_empty(), "no message arrives");
    Ok(received)
}

/// Checks that every way of reading the payload fails and leaves no file.
async fn false_length(delivery: &ExtendedDelivery, store: &Counting) -> Outcome {
    let folder = tempfile::tempdir()?;
    let before = store.calls();
    let text = delivery.text().await.err().context("the false length was accepted")?;
    let huge = delivery.size().is_some_and(|size| size > GIB);
    let (kind, calls) = if huge {
        (ErrorKind::TooLarge, 0)
    } else {
        (ErrorKind::Corrupt, 1)
    };
    ensure!(text.kind() == kind, "{text:?}");
    ensure!(
        store.calls() == before + calls,
        "the store was called for a payload that claims to be too large"
    );
    let file = delivery.download_to(folder.path().join("file")).await;
    let stream = delivery.stream().await.map(drop);
    for error in [file.err(), stream.err()] {
        let error = error.context("the false length was accepted")?;
        ensure!(error.kind() == ErrorKind::Corrupt, "{error:?}");
    }
    ensure!(std::fs::read_dir(folder.path())?.next().is_none(), "a file remains");
    Ok(())
}
