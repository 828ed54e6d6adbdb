//! The state that all calls of a client share.

use std::fmt;
use std::time::Duration;

use sqs_client::internal::Random;

use crate::codec::Codec;
use crate::payload_store::{NewId, PayloadStore};
use crate::receive::missing_policy::MissingPayload;
use crate::send::policy::Policy;
use crate::send::queue_limits::MessageLimits;

/// The settings and caches of a client. Its clones share one instance.
pub(crate) struct Shared {
    pub(crate) client: sqs_client::Client,
    /// The client without send hooks. It sends messages that the hooks have already seen, and messages that are forwarded.
    pub(crate) sender: sqs_client::Client,
    pub(crate) payloads: Option<PayloadStore>,
    pub(crate) policy: Policy,
    pub(crate) codec: Codec,
    pub(crate) limits: MessageLimits,
    pub(crate) visibility_timeout: Duration,
    pub(crate) max_in_memory: usize,
    pub(crate) missing: MissingPayload,
    pub(crate) random: Random,
    /// Creates the ids of payloads in segments.
    pub(crate) new_id: NewId,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("client", &self.client)
            .field("payloads", &self.payloads)
            .field("policy", &self.policy)
            .field("visibility_timeout", &self.visibility_timeout)
            .field("max_in_memory", &self.max_in_memory)
            .finish_non_exhaustive()
    }
}
