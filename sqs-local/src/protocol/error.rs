//! AWS's errors: a table of codes for both protocols, and messages that several actions share.

use hyper::StatusCode;

/// An error code with its name in each protocol.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// The shape's name, for JSON's `__type`.
    pub(crate) json: &'static str,
    /// The Query protocol's code, also sent in `x-amzn-query-error`.
    pub(crate) query: &'static str,
    pub(crate) status: u16,
    /// `true` for codes of the service's model. Other codes come from AWS's common layer, which has another namespace.
    modeled: bool,
}

impl Code {
    const fn modeled(json: &'static str, query: &'static str, status: u16) -> Self {
        Self {
            json,
            query,
            status,
            modeled: true,
        }
    }

    const fn common(json: &'static str, query: &'static str, status: u16) -> Self {
        Self {
            json,
            query,
            status,
            modeled: false,
        }
    }

    /// Returns the value of JSON's `__type`.
    pub(crate) fn type_name(&self) -> String {
        let namespace = if self.modeled {
            "com.amazonaws.sqs"
        } else {
            "com.amazon.coral.service"
        };
        format!("{namespace}#{}", self.json)
    }
}

macro_rules! codes {
    ($kind:ident $all:ident: $($name:ident = ($json:literal, $query:literal, $status:literal);)*) => {
        $(pub(crate) static $name: Code = Code::$kind($json, $query, $status);)*
        /// All codes, for tests.
        #[cfg(test)]
        #[allow(dead_code)]
        pub(crate) static $all: &[&Code] = &[$(&$name),*];
    };
}

codes! { modeled MODELED:
    BATCH_IDS_NOT_DISTINCT = ("BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", 400);
    BATCH_TOO_LONG = ("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", 400);
    EMPTY_BATCH = ("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", 400);
    INVALID_ATTRIBUTE_NAME = ("InvalidAttributeName", "InvalidAttributeName", 400);
    INVALID_ATTRIBUTE_VALUE = ("InvalidAttributeValue", "InvalidAttributeValue", 400);
    INVALID_BATCH_ID = ("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId", 400);
    INVALID_CONTENTS = ("InvalidMessageContents", "InvalidMessageContents", 400);
    NOT_IN_FLIGHT = ("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", 400);
    OVER_LIMIT = ("OverLimit", "OverLimit", 403);
    PURGE_IN_PROGRESS = ("PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress", 403);
    QUEUE_DELETED_RECENTLY = ("QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently", 400);
    QUEUE_MISSING = ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", 400);
    QUEUE_EXISTS = ("QueueNameExists", "QueueAlreadyExists", 400);
    HANDLE_INVALID = ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 404);
    THROTTLED = ("RequestThrottled", "RequestThrottled", 403);
    RESOURCE_MISSING = ("ResourceNotFoundException", "ResourceNotFoundException", 404);
    TOO_MANY_ENTRIES = ("TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", 400);
    UNSUPPORTED = ("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", 400);
}

codes! { common COMMON:
    INVALID_PARAMETER = ("InvalidParameterValueException", "InvalidParameterValue", 400);
    MISSING_PARAMETER = ("MissingRequiredParameterException", "MissingParameter", 400);
    SERIALIZATION = ("SerializationException", "MalformedInput", 400);
    MISSING_ACTION = ("UnknownOperationException", "MissingAction", 400);
    UNKNOWN_ACTION = ("UnknownOperationException", "InvalidAction", 400);
    UNKNOWN_VERSION = ("UnknownOperationException", "NoSuchVersion", 400);
    TOO_LARGE = ("RequestEntityTooLargeException", "RequestEntityTooLarge", 413);
    INTERNAL = ("InternalFailure", "InternalError", 500);
    UNKNOWN_KEY = ("UnrecognizedClientException", "InvalidClientTokenId", 403);
    BAD_SIGNATURE = ("InvalidSignatureException", "SignatureDoesNotMatch", 403);
    UNSIGNED = ("MissingAuthenticationTokenException", "MissingAuthenticationToken", 403);
    INCOMPLETE_SIGNATURE = ("IncompleteSignatureException", "IncompleteSignature", 400);
    TOKEN_EXPIRED = ("ExpiredTokenException", "ExpiredToken", 403);
    THROTTLING = ("ThrottlingException", "Throttling", 400);
}

/// An error response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Error {
    pub(crate) code: &'static Code,
    pub(crate) message: String,
}

impl Error {
    pub(crate) fn new(code: &'static Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Returns `true` if the sender is at fault, which the status says.
    pub(crate) fn is_sender(&self) -> bool {
        self.code.status < 500
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(&INVALID_PARAMETER, message)
    }

    /// Creates AWS's error for a parameter with a bad value.
    pub(crate) fn invalid_value(value: impl std::fmt::Display, parameter: &str, reason: &str) -> Self {
        Self::invalid(format!(
            "Value {value} for parameter {parameter} is invalid. Reason: {reason}"
        ))
    }

    /// Creates AWS's error for a number outside its range, which some actions do not repeat in the message.
    pub(crate) fn out_of_range(parameter: &str, reason: &str) -> Self {
        Self::invalid(format!("Value for parameter {parameter} is invalid. Reason: {reason}"))
    }

    /// Creates AWS's error for a queue attribute with a bad value. An empty `reason` is left out.
    pub(crate) fn invalid_attribute(name: &str, reason: &str) -> Self {
        let message = match reason {
            "" => format!("Invalid value for the parameter {name}."),
            reason => format!("Invalid value for the parameter {name}. Reason: {reason}"),
        };
        Self::new(&INVALID_ATTRIBUTE_VALUE, message)
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        let message = format!("The request must contain the parameter {parameter}.");
        Self::new(&MISSING_PARAMETER, message)
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(&SERIALIZATION, message)
    }

    pub(crate) fn queue_missing() -> Self {
        Self::new(&QUEUE_MISSING, "The specified queue does not exist.")
    }

    pub(crate) fn handle_invalid(handle: &str) -> Self {
        let message = format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
        Self::new(&HANDLE_INVALID, message)
    }

    /// Creates AWS's error for a receipt handle that another queue returned.
    pub(crate) fn handle_foreign(handle: &str) -> Self {
        let message = format!("The receipt handle \"{handle}\" is not valid for this queue.");
        Self::new(&HANDLE_INVALID, message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(&UNSUPPORTED, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(&RESOURCE_MISSING, message)
    }

    pub(crate) fn internal() -> Self {
        let message = "We encountered an internal error. Please try again.";
        Self::new(&INTERNAL, message)
    }
}

pub(crate) type Result<T> = std::result::Result<T, Error>;
