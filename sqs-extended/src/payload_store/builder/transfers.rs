//! The settings of transfers.

use std::sync::Arc;

use object_store::multipart::MultipartStore;

use crate::error::Error;
use crate::payload_store::builder::PayloadStoreBuilder;
#[cfg(feature = "_http")]
use crate::stores::StoreConnector;
use crate::transfer::part_plan::{MAX_PART_SIZE, MIN_PART_SIZE};

impl PayloadStoreBuilder {
    /// The default of [`transfer_memory`](Self::transfer_memory): 64 MiB.
    pub const DEFAULT_TRANSFER_MEMORY: u64 = 64 * 1024 * 1024;

    /// The minimum of [`transfer_memory`](Self::transfer_memory): 16 MiB.
    pub const MIN_TRANSFER_MEMORY: u64 = 16 * 1024 * 1024;

    /// Sets the memory that all transfers of this store share, in bytes. Default:
    /// [`DEFAULT_TRANSFER_MEMORY`](Self::DEFAULT_TRANSFER_MEMORY). Range: at least
    /// [`MIN_TRANSFER_MEMORY`](Self::MIN_TRANSFER_MEMORY).
    ///
    /// The store chooses the number and the size of parts within this memory, from the delay and the rate that it measures.
    /// More memory helps if the link is both far and fast: a download over a link of 1 GB/s with a delay of 100 ms has
    /// about 100 MB in flight. The memory is allocated while it is needed, and freed when no transfer is in progress.
    ///
    /// It contains the buffers of parts and of their connections, and bytes that a reader keeps. Each transfer uses up to 1
    /// MiB beyond it, so that it continues even if other transfers use all of it. If a payload's source needs more than 2
    /// seconds for a part, the part does not count until it is complete, so that it holds up no other upload. Payloads that
    /// are in memory anyway do not count.
    pub fn transfer_memory(mut self, bytes: u64) -> Self {
        self.transfer_memory = bytes;
        self
    }

    /// Sets the number of concurrent requests that download one payload. Default: the link decides, from 1 for a near store
    /// to 64 for a far one. Range: at least 1. All transfers of a store share 64, but each always has one.
    ///
    /// With 1, a single request fetches the whole payload.
    pub fn download_concurrency(mut self, requests: usize) -> Self {
        self.download.concurrency = Some(requests);
        self
    }

    /// Sets the size of the parts that a payload is downloaded in, in bytes. Default: the link decides, from 2 to 32 MiB. Range: at
    /// least 1.
    ///
    /// A payload of at most one part is fetched by a single request. A download to a file rounds the size up to whole MiB.
    pub fn download_part_size(mut self, bytes: u64) -> Self {
        self.download.part_size = Some(bytes);
        self
    }

    /// Sets the store that makes [resumable](crate::ExtendedMessage::resumable_upload) uploads. Default: the store itself if
    /// an `s3:` URL opened it, otherwise none.
    ///
    /// It must be a clone of the store of this builder. A payload in any other store is never found, although sending
    /// succeeds. Its uploads must outlive the process, as those of object_store's `AmazonS3` do. `LocalFileSystem` has none.
    ///
    /// ```
    /// use object_store::memory::InMemory;
    /// use sqs_extended::PayloadStore;
    ///
    /// # fn main() -> Result<(), sqs_extended::Error> {
    /// // In practice an `AmazonS3`, whose clones share their connections.
    /// let store = InMemory::new();
    /// let payloads = PayloadStore::builder(store.clone(), "my-bucket").multipart_store(store).build()?;
    /// # Ok(()) }
    /// ```
    pub fn multipart_store(mut self, store: impl MultipartStore) -> Self {
        self.multipart = Some(Arc::new(store));
        self
    }

    /// Sets whether [`download_to`](crate::ExtendedDelivery::download_to) keeps its temporary file if it ends early in a
    /// process that continues. Default: `false`, which removes the file after an error or a drop. The file of a killed
    /// process always stays.
    ///
    /// With `true`, a repeated call continues, in this process or in one that starts after a graceful shutdown. The file
    /// `.name.part` and its journal `.name.part.journal` then stay beside the path, as large as the part of the payload that
    /// was fetched. The next download to the same path continues or removes them. If there is none, remove them yourself. They
    /// are also removed if the bytes turn out to be wrong, or if the object is replaced during the download. They stay if the
    /// store no longer has the payload, or has one of another length.
    ///
    /// This has an effect only on the payloads that [`download_to`](crate::ExtendedDelivery::download_to) continues.
    /// Dropping its future waits for a read or a write in progress, of up to 1 MiB.
    pub fn keep_partial_downloads(mut self, on: bool) -> Self {
        self.download.keep_partial = on;
        self
    }

