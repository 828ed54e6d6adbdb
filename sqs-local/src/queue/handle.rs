//! Receipt handles. They are opaque to clients, and name the queue, the message and the delivery.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A decoded receipt handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle {
    /// The queue's id, which differs from that of a deleted queue with the same name.
    pub(crate) queue: u64,
    /// The message's key in its queue.
    pub(crate) key: u64,
    /// The number of the queue's delivery, so that each receive has its own handle.
    pub(crate) delivery: u64,
}

impl Handle {
    pub(crate) fn encode(self) -> String {
        let words = [self.queue, self.key, self.delivery].map(u64::to_be_bytes);
        BASE64_STANDARD.encode(words.concat())
    }

    /// Decodes a handle. Returns `None` for other text.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; 24] = BASE64_STANDARD.decode(text).ok()?.try_into().ok()?;
        let (words, _) = bytes.as_chunks::<8>();
        let &[queue, key, delivery] = words else {
            return None;
        };
        Some(Self {
            queue: u64::from_be_bytes(queue),
            key: u64::from_be_bytes(key),
            delivery: u64::from_be_bytes(delivery),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_round_trip_and_other_text_is_refused() {
        let handle = Handle {
            queue: u64::MAX,
            key: 1,
            delivery: 2,
        };
        assert_eq!(Handle::decode(&handle.encode()), Some(handle));
        for other in ["", "x", "garbage-handle", "AAAA"] {
            assert_eq!(Handle::decode(other), None);
        }
    }
}
