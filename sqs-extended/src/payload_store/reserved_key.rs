//! Where a payload is about to be stored.

use sqs_client::{OutgoingMessage, limits};

use crate::error::Error;
use crate::pointer::{self, Pointer, ReservedAttribute};
use crate::transfer::upload::Target;

/// Where a payload is to be stored, and for which queue's message.
pub(crate) struct ReservedKey {
    pub(super) target: Target,
    pub(super) queue_url: String,
    /// The longest pointer that it can come to.
    pub(super) widest: Pointer,
    pub(super) attribute: ReservedAttribute,
}

impl ReservedKey {
    /// Sees whether `message` can carry the pointer within `limit` bytes: to be asked before gigabytes are uploaded in
    /// vain.
    ///
    /// # Errors
    ///
    /// There are too many attributes beside the reserved one, or they leave no room.
    pub(crate) fn check(&self, message: &OutgoingMessage, limit: usize) -> Result<(), Error> {
        let most = limits::MAX_MESSAGE_ATTRIBUTES - 1;
        let count = message.message_attributes.len();
        if count > most {
            return Err(Error::invalid(format!(
                "{count} message attributes; an offloaded message takes at most {most}, as one is reserved for the pointer"
            )));
        }
        let mut sealed = message.clone();
        pointer::seal(&mut sealed, &self.widest, u64::MAX, self.attribute);
        let size = sealed.size();
        if size > limit {
            return Err(Error::invalid(format!(
                "the pointer and the message attributes take up to {size} bytes, more than the {limit} of a message"
            )));
        }
        Ok(())
    }
}
