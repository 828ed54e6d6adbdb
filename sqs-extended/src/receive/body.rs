//! Where the payload of a received message is.

use std::sync::OnceLock;

use bytes::Bytes;
use sqs_client::Message;

use crate::error::{Error, ErrorKind};
use crate::payload_store::{Located, PayloadStore};
use crate::pointer;
use crate::receive::assembled::Assembled;
use crate::receive::claim::Claim;
use crate::receive::missing::Sealed;
use crate::receive::open::locate;
use crate::segment::Header;
use crate::shared::Shared;

pub(super) enum Content {
    Inline(Bytes),
    /// The pointer was found to be to a payload that we may touch.
    Offloaded {
        located: Located,
        sealed: Sealed,
        /// The payload, if it was fetched before it was asked for.
        fetched: OnceLock<Bytes>,
    },
    /// It came in segments.
    Assembled(Assembled),
}

impl Content {
    /// Takes the body out of the message, unless it is refused.
    pub(super) fn of(shared: &Shared, claim: &Claim, message: &mut Message) -> Result<Self, Error> {
        if let Some(header) = Header::find(&message.message_attributes).map_err(Error::from)? {
            return Assembled::from_single(header, message).map(Self::Assembled);
        }
        let Some(envelope) = pointer::open(message)? else {
            return Ok(Self::Inline(std::mem::take(&mut message.body).into()));
        };
        let located = locate(payloads(shared)?, Box::new(envelope), claim.queue_url())?;
        let sealed = Sealed::new(
            std::mem::take(&mut message.body),
            pointer::take_reserved(&mut message.message_attributes),
        );
        Ok(Self::Offloaded {
            located,
            sealed,
            fetched: OnceLock::new(),
        })
    }

    /// The payload, where it is in memory.
    pub(super) fn in_memory(&self) -> Option<&Bytes> {
        match self {
            Self::Inline(body) => Some(body),
            Self::Offloaded { fetched, .. } => fetched.get(),
            Self::Assembled(_) => None,
        }
    }
}

pub(super) fn payloads(shared: &Shared) -> Result<&PayloadStore, Error> {
    shared.payloads.as_ref().ok_or_else(|| {
        let why = "the message points to a payload in a store, and the client has none";
        Error::plain(ErrorKind::RefusedPointer, why)
    })
}
