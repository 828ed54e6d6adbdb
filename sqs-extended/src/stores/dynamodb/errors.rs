//! DynamoDB's failures as object_store's errors.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use object_store::path::Path;
use object_store::{Error, PutMode};

pub(super) const STORE: &str = "DynamoDB";

/// Returns the item that failed the condition of a write, or `None` for any other failure.
pub(super) fn failed_condition<R>(
    error: &SdkError<PutItemError, R>,
) -> Option<Option<&HashMap<String, AttributeValue>>> {
    match error.as_service_error()? {
        PutItemError::ConditionalCheckFailedException(failure) => Some(failure.item()),
        _ => None,
    }
}

pub(super) fn conflict(key: &Path, mode: &PutMode) -> Error {
    let path = key.to_string();
    match mode {
        PutMode::Create => Error::AlreadyExists {
            path,
            source: "the table already has an object with this key".into(),
        },
        _ => Error::Precondition {
            path,
            source: "the object has another ETag".into(),
        },
    }
}

/// A failure of the service or of the connection to it.
pub(super) fn failed<E, R>(key: &str, error: &SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: fmt::Debug,
{
    // The SDK's `Display` names no cause, and its `Debug` contains the request's content.
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    let path = key.to_owned();
    match error.code() {
        Some("AccessDeniedException") => Error::PermissionDenied {
            path,
            source: message.into(),
        },
        Some("UnrecognizedClientException" | "ExpiredTokenException" | "InvalidSignatureException") => {
            Error::Unauthenticated {
                path,
                source: message.into(),
            }
        }
        _ => Error::Generic {
            store: STORE,
            source: message.into(),
        },
    }
}

/// An item that this crate did not write.
pub(super) fn malformed(attribute: &str) -> Error {
    Error::Generic {
        store: STORE,
        source: format!(
            "the table has an item without a valid attribute `{attribute}`; use a table of its own for payloads"
        )
        .into(),
    }
}
