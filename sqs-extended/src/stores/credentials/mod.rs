//! The credentials of stores that are opened by URL.

mod bounded;
#[cfg(feature = "s3")]
mod s3;

#[cfg(any(feature = "gcs", feature = "azure"))]
pub(super) use bounded::Bounded;
#[cfg(feature = "s3")]
pub(super) use s3::S3Credentials;
#[cfg(feature = "s3")]
pub(crate) use s3::SharedCredentials;
