//! The settings of a client.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use sqs_client::internal::Random;
use sqs_client::limits;

use crate::client::ExtendedClient;
use crate::codec::Codec;
use crate::error::Error;
use crate::payload_store::{NewId, PayloadStore, PayloadStoreBuilder, unguessable_id};
use crate::receive::missing_policy::MissingPayload;
use crate::send::policy;
use crate::send::policy::Policy;
use crate::send::queue_limits::{self, MessageLimits};
use crate::send::strategy::Strategy;
use crate::shared::Shared;

impl ExtendedClient {
    /// Creates a builder of a client on top of `client`.
    pub fn builder(client: sqs_client::Client) -> ExtendedClientBuilder {
        ExtendedClientBuilder::new(client)
    }
}

/// Builds an [`ExtendedClient`]. Without a payload store, large payloads are [split](Strategy::Split).
///
/// ```no_run
/// # fn example(client: sqs_client::Client) -> Result<(), sqs_extended::Error> {
/// use std::time::Duration;
/// use object_store::memory::InMemory;
/// use sqs_extended::ExtendedClient;
///
/// let extended = ExtendedClient::builder(client)
///     .offload_to(InMemory::new(), "my-bucket")
///     .threshold(64 * 1024)
///     .visibility_timeout(Duration::from_secs(600))
///     .build()?;
/// # Ok(()) }
/// ```
#[must_use = "nothing happens before `build`"]
#[derive(Debug)]
pub struct ExtendedClientBuilder {
    client: sqs_client::Client,
    payloads: Payloads,
    strategy: Option<Strategy>,
    codec: Option<Codec>,
    policy: Policy,
    visibility_timeout: Duration,
    max_in_memory: usize,
    missing: MissingPayload,
    seed: Option<u64>,
}

#[derive(Debug)]
enum Payloads {
    None,
    /// A store with the default settings.
    Bucket(Box<PayloadStoreBuilder>),
    Built(PayloadStore),
}

impl ExtendedClientBuilder {
    /// The time for which a queue's limits are cached: 5 minutes. See
    /// [`respect_queue_limits`](Self::respect_queue_limits).
    pub const QUEUE_LIMITS_TTL: Duration = queue_limits::TTL;

    /// The default of [`threshold`](Self::threshold): 262,144 bytes, as in AWS's libraries.
    pub const DEFAULT_THRESHOLD: usize = policy::DEFAULT_THRESHOLD;

    /// The default of [`visibility_timeout`](Self::visibility_timeout): 5 minutes.
    pub const DEFAULT_VISIBILITY_TIMEOUT: Duration = Duration::from_secs(300);

    /// The default of [`max_in_memory`](Self::max_in_memory): 64 MiB.
    pub const DEFAULT_MAX_IN_MEMORY: usize = 64 * 1024 * 1024;

    /// The default of [`split_limit`](Self::split_limit): 8 MiB.
    pub const DEFAULT_SPLIT_LIMIT: usize = 8 * 1024 * 1024;

    pub(crate) fn new(client: sqs_client::Client) -> Self {
        Self {
            client,
            payloads: Payloads::None,
            strategy: None,
            codec: None,
            policy: Policy {
                threshold: Self::DEFAULT_THRESHOLD,
                strategy: Strategy::Inline,
                split_limit: Self::DEFAULT_SPLIT_LIMIT,
                segment_size: Self::DEFAULT_THRESHOLD,
                always_offload: false,
                queue_limits: false,
            },
            visibility_timeout: Self::DEFAULT_VISIBILITY_TIMEOUT,
            max_in_memory: Self::DEFAULT_MAX_IN_MEMORY,
            missing: MissingPayload::default(),
            seed: None,
        }
    }

    /// Sets the object store and the bucket that large payloads are offloaded to, with the defaults of
    /// [`PayloadStore::builder`]. Default: none.
    pub fn offload_to(mut self, store: impl ObjectStore, bucket: impl Into<String>) -> Self {
        self.payloads = Payloads::Bucket(Box::new(PayloadStore::builder(store, bucket)));
        self
    }

