//! The requests for a message that a single receive returned.

#[cfg(feature = "testing")]
use std::sync::Arc;
use std::time::Duration;

use sqs_client::Client;
#[cfg(feature = "testing")]
use sqs_client::internal::Recording;
use sqs_client::internal::Settlement;

/// The destination of the requests that settle a message or extend its lease.
pub(crate) enum LeaseRequests {
    Queue(Client),
    /// A test's record, which responds in place of the queue.
    #[cfg(feature = "testing")]
    Recording(Arc<Recording>),
}

impl From<Client> for LeaseRequests {
    fn from(client: Client) -> Self {
        Self::Queue(client)
    }
}

impl LeaseRequests {
    pub(super) async fn delete(&self, queue_url: &str, receipt_handle: &str) -> Result<(), sqs_client::Error> {
        match self {
            Self::Queue(client) => client.delete_message(queue_url, receipt_handle).await.map(drop),
            #[cfg(feature = "testing")]
            Self::Recording(recording) => recording.delete(),
        }
    }

    pub(super) async fn return_message(
        &self,
        queue_url: &str,
        receipt_handle: &str,
        delay: Duration,
    ) -> Result<(), sqs_client::Error> {
        match self {
            Self::Queue(client) => change_visibility(client, queue_url, receipt_handle, delay).await,
            #[cfg(feature = "testing")]
            Self::Recording(recording) => recording.return_message(delay),
        }
    }

    pub(super) async fn extend(
        &self,
        queue_url: &str,
        receipt_handle: &str,
        timeout: Duration,
    ) -> Result<(), sqs_client::Error> {
        match self {
            Self::Queue(client) => change_visibility(client, queue_url, receipt_handle, timeout).await,
            #[cfg(feature = "testing")]
            Self::Recording(recording) => recording.extend(timeout),
        }
    }

    /// Tells a test how the message was settled.
    #[cfg_attr(not(feature = "testing"), allow(unused_variables, reason = "only tests record it"))]
    pub(super) fn record(&self, settlement: Settlement) {
        #[cfg(feature = "testing")]
        if let Self::Recording(recording) = self {
            recording.settled(settlement);
        }
    }
}

async fn change_visibility(
    client: &Client,
    queue_url: &str,
    receipt_handle: &str,
    timeout: Duration,
) -> Result<(), sqs_client::Error> {
    client
        .change_message_visibility(queue_url, receipt_handle, timeout)
        .await
        .map(drop)
}
