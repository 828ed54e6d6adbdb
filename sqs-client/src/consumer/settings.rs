//! The settings of a consumer, and their defaults.

use std::time::Duration;

use crate::error::Error;
use crate::queue_name::is_fifo;
use crate::types::{Message, MessageSystemAttributeName};
use crate::{limits, validate};

pub(crate) const CONCURRENCY: usize = 10;
pub(crate) const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(30);
pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);
pub(crate) const POLL_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);
pub(crate) const REFUSAL_TIMEOUT: Duration = Duration::from_secs(300);
pub(crate) const RETRIES_IN_PLACE: u32 = 2;
pub(crate) const ACK_LINGER: Duration = Duration::from_millis(5);
pub(crate) const BACKOFF_BASE: Duration = Duration::from_secs(1);
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// The upper limit of the default number of pollers.
const MAX_DEFAULT_POLLERS: usize = 8;

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) ordered: bool,
    pub(super) concurrency: usize,
    pub(super) min_receive: usize,
    /// Tells if the second message, a later one of the same group, is handled together with the first.
    pub(super) belongs_with: fn(&Message, &Message) -> bool,
    pub(super) prefetch: Option<usize>,
    pub(super) pollers: Option<usize>,
    pub(super) visibility_timeout: Duration,
    pub(super) wait_time: Duration,
    pub(super) shutdown_timeout: Duration,
    pub(super) poll_shutdown_timeout: Duration,
    pub(super) refusal_timeout: Duration,
    pub(super) retries_in_place: u32,
    pub(super) ack_linger: Duration,
    pub(super) backoff: (Duration, Duration),
    pub(super) message_attribute_names: Vec<String>,
    pub(super) extra_message_attribute_names: Vec<String>,
    pub(super) system_attribute_names: Vec<MessageSystemAttributeName>,
    /// Requests all message attributes, because poison messages are forwarded.
    pub(super) whole_messages: bool,
}

impl Settings {
    pub(super) fn new(queue_url: &str) -> Self {
        Self {
            ordered: is_fifo(queue_url),
            concurrency: CONCURRENCY,
            min_receive: 1,
            belongs_with: |_, _| false,
            prefetch: None,
            pollers: None,
            visibility_timeout: VISIBILITY_TIMEOUT,
            wait_time: limits::MAX_WAIT_TIME,
            shutdown_timeout: SHUTDOWN_TIMEOUT,
            poll_shutdown_timeout: POLL_SHUTDOWN_TIMEOUT,
            refusal_timeout: REFUSAL_TIMEOUT,
            retries_in_place: RETRIES_IN_PLACE,
            ack_linger: ACK_LINGER,
            backoff: (BACKOFF_BASE, BACKOFF_MAX),
            message_attribute_names: vec!["All".to_owned()],
            extra_message_attribute_names: Vec::new(),
            system_attribute_names: Vec::new(),
            whole_messages: false,
        }
    }

    pub(super) fn prefetch(&self) -> usize {
        // A FIFO receive returns as many messages of one group as it can. This many let each handler have its own group.
        let behind = if self.ordered { limits::MAX_BATCH_ENTRIES - 1 } else { 1 };
        self.prefetch.unwrap_or(self.concurrency.saturating_mul(behind))
    }

    pub(super) fn requested_message_attributes(&self) -> Vec<&str> {
        if self.whole_messages {
            return vec!["All"];
        }
        let names = self.message_attribute_names.iter();
        names
            .chain(&self.extra_message_attribute_names)
            .map(String::as_str)
            .collect()
    }

    pub(super) fn pollers(&self) -> usize {
        let in_flight = self.concurrency.saturating_add(self.prefetch());
        let to_fill = in_flight.div_ceil(limits::MAX_BATCH_ENTRIES);
        self.pollers.unwrap_or(to_fill.clamp(1, MAX_DEFAULT_POLLERS))
    }

    /// # Errors
    ///
    /// A setting is out of its range.
    pub(super) fn check(&self) -> Result<(), Error> {
        let range = Duration::from_secs(1)..=limits::MAX_VISIBILITY_TIMEOUT;
        validate::within("visibility timeout of a consumer", Some(self.visibility_timeout), range)?;
        validate::no_longer_than(
            "ack linger of a consumer (limit: an eighth of its visibility timeout)",
            self.ack_linger,
            self.visibility_timeout / 8,
        )?;
        validate::no_longer_than("wait time", self.wait_time, limits::MAX_WAIT_TIME)
    }
}