    /// Sets the payload store that large payloads are offloaded to. Default: none.
    pub fn payload_store(mut self, payloads: PayloadStore) -> Self {
        self.payloads = Payloads::Built(payloads);
        self
    }

    /// Sets the strategy for payloads that do not fit into a message. Default: [`Strategy::Offload`] with a payload store,
    /// [`Strategy::Split`] without one.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = Some(strategy);
        self
    }

    /// Sets the size up to which a message travels inline, in bytes of body and attributes as SQS counts them. Default:
    /// [`DEFAULT_THRESHOLD`](Self::DEFAULT_THRESHOLD). Range: 0–1,048,576, the limit of SQS. A queue or a compatible server
    /// may have a lower limit.
    pub fn threshold(mut self, bytes: usize) -> Self {
        self.policy.threshold = bytes;
        self
    }

    /// Sets whether to offload every payload, however small. Default: `false`.
    pub fn always_offload(mut self, on: bool) -> Self {
        self.policy.always_offload = on;
        self
    }

    /// Sets the maximum length of a payload that is split, in bytes after compression and encryption. Default:
    /// [`DEFAULT_SPLIT_LIMIT`](Self::DEFAULT_SPLIT_LIMIT). Range: any.
    ///
    /// A payload has up to 1,024 segments, or 10 on a FIFO queue. The sender keeps all of it in memory. A consumer buffers it
    /// in memory up to its [`spill_threshold`](crate::ExtendedConsumer::spill_threshold).
    pub fn split_limit(mut self, bytes: usize) -> Self {
        self.policy.split_limit = bytes;
        self
    }

    /// Sets the size of segments with their headers, in bytes as SQS counts a message. Default:
    /// [`DEFAULT_THRESHOLD`](Self::DEFAULT_THRESHOLD). Range: 4,096–1,048,576.
    pub fn segment_size(mut self, bytes: usize) -> Self {
        self.policy.segment_size = bytes;
        self
    }

    /// Sets how payloads that do not travel inline are compressed and encrypted. Default: the payload store's
    /// [`codec`](crate::store::PayloadStoreBuilder::codec), if there is one.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }

    /// Sets whether to read each queue's `MaximumMessageSize` and keep messages within it. Default: `false`.
    ///
    /// The limit is read before the first message to a queue, which requires the permission `GetQueueAttributes`, and
    /// again every [`QUEUE_LIMITS_TTL`](Self::QUEUE_LIMITS_TTL).
    pub fn respect_queue_limits(mut self, on: bool) -> Self {
        self.policy.queue_limits = on;
        self
    }

    /// Sets the time for which a [receive](ExtendedClient::receive) hides its messages from other consumers. Default:
    /// [`DEFAULT_VISIBILITY_TIMEOUT`](Self::DEFAULT_VISIBILITY_TIMEOUT). Range: 0 seconds to 12 hours.
    ///
    /// A [receive](crate::receive::ReceiveRequest::visibility_timeout) can override it. A
    /// [consumer](crate::ExtendedConsumer) does not use it, because the underlying consumer has its own setting.
    ///
    /// The time counts from before the receive is sent, so it must be longer than the wait time. Otherwise a lease can be
    /// over when the message arrives, and the payload is then left to the sweep.
    ///
    /// Every receive sends it in place of the queue's own setting. A payload may be deleted only while its message is known
    /// to be ours. The default is longer than the 30 seconds of SQS, because large payloads take longer to download. For
    /// still larger ones, set it or call
    /// [`ExtendedDelivery::extend_visibility`](crate::ExtendedDelivery::extend_visibility) regularly.
    pub fn visibility_timeout(mut self, timeout: Duration) -> Self {
        self.visibility_timeout = timeout;
        self
    }

    /// Limits the length of a payload that [`ExtendedDelivery::bytes`](crate::ExtendedDelivery::bytes),
    /// [`text`](crate::ExtendedDelivery::text) and [`json`](crate::ExtendedDelivery::json) read into memory, in bytes.
    /// Default: [`DEFAULT_MAX_IN_MEMORY`](Self::DEFAULT_MAX_IN_MEMORY). Range: any.
    ///
    /// It also limits the payloads that one receive [prefetches](crate::receive::ReceiveRequest::prefetch_payloads). It
    /// applies neither to streams nor to payloads that travel inline, which are in memory anyway.
    pub fn max_in_memory(mut self, bytes: usize) -> Self {
        self.max_in_memory = bytes;
        self
    }

    /// Sets what to do with a message whose payload no longer exists. Default: [`MissingPayload::Keep`].
    pub fn missing_payload(mut self, policy: MissingPayload) -> Self {
        self.missing = policy;
        self
    }

    /// Seeds the randomness of this layer, for simulations: its pauses and the ids of split payloads. Default: random.
    /// Range: any.
    ///
    /// The queue's client has its own [seed](sqs_client::ClientBuilder::seed). The keys of stored payloads come from
    /// [`key_ids`](crate::store::PayloadStoreBuilder::key_ids).
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// A setting is out of its range, or the strategy requires a payload store and there is none.
    pub fn build(mut self) -> Result<ExtendedClient, Error> {
        let payloads = match self.payloads {
            Payloads::None => None,
            Payloads::Bucket(builder) => Some(builder.build()?),
            Payloads::Built(payloads) => Some(payloads),
        };
        #[cfg(feature = "s3")]
        if let Some(payloads) = &payloads {
            payloads.use_client(&self.client);
        }
        let default_strategy = if payloads.is_some() {
            Strategy::Offload
        } else {
            Strategy::Split
        };
        self.policy.strategy = self.strategy.unwrap_or(default_strategy);
        self.policy.validate(payloads.is_some())?;
        if self.visibility_timeout > limits::MAX_VISIBILITY_TIMEOUT {
            return Err(Error::invalid(
                "the visibility timeout is out of range; use 0 seconds to 12 hours",
            ));
        }
        let (random, new_id): (_, NewId) = match self.seed {
            Some(seed) => {
                let random = Random::with_seed(seed);
                let ids = random.clone();
                (random, Arc::new(move || ids.id()))
            }
            None => (Random::default(), Arc::new(unguessable_id)),
        };
        let store_codec = || payloads.as_ref().and_then(PayloadStore::codec).cloned();
        Ok(ExtendedClient(Arc::new(Shared {
            codec: self.codec.or_else(store_codec).unwrap_or_default(),
            sender: self.client.without_send_hooks(),
            client: self.client,
            payloads,
            policy: self.policy,
            limits: MessageLimits::default(),
            visibility_timeout: self.visibility_timeout,
            max_in_memory: self.max_in_memory,
            missing: self.missing,
            random,
            new_id,
        })))
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::testing::{TestStore, extended};

    fn builder() -> ExtendedClientBuilder {
        let client = extended(&TestStore::default()).client().clone();
        ExtendedClient::builder(client).offload_to(InMemory::new(), "bucket")
    }

    #[test]
    fn defaults_are_in_range_and_other_values_are_refused() {
        assert!(builder().build().is_ok());
        assert!(builder().threshold(0).build().is_ok());
        let without_store = || ExtendedClient::builder(builder().client);
        assert!(without_store().build().is_ok());
        for wrong in [
            without_store().strategy(Strategy::Offload),
            without_store().always_offload(true),
            builder().threshold(limits::MAX_MESSAGE_BYTES + 1),
            builder().segment_size(4_095),
            builder().segment_size(limits::MAX_MESSAGE_BYTES + 1),
            builder().visibility_timeout(Duration::from_secs(43_201)),
            builder().offload_to(InMemory::new(), ""),
        ] {
            assert!(wrong.build().is_err());
        }
    }

    #[test]
    fn the_default_strategy_depends_on_the_store() {
        let strategy = |builder: ExtendedClientBuilder| builder.build().unwrap().0.policy.strategy;
        assert_eq!(strategy(builder()), Strategy::Offload);
        assert_eq!(strategy(ExtendedClient::builder(builder().client)), Strategy::Split);
        assert_eq!(strategy(builder().strategy(Strategy::Auto)), Strategy::Auto);
    }
}
