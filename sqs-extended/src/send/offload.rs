//! Stores the payload of a message, and seals the message with the pointer.

use sqs_client::OutgoingMessage;

use crate::codec::Encoded;
use crate::error::Error;
use crate::payload::digest::Digest;
use crate::payload_store::{PayloadStore, StoredPayload, UploadOptions};
use crate::pointer::{self, Pointer, ReservedAttribute};

/// A stored payload whose message is about to be sent.
pub(crate) struct StoredGuard {
    payloads: PayloadStore,
    stored: StoredPayload,
    /// The caller set the key, so another message may point to the object.
    shared: bool,
}

impl StoredGuard {
    /// The digest of the payload before it was encoded.
    pub(super) fn digest(&self) -> &Digest {
        &self.stored.original.digest
    }

    pub(crate) fn into_pointer(self) -> Pointer {
        self.stored.pointer
    }

    /// Deletes the payload, because its message was certainly not sent.
    pub(crate) async fn discard(&self) {
        if !self.shared {
            self.payloads.discard(&self.stored.key).await;
        }
    }
}

/// Stores the payload under the key of `options` or a new one, and makes `message` a pointer to it, signed for the queue.
///
/// # Errors
///
/// The message has no room for the pointer within `limit` bytes, or the payload cannot be read or stored. Nothing is left
/// behind.
pub(super) async fn offload(
    payloads: &PayloadStore,
    message: &mut OutgoingMessage,
    queue_url: &str,
    limit: usize,
    options: UploadOptions,
    encoded: Encoded,
) -> Result<StoredGuard, Error> {
    let shared = options.key.is_some();
    let sign = |pointer: &mut Pointer, size| {
        if let Some(keys) = payloads.pointer_keys() {
            keys.sign(pointer, size, queue_url);
        }
    };
    let mut reserved = payloads.reserve_key(options, &encoded.encoding)?;
    sign(&mut reserved.widest, u64::MAX);
    check_room(message, &reserved.widest, payloads.attribute(), limit)?;
    let mut stored = payloads.put(reserved, encoded).await?;
    let size = stored.original.len;
    sign(&mut stored.pointer, size);
    pointer::seal(message, &stored.pointer, size, payloads.attribute());
    Ok(StoredGuard {
        payloads: payloads.clone(),
        stored,
        shared,
    })
}

/// Checks that `message` can carry the pointer within `limit` bytes, before gigabytes are uploaded in vain.
///
/// # Errors
///
/// The attributes leave too little room.
fn check_room(
    message: &OutgoingMessage,
    widest: &Pointer,
    attribute: ReservedAttribute,
    limit: usize,
) -> Result<(), Error> {
    let mut sealed = message.clone();
    pointer::seal(&mut sealed, widest, u64::MAX, attribute);
    let size = sealed.size();
    if size > limit {
        return Err(Error::invalid(format!(
            "the pointer and the message attributes require up to {size} bytes, more than the {limit} of a message; \
             remove attributes"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, Encoding};
    use crate::payload::source::Payload;
    use crate::testing::{TestStore, payloads};

    #[tokio::test]
    async fn attributes_leave_room_for_the_pointer() {
        let payloads = payloads(&TestStore::default());
        let reserve = || {
            payloads
                .reserve_key(UploadOptions::default(), &Encoding::default())
                .unwrap()
        };
        let with = |bytes| OutgoingMessage::new("").message_attribute("a", "v".repeat(bytes));
        let limit = 10_000;
        let most = (0..limit)
            .rfind(|bytes| check_room(&with(*bytes), &reserve().widest, payloads.attribute(), limit).is_ok())
            .unwrap();
        let codec = Codec::default();
        let encoded = codec.encode(Payload::from("x").into(), Default::default()).await;
        let stored = payloads.put(reserve(), encoded.unwrap()).await.unwrap();
        let mut message = with(most);
        pointer::seal(&mut message, &stored.pointer, stored.original.len, payloads.attribute());
        // The payload's length, in the pointer and in the attribute, is unknown before the payload is stored.
        let unknown = 2 * (u64::MAX.to_string().len() - 1);
        assert_eq!(message.size(), limit - unknown);
    }
}
