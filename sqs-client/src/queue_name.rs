//! Queue names. An action names its queue by its name, its URL or its ARN.

/// Returns the queue's name, which is the end of its URL and of its ARN.
pub fn queue_name(queue: &str) -> &str {
    let queue = queue.trim_end_matches('/');
    queue.rsplit(['/', ':']).next().unwrap_or(queue)
}

/// Returns `true` if a queue of this name, URL or ARN is a FIFO queue, by the end of its name.
pub fn is_fifo(queue: &str) -> bool {
    queue.ends_with(".fifo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_and_an_arn_end_in_the_name() {
        for queue in [
            "orders.fifo",
            "http://localhost:9324/queue/orders.fifo",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/orders.fifo",
            "arn:aws:sqs:eu-west-1:123456789012:orders.fifo",
        ] {
            assert_eq!(queue_name(queue), "orders.fifo");
            assert!(is_fifo(queue));
        }
        assert_eq!(queue_name("http://h/orders/"), "orders");
        assert_eq!(queue_name(""), "");
        assert!(!is_fifo("http://h/orders"));
    }
}
