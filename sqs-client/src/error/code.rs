use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest code that is kept.
const MAX_CODE_BYTES: usize = 128;

/// One table of the codes: the name of the service model (JSON protocol), and the other names under which the Query
/// protocol, older servers or SigV4's front end say the same.
macro_rules! error_codes {
    ($($(#[$meta:meta])* $variant:ident $(| $alias:literal)*,)*) => {
        /// What a server calls an error, under one name whichever protocol said it.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$meta])* $variant,)*
            /// A code that this version of the crate does not know, without its namespace.
            Other(String),
        }

        impl ErrorCode {
            /// The name of the service model where the code is known, else the server's.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                    Self::Other(code) => code,
                }
            }

            /// Finds a code by any of its names, with or without a namespace (`com.amazonaws.sqs#…`,
            /// `AWS.SimpleQueueService.…`) or a URI after a colon.
            pub(crate) fn from_wire(code: &str) -> Self {
                let code = code.trim();
                let code = code.rsplit('#').next().unwrap_or(code);
                let code = code.split(':').next().unwrap_or(code);
                let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
                match code {
                    $(stringify!($variant) $(| $alias)* => Self::$variant,)*
                    other => {
                        let end = other.floor_char_boundary(MAX_CODE_BYTES);
                        Self::Other(other.get(..end).unwrap_or_default().to_owned())
                    }
                }
            }
        }
    };
}

error_codes! {
    /// The credentials may not do this.
    AccessDenied | "AccessDeniedException",
    /// Two entries of a batch have the same id.
    BatchEntryIdsNotDistinct,
    /// The messages of a batch are together longer than the limit.
    BatchRequestTooLong,
    /// A batch without entries.
    EmptyBatchRequest,
    /// The session token has expired.
    ExpiredToken | "ExpiredTokenException",
    /// A fault of the server's own.
    InternalError | "InternalFailure" | "InternalServerError" | "InternalServiceError",
    /// An action that the server does not know, or that it could not find in the request.
    InvalidAction | "UnknownOperationException" | "MissingAction",
    /// The queue URL or account is not well-formed.
    InvalidAddress,
    /// An attribute that the server does not know.
    InvalidAttributeName,
    /// A value that the attribute cannot take.
    InvalidAttributeValue,
    /// A batch entry's id is not well-formed.
    InvalidBatchEntryId,
    /// The access key is not known.
    InvalidClientTokenId | "UnrecognizedClientException" | "InvalidAccessKeyId",
    /// An id is not well-formed; deprecated in favour of `ReceiptHandleIsInvalid`.
    InvalidIdFormat,
    /// The body has characters that SQS does not take.
    InvalidMessageContents,
    /// A parameter has a value that it cannot take.
    InvalidParameterValue | "InvalidParameterValueException" | "InvalidParameterCombination" | "ValidationError" | "ValidationException",
    /// The request was not over HTTPS or not signed by Signature Version 4.
    InvalidSecurity,
    /// The signature is not well-formed, or too old.
    InvalidSignature | "InvalidSignatureException" | "IncompleteSignature" | "IncompleteSignatureException",
    /// Access to the KMS key is denied.
    KmsAccessDenied | "KMS.AccessDeniedException",
    /// The KMS key is disabled.
    KmsDisabled | "KMS.DisabledException",
    /// The KMS key cannot be used so.
    KmsInvalidKeyUsage | "KMS.InvalidKeyUsageException",
    /// The KMS key is in a state that does not allow this.
    KmsInvalidState | "KMS.InvalidStateException",
    /// The KMS key was not found.
    KmsNotFound | "KMS.NotFoundException",
    /// The account needs a KMS subscription.
    KmsOptInRequired | "KMS.OptInRequired",
    /// KMS refused because of too many requests.
    KmsThrottled | "KMS.ThrottlingException",
    /// The message is not in flight: its visibility cannot be changed.
    MessageNotInflight,
    /// The request was not signed.
    MissingAuthenticationToken | "MissingAuthenticationTokenException",
    /// A parameter that is required is not there.
    MissingParameter | "MissingRequiredParameterException",
    /// Too many of something: messages in flight, permissions, tags.
    OverLimit,
    /// The queue was purged within the last 60 seconds.
    PurgeQueueInProgress,
    /// A queue of that name was deleted within the last 60 seconds.
    QueueDeletedRecently,
    /// No such queue.
    QueueDoesNotExist | "NonExistentQueue",
    /// A queue of that name exists with other attributes.
    QueueNameExists | "QueueAlreadyExists",
    /// The receipt handle is not one of this queue's.
    ReceiptHandleIsInvalid,
    /// The request's date is too old.
    RequestExpired,
    /// The server's clock and the client's are too far apart.
    RequestTimeTooSkewed,
    /// The server waited too long for the request.
    RequestTimeout | "RequestTimeoutException",
    /// Too many requests.
    RequestThrottled | "RequestThrottledException" | "RequestLimitExceeded",
    /// No such resource, such as a message move task.
    ResourceNotFoundException,
    /// The request could not be parsed.
    SerializationException | "MalformedQueryString" | "MalformedInput",
    /// The server cannot answer now.
    ServiceUnavailable | "ServiceUnavailableException",
    /// The signature is not that of these credentials.
    SignatureDoesNotMatch,
    /// Too many requests.
    ThrottlingException | "Throttling" | "ThrottledException" | "TooManyRequestsException" | "SlowDown" | "BandwidthLimitExceeded" | "PriorRequestNotComplete" | "TransactionInProgressException",
    /// More than 10 entries.
    TooManyEntriesInBatchRequest,
    /// The queue or server does not support this.
    UnsupportedOperation,
}

/// What stands before the status where the server gave no code.
const UNNAMED: &str = "HTTP ";

impl ErrorCode {
    /// Stands in for the code of an answer that has none.
    pub(crate) fn unnamed(status: u16) -> Self {
        Self::Other(format!("{UNNAMED}{status}"))
    }

    /// Stands in for the code of a batch entry that has none.
    pub(crate) fn unknown() -> Self {
        Self::Other("Unknown".to_owned())
    }

    pub(crate) fn is_unnamed(&self) -> bool {
        matches!(self, Self::Other(code) if code.starts_with(UNNAMED))
    }

    /// Whether it means: too many requests.
    pub(crate) fn is_throttling(&self) -> bool {
        matches!(
            self,
            Self::RequestThrottled | Self::ThrottlingException | Self::KmsThrottled
        )
    }

    /// Whether it is a passing fault, whatever the status.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::InternalError | Self::RequestTimeout | Self::ServiceUnavailable
        )
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_wire(&String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_code_is_the_same_code() {
        for name in [
            "QueueDoesNotExist",
            "com.amazonaws.sqs#QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            "QueueDoesNotExist:http://internal.amazon.com/coral/com.amazonaws.sqs/",
        ] {
            assert_eq!(ErrorCode::from_wire(name), ErrorCode::QueueDoesNotExist, "{name}");
        }
        assert_eq!(
            ErrorCode::from_wire("com.x#Novel"),
            ErrorCode::Other("Novel".to_owned())
        );
    }
}
