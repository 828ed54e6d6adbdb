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
