use crate::types::open_enum;
use crate::types::text::attribute_text_by_name;

open_enum! {
    /// Within what a FIFO queue takes a deduplication id for repeated: the queue attribute `DeduplicationScope`.
    DeduplicationScope {
        /// The whole queue, the default of SQS:
        Queue = "queue",
        /// The message group, as high throughput asks for:
        MessageGroup = "messageGroup",
    }
}

open_enum! {
    /// What the throughput quota of a FIFO queue applies to: the queue attribute `FifoThroughputLimit`.
    FifoThroughputLimit {
        /// The whole queue, the default of SQS:
        PerQueue = "perQueue",
        /// Each message group, as high throughput asks for:
        PerMessageGroupId = "perMessageGroupId",
    }
}

attribute_text_by_name!(DeduplicationScope, FifoThroughputLimit);
