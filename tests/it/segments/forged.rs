//! Forged segments, as an untrusted sender makes them.

use std::time::Duration;

use serde_json::json;
use sqs_client::{Client, OutgoingMessage};
use sqs_extended::payload::{Digest, DigestAlgorithm};
use sqs_extended::{ExtendedClient, ExtendedConsumer, Strategy};
use sqs_local::{LocalSqs, MessageState, MessageView, QueueView};

use super::payloads::{Payload, again};
use crate::consumer::fast_retries;

/// The minimum segment size.
pub const SEGMENT: usize = 4096;

/// The claims in a segment's header.
pub struct Forged<'a> {
    pub id: &'a str,
    pub count: u32,
    pub total: u64,
    pub index: u32,
    pub offset: u64,
}

impl Forged<'_> {
    /// Returns the first of two segments. The second never arrives.
    pub fn half(id: &str, total: u64) -> Forged<'_> {
        Forged {
            id,
            count: 2,
            total,
            index: 0,
            offset: 0,
        }
    }

    pub fn message(&self, body: &str) -> OutgoingMessage {
        let digest = |bytes: &str| Digest::compute(DigestAlgorithm::Blake3, bytes.as_bytes()).to_string();
        let header = json!({
            "version": 1, "id": self.id, "count": self.count, "total": self.total, "digest": digest(self.id),
            "index": self.index, "offset": self.offset, "checksum": digest(body), "form": "text",
        });
        OutgoingMessage::new(body).message_attribute("SQSExtendedSegment", header.to_string())
    }
}

/// A server, a standard queue, and a client that makes small segments.
pub struct Scene {
    pub server: LocalSqs,
    pub client: Client,
    pub extended: ExtendedClient,
    pub queue: String,
    pub view: QueueView,
}

impl Scene {
    pub async fn new() -> anyhow::Result<Self> {
        let server = sqs_tests::strict().start().await?;
        let client = server.client_builder().retry(fast_retries()).build()?;
        let queue = client.create_queue("q").await?.queue_url;
        let view = server.queue("q").expect("the queue exists");
        let extended = ExtendedClient::builder(client.clone())
            .strategy(Strategy::Split)
            .segment_size(SEGMENT)
            .threshold(SEGMENT)
            .build()?;
        Ok(Self {
            server,
            client,
            extended,
            queue,
            view,
        })
    }

    /// Sends a payload and returns the number of its segments.
    pub async fn send(&self, payload: Payload) -> anyhow::Result<usize> {
        Ok(self.extended.send(&self.queue, payload.message()).await?.segments)
    }

    /// Returns the messages of a payload, so that a test can send them itself.
    pub async fn segments(&self, payload: Payload) -> anyhow::Result<Vec<OutgoingMessage>> {
        let queue = self.client.create_queue("captured").await?.queue_url;
        self.extended.send(&queue, payload.message()).await?;
        let received = self.client.receive_message(&queue).max_messages(10);
        let segments = received.message_attribute_names(["All"]).await?.messages;
        self.client.delete_queue(&queue).await?;
        Ok(segments.into_iter().map(again).collect())
    }

    /// Returns a consumer with short timeouts that makes failed messages visible after at most `backoff`.
    pub fn consumer(&self, backoff: Duration) -> ExtendedConsumer {
        self.extended.consumer(&self.queue).configure(|consumer| {
            consumer
                .visibility_timeout(Duration::from_secs(10))
                .wait_time(Duration::from_secs(1))
                .shutdown_timeout(Duration::from_secs(5))
                .backoff(backoff, backoff)
        })
    }

    pub fn in_flight(&self) -> Vec<Duration> {
        let hidden = |message: MessageView| match message.state {
            MessageState::InFlight(remaining) => Some(remaining),
            MessageState::Visible | MessageState::Delayed(_) => None,
        };
        self.view.messages().into_iter().filter_map(hidden).collect()
    }

    /// Returns the total number of receives.
    pub fn receives(&self) -> u32 {
        self.view.messages().iter().map(|message| message.receives).sum()
    }
}