    /// Sets the size of an upload's parts, in bytes. Default: 5 MiB, or more for long payloads. Range: 5 MiB to 5 GiB, the limits
    /// of S3.
    ///
    /// A payload that fits into one part is stored by a single request, unless its upload is resumable. An upload has up to
    /// 10,000 parts. By default a payload of more than 48 GiB gets larger ones, and one of unknown length gets parts that
    /// double with every 1,000. Of the parts that exceed an eighth of [`transfer_memory`](Self::transfer_memory), one at a
    /// time may use memory beyond it. A payload of unknown length fails if it is longer than 10,000 parts of a size that is set.
    ///
    /// A crash during an upload leaves parts in the store, which cost money and appear in no listing of objects. Give the
    /// bucket a lifecycle rule with `AbortIncompleteMultipartUpload`.
    pub fn part_size(mut self, bytes: u64) -> Self {
        self.upload.part_size = Some(bytes);
        self
    }

    /// Sets the maximum number of parts of one upload that are in flight at a time. Default: the link decides. Range: at least 1.
    ///
    /// [`transfer_memory`](Self::transfer_memory) limits it too. All transfers of a store share 64 requests, but each always
    /// has one.
    pub fn concurrency(mut self, parts: usize) -> Self {
        self.upload.concurrency = Some(parts);
        self
    }

    /// Names the connector that the object store was built with. Default: the connector of a store that
    /// [`PayloadStore::from_url`](crate::PayloadStore::from_url) opened, otherwise none.
    ///
    /// object_store repeats a request to which the store responds with 503 (SlowDown) or 429, and does not report it. The
    /// connector sees these responses, so that transfers make fewer requests at a time until the store keeps up. A clone
    /// of the connector serves as well as the connector itself.
    ///
    /// ```
    /// use object_store::aws::AmazonS3Builder;
    /// use sqs_extended::PayloadStore;
    /// use sqs_extended::store::StoreConnector;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let connector = StoreConnector::new();
    /// let store = AmazonS3Builder::new()
    ///     .with_http_connector(connector.clone())
    ///     .with_bucket_name("my-bucket")
    ///     .with_region("eu-west-1")
    ///     .build()?;
    /// let payloads = PayloadStore::builder(store, "my-bucket").connector(&connector).build()?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "_http")]
    pub fn connector(mut self, connector: &StoreConnector) -> Self {
        self.pressure = Some(connector.pressure());
        self
    }

    pub(super) fn check_transfers(&self) -> Result<(), Error> {
        let in_range = |size| (MIN_PART_SIZE..=MAX_PART_SIZE).contains(&size);
        if !self.upload.part_size.is_none_or(in_range) {
            return Err(Error::invalid(format!(
                "the part size is out of range; use {MIN_PART_SIZE} to {MAX_PART_SIZE} bytes"
            )));
        }
        if self.upload.concurrency == Some(0) {
            return Err(Error::invalid("the upload concurrency must be at least 1"));
        }
        if self.download.concurrency == Some(0) || self.download.part_size == Some(0) {
            return Err(Error::invalid("download concurrency and part size must be at least 1"));
        }
        if self.transfer_memory < Self::MIN_TRANSFER_MEMORY {
            return Err(Error::invalid(format!(
                "the memory for transfers is too little; allow at least {} bytes",
                Self::MIN_TRANSFER_MEMORY
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::payload_store::PayloadStore;

    #[test]
    fn settings_out_of_range_are_refused() {
        let builder = || PayloadStore::builder(InMemory::new(), "bucket");
        let memory = PayloadStoreBuilder::MIN_TRANSFER_MEMORY;
        for right in [builder().part_size(MAX_PART_SIZE), builder().transfer_memory(memory)] {
            assert!(right.build().is_ok());
        }
        for wrong in [
            builder().part_size(MIN_PART_SIZE - 1),
            builder().part_size(MAX_PART_SIZE + 1),
            builder().concurrency(0),
            builder().download_concurrency(0),
            builder().download_part_size(0),
            builder().transfer_memory(memory - 1),
        ] {
            assert!(wrong.build().is_err());
        }
    }
}
