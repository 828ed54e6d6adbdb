//! The choice of the protocol, and its detection for [`Protocol::Auto`].

use std::sync::OnceLock;

use crate::error::Error;
use crate::protocol::{Protocol, Wire};

/// The protocol of a client. For [`Protocol::Auto`], it is the first that succeeded.
#[derive(Debug)]
pub(crate) struct Negotiation(OnceLock<Wire>);

impl Negotiation {
    pub(crate) fn new(protocol: Protocol) -> Self {
        Self(match protocol {
            Protocol::Json => Wire::Json.into(),
            Protocol::Query => Wire::Query.into(),
            Protocol::Auto => OnceLock::new(),
        })
    }

    /// Returns the protocol for the next request.
    pub(crate) fn wire(&self) -> Wire {
        self.0.get().copied().unwrap_or(Wire::Json)
    }

    /// Notes that a request in this protocol succeeded.
    pub(crate) fn succeeded(&self, wire: Wire) {
        // The protocol of an earlier success stays.
        let _ = self.0.set(wire);
    }

    /// Returns the protocol to retry in after this failure, if the server refused the protocol of the request.
    pub(crate) fn instead_of(&self, wire: Wire, error: &Error) -> Option<Wire> {
        let refused = wire == Wire::Json && error.refuses_protocol();
        match self.0.get() {
            None if refused => Some(Wire::Query),
            // Another request succeeded while this one was in progress.
            Some(known) if refused && *known != wire => Some(*known),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorCode, ServiceError};

    fn service_error(status: u16, code: ErrorCode) -> Error {
        Error::service(ServiceError {
            code,
            message: String::new(),
            sender_fault: status < 500,
            status,
            request_id: None,
            retry_hint: None,
        })
    }

    #[test]
    fn only_a_definite_refusal_of_the_protocol_changes_it() {
        let auto = Negotiation::new(Protocol::Auto);
        for (status, code) in [(400, ErrorCode::InvalidAction), (415, ErrorCode::unnamed(415))] {
            assert_eq!(
                auto.instead_of(Wire::Json, &service_error(status, code)),
                Some(Wire::Query)
            );
        }
        for (status, code) in [
            (403, ErrorCode::AccessDenied),
            (400, ErrorCode::QueueDoesNotExist),
            (400, ErrorCode::Other("Novel".to_owned())),
            (410, ErrorCode::unnamed(410)),
            (500, ErrorCode::InvalidAction),
            (501, ErrorCode::unnamed(501)),
        ] {
            assert_eq!(auto.instead_of(Wire::Json, &service_error(status, code)), None);
        }
        let after_reset = service_error(404, ErrorCode::unnamed(404)).sent(true);
        assert_eq!(auto.instead_of(Wire::Json, &after_reset), None);
        assert_eq!(auto.instead_of(Wire::Json, &Error::transport("x")), None);
    }

    #[test]
    fn the_first_success_decides_the_protocol() {
        let refusal = service_error(400, ErrorCode::InvalidAction);
        let auto = Negotiation::new(Protocol::Auto);
        assert_eq!(auto.wire(), Wire::Json);
        auto.succeeded(Wire::Query);
        auto.succeeded(Wire::Json);
        assert_eq!(auto.wire(), Wire::Query);
        assert_eq!(auto.instead_of(Wire::Query, &refusal), None);
        assert_eq!(auto.instead_of(Wire::Json, &refusal), Some(Wire::Query));
        let json = Negotiation::new(Protocol::Json);
        assert_eq!(json.instead_of(Wire::Json, &refusal), None);
    }
}
