//! Receipt handles. They are opaque to clients, and name the queue, the message and the delivery.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::rng::Rng;

const WORDS: usize = 3;

/// The length of a decoded handle. Its base64 text has 412 characters, as most handles of SQS do, so that tests find buffers
/// and database columns that are too small for SQS.
const LENGTH: usize = 309;

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
        BASE64_STANDARD.encode(self.bytes())
    }

    /// Returns the three words, and padding that follows from them. The queue's id depends on the server's seed, so the
    /// padding does too.
    fn bytes(self) -> Vec<u8> {
        let words = [self.queue, self.key, self.delivery];
        let seed = words.iter().fold(0, |seed, word| Rng::new(seed ^ word).next());
        let rng = Rng::new(seed);
        let padding = std::iter::repeat_with(|| rng.next());
        let bytes = words.into_iter().chain(padding).flat_map(u64::to_be_bytes);
        bytes.take(LENGTH).collect()
    }

    /// Decodes a handle. Returns `None` for any other text, including a handle of which a part was changed.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(text).ok()?;
        let (words, _) = bytes.as_chunks::<8>();
        let &[queue, key, delivery] = words.first_chunk::<WORDS>()?;
        let handle = Self {
            queue: u64::from_be_bytes(queue),
            key: u64::from_be_bytes(key),
            delivery: u64::from_be_bytes(delivery),
        };
        (handle.bytes() == bytes).then_some(handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDLE: Handle = Handle {
        queue: u64::MAX,
        key: 1,
        delivery: 2,
    };

    #[test]
    fn handles_round_trip_and_other_text_is_refused() {
        assert_eq!(Handle::decode(&HANDLE.encode()), Some(HANDLE));
        let short = BASE64_STANDARD.encode([7; 24]);
        for other in ["", "x", "garbage-handle", "AAAA", &short] {
            assert_eq!(Handle::decode(other), None);
        }
    }

    #[test]
    fn a_handle_is_as_long_as_those_of_sqs() {
        let zeros = Handle {
            queue: 0,
            key: 0,
            delivery: 0,
        };
        assert_eq!((HANDLE.encode().len(), zeros.encode().len()), (412, 412));
    }

    #[test]
    fn a_handle_with_one_changed_or_missing_character_is_refused() {
        let text = HANDLE.encode();
        for (index, was) in text.char_indices() {
            let other = if was == 'A' { 'B' } else { 'A' };
            let changed = format!("{}{other}{}", &text[..index], &text[index + 1..]);
            assert_eq!(Handle::decode(&changed), None, "character {index}");
            assert_eq!(Handle::decode(&text[..index]), None, "length {index}");
        }
        assert_eq!(Handle::decode(&format!("{text}AAAA")), None);
    }
}
