use crate::types::open_enum;
use crate::types::text::attribute_text_by_name;

open_enum! {
    /// The scope in which a deduplication id of a FIFO queue is unique: the queue attribute `DeduplicationScope`.
    ///
    /// ```
    /// use sqs_client::QueueAttributes;
    /// use sqs_client::types::DeduplicationScope;
    ///
    /// let attributes = QueueAttributes::new().deduplication_scope(DeduplicationScope::MessageGroup);
    /// ```
    DeduplicationScope {
        /// The whole queue. The default.
        Queue = "queue",
        /// The message group. High throughput requires it.
        MessageGroup = "messageGroup",
    }
}

open_enum! {
    /// The scope of the throughput quota of a FIFO queue: the queue attribute `FifoThroughputLimit`.
    ///
    /// [`high_throughput_fifo`](crate::QueueAttributes::high_throughput_fifo) sets both attributes for high throughput.
    ///
    /// ```
    /// use sqs_client::QueueAttributes;
    /// use sqs_client::types::FifoThroughputLimit;
    ///
    /// let attributes = QueueAttributes::new().high_throughput_fifo();
    /// assert_eq!(attributes.fifo_throughput_limit, Some(FifoThroughputLimit::PerMessageGroupId));
    /// ```
    FifoThroughputLimit {
        /// The whole queue. The default.
        PerQueue = "perQueue",
        /// Each message group. High throughput requires it, and it requires
        /// [`DeduplicationScope::MessageGroup`].
        PerMessageGroupId = "perMessageGroupId",
    }
}

attribute_text_by_name!(DeduplicationScope, FifoThroughputLimit);
