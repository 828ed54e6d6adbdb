use crate::types::open_enum;
use crate::types::text::attribute_text_by_name;

open_enum! {
    /// The queue attribute `DeduplicationScope`, which is the scope in which a deduplication id is unique.
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
    /// The queue attribute `FifoThroughputLimit`, which is the scope of the throughput quota.
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
