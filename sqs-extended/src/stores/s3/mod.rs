//! S3 with checksums that the store verifies, on stores that accept them.

mod client;
mod guard;
mod integrity;
mod store;
mod upload;

pub(super) use client::ChecksummedS3;
pub(super) use integrity::uses_checksums;
