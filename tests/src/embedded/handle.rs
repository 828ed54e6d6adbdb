//! Receipt handles: opaque to clients; they name the queue, the message, and which of its receives this one was.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// What a receipt handle says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle {
    /// Tells the queue from others, and from one of the same name that was deleted.
    pub(crate) queue: u64,
    /// The message's key in its queue.
    pub(crate) key: u64,
    /// Counts the queue's deliveries, so every receive has a handle of its own.
    pub(crate) delivery: u64,
}

impl Handle {
    pub(crate) fn encode(self) -> String {
        let words = [self.queue, self.key, self.delivery].map(u64::to_be_bytes);
        BASE64_STANDARD.encode(words.concat())
    }

    /// Reads a handle; none if it never was one.
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
    fn round_trip_and_rubbish() {
        let handle = Handle {
            queue: u64::MAX,
            key: 1,
            delivery: 2,
        };
        assert_eq!(Handle::decode(&handle.encode()), Some(handle));
        for rubbish in ["", "x", "garbage-handle", "AAAA"] {
            assert_eq!(Handle::decode(rubbish), None);
        }
    }
}
