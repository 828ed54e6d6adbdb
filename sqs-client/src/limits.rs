//! The quotas of Amazon SQS.
//!
//! Sources: [Amazon SQS message
//! quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html) and the
//! service model's documentation. A queue or a compatible server may have lower limits. It then refuses requests that
//! this crate considers valid.
//!
//! ```
//! use sqs_client::{OutgoingMessage, limits};
//!
//! assert!(OutgoingMessage::new("hello").size() <= limits::MAX_MESSAGE_BYTES);
//! ```

use std::time::Duration;

/// The maximum size of a message, and of all messages of a batch together: 1,048,576 bytes (1 MiB).
///
/// The size includes the body and, for each message attribute, its name, data type and value.
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// The maximum number of message attributes: 10.
pub const MAX_MESSAGE_ATTRIBUTES: usize = 10;

/// The maximum number of entries of a batch request, and of messages that one receive returns: 10.
pub const MAX_BATCH_ENTRIES: usize = 10;

/// The maximum wait time of a long poll: 20 seconds.
pub const MAX_WAIT_TIME: Duration = Duration::from_secs(20);

/// The maximum delay of a message: 900 seconds (15 minutes).
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// The maximum visibility timeout, and the maximum total time in flight of a received message: 43,200 seconds (12 hours).
pub const MAX_VISIBILITY_TIMEOUT: Duration = Duration::from_secs(43_200);

/// The minimum retention period of a message: 60 seconds.
pub const MIN_RETENTION: Duration = Duration::from_secs(60);

/// The maximum retention period of a message: 1,209,600 seconds (14 days).
pub const MAX_RETENTION: Duration = Duration::from_secs(1_209_600);

/// The maximum length of a message group id, deduplication id or receive attempt id: 128 characters.
pub const MAX_ID_CHARS: usize = 128;

/// The maximum length of a batch entry id: 80 characters, which are letters, digits, hyphens and underscores.
pub const MAX_ENTRY_ID_CHARS: usize = 80;

/// The minimum value of a queue's `MaximumMessageSize`: 1,024 bytes.
pub const MIN_MAXIMUM_MESSAGE_BYTES: u32 = 1_024;

/// The maximum value of a queue's `MaximumMessageSize`: 1,048,576 bytes.
pub const MAX_MAXIMUM_MESSAGE_BYTES: u32 = 1_048_576;

/// The minimum reuse period of a KMS data key: 60 seconds.
pub const MIN_KMS_DATA_KEY_REUSE: Duration = Duration::from_secs(60);

/// The maximum reuse period of a KMS data key: 86,400 seconds (24 hours).
pub const MAX_KMS_DATA_KEY_REUSE: Duration = Duration::from_secs(86_400);

/// The maximum `maxReceiveCount` of a redrive policy: 1,000.
pub const MAX_RECEIVE_COUNT: u32 = 1_000;

/// The maximum number of source queues in a redrive allow policy: 10.
pub const MAX_REDRIVE_SOURCES: usize = 10;

/// The maximum number of tags of a queue: 50.
pub const MAX_TAGS: usize = 50;

/// The maximum length of a tag's key: 128 characters.
pub const MAX_TAG_KEY_CHARS: usize = 128;

/// The maximum length of a tag's value: 256 characters.
pub const MAX_TAG_VALUE_CHARS: usize = 256;

/// The maximum number of queues in a page of a list: 1,000. SQS returns a token for the rest only if the request sets a
/// maximum.
pub const MAX_PAGE_RESULTS: u16 = 1_000;

/// The maximum number of message move tasks in a list: 10.
pub const MAX_MOVE_TASKS: u8 = 10;

/// The maximum rate of a message move task: 500 messages per second.
pub const MAX_MOVE_RATE: u32 = 500;
