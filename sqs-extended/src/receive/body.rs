//! The location of a received message's payload.

use std::sync::OnceLock;

use bytes::Bytes;
use sqs_client::Message;

use crate::error::{Error, ErrorKind};
use crate::payload_store::{Located, PayloadStore};
use crate::pointer;
use crate::receive::assembled::Assembled;
use crate::receive::claim::Claim;
use crate::receive::missing::PointerParts;
use crate::receive::open::locate;
use crate::segment::Header;
use crate::shared::Shared;

/// The payload of a received message, or its location.
pub(super) enum Content {
    /// The payload was the message's body.
    Inline(Bytes),
    /// The payload is in the store, under a key that passed the checks.
    Offloaded {
        located: Located,
        parts: PointerParts,
        /// The payload, if it was prefetched.
        prefetched: OnceLock<Bytes>,
    },
    /// The payload arrived in segments.
    Assembled(Assembled),
}

impl Content {
    /// Takes the body out of the message.
    ///
    /// # Errors
    ///
    /// The message is rejected, and unchanged.
    pub(super) fn take(shared: &Shared, claim: &Claim, message: &mut Message) -> Result<Self, Error> {
        if let Some(header) = Header::find(&message.message_attributes).map_err(Error::from)? {
            return Assembled::from_single(header, message).map(Self::Assembled);
        }
        let Some(envelope) = pointer::open(message)? else {
            return Ok(Self::Inline(std::mem::take(&mut message.body).into()));
        };
        let located = locate(payload_store(shared)?, Box::new(envelope), claim.queue_url())?;
        let parts = PointerParts::new(
            std::mem::take(&mut message.body),
            pointer::take_reserved(&mut message.message_attributes),
        );
        Ok(Self::Offloaded {
            located,
            parts,
            prefetched: OnceLock::new(),
        })
    }

    /// Returns the payload if it is in memory.
    pub(super) fn in_memory(&self) -> Option<&Bytes> {
        match self {
            Self::Inline(body) => Some(body),
            Self::Offloaded { prefetched, .. } => prefetched.get(),
            Self::Assembled(_) => None,
        }
    }
}

pub(super) fn payload_store(shared: &Shared) -> Result<&PayloadStore, Error> {
    shared.payloads.as_ref().ok_or_else(|| {
        Error::plain(
            ErrorKind::RefusedPointer,
            "the message points to a payload in a store, but the client has none; set `payload_store` or `offload_to`",
        )
    })
}
