//! A payload's bytes as they arrive.

use bytes::Bytes;
use futures::stream::BoxStream;

use crate::error::Error;

/// Chunks of a payload, in order. Chunks received before an error are not verified.
pub(crate) type Chunks = BoxStream<'static, Result<Bytes, Error>>;
