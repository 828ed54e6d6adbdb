//! The quotas of Amazon SQS, as its service model and documentation state them.
//!
//! Source: the "Amazon SQS message quotas" page of the Amazon SQS Developer Guide and the service model's own
//! documentation strings. A queue or a compatible server may be set lower; those refuse what passes here.

use std::time::Duration;

/// Most bytes of one message, and of all messages of one batch together: 1,048,576 (1 MiB).
///
/// Counted are the body and, for every message attribute, its name, data type and value.
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// Most user attributes of one message: 10.
pub const MAX_MESSAGE_ATTRIBUTES: usize = 10;

/// Most entries of a batch request, and most messages that one receive brings: 10.
pub const MAX_BATCH_ENTRIES: usize = 10;

/// Longest wait of a long poll: 20 seconds.
pub const MAX_WAIT_TIME: Duration = Duration::from_secs(20);

/// Longest delay of a message: 900 seconds (15 minutes).
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// Longest visibility timeout, and longest that a received message can be held in total: 43,200 seconds (12 hours).
pub const MAX_VISIBILITY_TIMEOUT: Duration = Duration::from_secs(43_200);

/// Shortest message retention: 60 seconds.
pub const MIN_RETENTION: Duration = Duration::from_secs(60);

/// Longest message retention: 1,209,600 seconds (14 days).
pub const MAX_RETENTION: Duration = Duration::from_secs(1_209_600);

/// Longest group id, deduplication id and receive attempt id: 128 characters.
pub const MAX_ID_CHARS: usize = 128;

/// Longest batch entry id: 80 characters, of letters, digits, hyphens and underscores.
pub const MAX_ENTRY_ID_CHARS: usize = 80;

/// Lowest that a queue's `MaximumMessageSize` can be set to: 1,024 bytes.
pub const MIN_MAXIMUM_MESSAGE_BYTES: u32 = 1_024;

/// Highest that a queue's `MaximumMessageSize` can be set to: 1,048,576 bytes.
pub const MAX_MAXIMUM_MESSAGE_BYTES: u32 = 1_048_576;

/// Shortest time that a KMS data key is used again: 60 seconds.
pub const MIN_KMS_DATA_KEY_REUSE: Duration = Duration::from_secs(60);

/// Longest time that a KMS data key is used again: 86,400 seconds (24 hours).
pub const MAX_KMS_DATA_KEY_REUSE: Duration = Duration::from_secs(86_400);

/// Highest `maxReceiveCount` of a redrive policy: 1,000.
pub const MAX_RECEIVE_COUNT: u32 = 1_000;

/// Most source queues that a redrive allow policy names: 10.
pub const MAX_REDRIVE_SOURCES: usize = 10;

/// Most tags of a queue: 50.
pub const MAX_TAGS: usize = 50;

/// Longest key of a tag: 128 characters.
pub const MAX_TAG_KEY_CHARS: usize = 128;

/// Longest value of a tag: 256 characters.
pub const MAX_TAG_VALUE_CHARS: usize = 256;

/// Most queues that a page of a list has: 1,000. Only a request that sets a number is answered with a token for the rest.
pub const MAX_PAGE_RESULTS: u16 = 1_000;

/// Most message move tasks that are listed: the last 10.
pub const MAX_MOVE_TASKS: u8 = 10;

/// Most messages a second that a message move task can be set to: 500.
pub const MAX_MOVE_RATE: u32 = 500;
