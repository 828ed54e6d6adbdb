use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The maximum length of a code. The rest is cut off.
const MAX_CODE_BYTES: usize = 128;

/// Defines the codes. Each has the service model's name, which the JSON protocol uses. The other names are those of the
/// Query protocol, of older servers and of AWS's signature check.
macro_rules! error_codes {
    ($($(#[$meta:meta])* $variant:ident $(| $alias:literal)*,)*) => {
        /// A server's error code, under one name for both protocols.
        ///
        /// ```no_run
        /// # async fn f(client: sqs_client::Client) -> Result<(), sqs_client::Error> {
        /// use sqs_client::ErrorCode;
        ///
        /// let queue = match client.get_queue_url("orders").await {
        ///     Ok(found) => found.queue_url,
        ///     Err(error) if error.code() == Some(&ErrorCode::QueueDoesNotExist) => {
        ///         client.create_queue("orders").await?.queue_url
        ///     }
        ///     Err(error) => return Err(error),
        /// };
        /// # Ok(()) }
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$meta])* $variant,)*
            /// A code unknown to this version of the crate, without its namespace.
            Other(String),
        }

        impl ErrorCode {
            /// Returns the code's name in AWS's service model, or the server's own name for an unknown code.
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
    /// The credentials do not permit the action.
    AccessDenied | "AccessDeniedException",
    /// Two entries of a batch have the same id.
    BatchEntryIdsNotDistinct,
    /// The messages of a batch together exceed the size limit.
    BatchRequestTooLong,
    /// The batch has no entries.
    EmptyBatchRequest,
    /// The session token has expired.
    ExpiredToken | "ExpiredTokenException",
    /// The server itself failed.
    InternalError | "InternalFailure" | "InternalServerError" | "InternalServiceError",
    /// The server does not know the action, or could not find it in the request.
    InvalidAction | "UnknownOperationException" | "MissingAction",
    /// The queue URL or account is malformed.
    InvalidAddress,
    /// The server does not know the attribute.
    InvalidAttributeName,
    /// The value is not valid for the attribute.
    InvalidAttributeValue,
    /// A batch entry's id is malformed.
    InvalidBatchEntryId,
    /// The access key is unknown.
    InvalidClientTokenId | "UnrecognizedClientException" | "InvalidAccessKeyId",
    /// An id is malformed. Deprecated in favor of `ReceiptHandleIsInvalid`.
    InvalidIdFormat,
    /// The body has characters that SQS does not accept.
    InvalidMessageContents,
    /// The value is not valid for the parameter.
    InvalidParameterValue | "InvalidParameterValueException" | "InvalidParameterCombination" | "ValidationError" | "ValidationException",
    /// The request did not use HTTPS, or was not signed with Signature Version 4.
    InvalidSecurity,
    /// The signature is malformed or too old.
    InvalidSignature | "InvalidSignatureException" | "IncompleteSignature" | "IncompleteSignatureException",
    /// Access to the KMS key is denied.
    KmsAccessDenied | "KMS.AccessDeniedException",
    /// The KMS key is disabled.
    KmsDisabled | "KMS.DisabledException",
    /// The KMS key does not support this use.
    KmsInvalidKeyUsage | "KMS.InvalidKeyUsageException",
    /// The state of the KMS key does not allow its use.
    KmsInvalidState | "KMS.InvalidStateException",
    /// The KMS key was not found.
    KmsNotFound | "KMS.NotFoundException",
    /// The account requires a KMS subscription.
    KmsOptInRequired | "KMS.OptInRequired",
    /// KMS throttled the request.
    KmsThrottled | "KMS.ThrottlingException",
    /// The message is not in flight, so its visibility cannot be changed.
    MessageNotInflight,
    /// The request was not signed.
    MissingAuthenticationToken | "MissingAuthenticationTokenException",
    /// A required parameter is missing.
    MissingParameter | "MissingRequiredParameterException",
    /// A limit is exceeded, such as that of messages in flight, permissions or tags.
    OverLimit,
    /// The queue was purged within the last 60 seconds.
    PurgeQueueInProgress,
    /// A queue of that name was deleted within the last 60 seconds.
    QueueDeletedRecently,
    /// The queue does not exist.
    QueueDoesNotExist | "NonExistentQueue",
    /// A queue of that name exists with other attributes.
    QueueNameExists | "QueueAlreadyExists",
    /// The receipt handle does not belong to this queue.
    ReceiptHandleIsInvalid,
    /// The request's date is too old.
    RequestExpired,
    /// The server's clock and the client's are too far apart.
    RequestTimeTooSkewed,
    /// The server waited too long for the request.
    RequestTimeout | "RequestTimeoutException",
    /// The server throttled the request.
    RequestThrottled | "RequestThrottledException" | "RequestLimitExceeded",
    /// The resource does not exist, such as a message move task.
    ResourceNotFoundException,
    /// The request could not be parsed.
    SerializationException | "MalformedQueryString" | "MalformedInput",
    /// The server is temporarily unavailable.
    ServiceUnavailable | "ServiceUnavailableException",
    /// The signature does not match the credentials.
    SignatureDoesNotMatch,
    /// The server throttled the request.
    ThrottlingException | "Throttling" | "ThrottledException" | "TooManyRequestsException" | "SlowDown" | "BandwidthLimitExceeded" | "PriorRequestNotComplete" | "TransactionInProgressException",
    /// The batch has more than 10 entries.
    TooManyEntriesInBatchRequest,
    /// The queue or server does not support the action.
    UnsupportedOperation,
}

/// The prefix of the code that stands for a status without a code.
const UNNAMED: &str = "HTTP ";

impl ErrorCode {
    /// Returns the code of a response without a code.
    pub(crate) fn unnamed(status: u16) -> Self {
        Self::Other(format!("{UNNAMED}{status}"))
    }

    /// Returns the code of a batch entry without a code.
    pub(crate) fn unknown() -> Self {
        Self::Other("Unknown".to_owned())
    }

    pub(crate) fn is_unnamed(&self) -> bool {
        matches!(self, Self::Other(code) if code.starts_with(UNNAMED))
    }

    /// Returns `true` if the code signals throttling.
    pub(crate) fn is_throttling(&self) -> bool {
        matches!(
            self,
            Self::RequestThrottled | Self::ThrottlingException | Self::KmsThrottled
        )
    }

    /// Returns `true` if the code signals a transient fault, whatever the status.
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
    fn every_name_of_a_code_maps_to_one_variant() {
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
