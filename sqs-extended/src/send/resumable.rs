//! The requirements of resumable uploads.

use crate::error::Error;
use crate::payload::source::{Payload, Source};
use crate::payload_store::UploadOptions;
use crate::shared::Shared;

/// Checks, without I/O, that the upload is resumable if it has a journal.
///
/// # Errors
///
/// It is not. The error says what to change.
pub(super) fn check_resumable(shared: &Shared, payload: &Payload, upload: &UploadOptions) -> Result<(), Error> {
    if upload.journal.is_none() {
        return Ok(());
    }
    if upload.key.is_none() {
        return Err(Error::invalid(
            "a resumable upload requires a key that the next attempt can use again; set `payload_key`",
        ));
    }
    if payload.len.is_none() || !matches!(payload.source, Source::File(_)) {
        return Err(Error::invalid(
            "a resumable upload requires a regular file; use `Payload::from_path`",
        ));
    }
    if !shared.codec.is_plain() {
        return Err(Error::invalid(
            "a resumable upload cannot be compressed or encrypted; use a client without these settings of `codec`",
        ));
    }
    let payloads = shared.payloads.as_ref().filter(|_| shared.policy.may_offload());
    let Some(payloads) = payloads else {
        return Err(Error::invalid(
            "a resumable upload requires a payload store; choose a strategy that offloads",
        ));
    };
    payloads.check_resumable()
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use crate::client::ExtendedClient;
    use crate::error::ErrorKind;
    use crate::payload::Payload;
    use crate::payload::digest::DigestAlgorithm;
    use crate::payload_store::{PayloadStore, PayloadStoreBuilder};
    use crate::send::{ExtendedMessage, Strategy};
    use crate::testing::{TestStore, refused_client};

    /// Sends to a queue that refuses connections.
    async fn error(payloads: PayloadStoreBuilder, strategy: Strategy, message: ExtendedMessage) -> String {
        let builder = ExtendedClient::builder(refused_client()).payload_store(payloads.build().unwrap());
        let extended = builder.strategy(strategy).threshold(0).build().unwrap();
        let sent = extended.send_messages("http://127.0.0.1:1/q", [message]).await;
        let error = sent.into_iter().next().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        error.to_string()
    }

    #[tokio::test]
    async fn an_upload_that_is_not_resumable_says_why_before_any_request() {
        let store = TestStore::default();
        let folder = tempfile::tempdir().unwrap();
        let (path, journal) = (folder.path().join("file"), folder.path().join("journal"));
        std::fs::write(&path, vec![0; 3 << 20]).unwrap();
        let payloads = || PayloadStore::builder(store.clone(), "bucket");
        let good = || payloads().multipart_store(InMemory::new());
        let file = async || Payload::from_path(&path).await.unwrap();
        let resumable = |payload: Payload| ExtendedMessage::new(payload).resumable_upload(&journal);
        let keyed = |payload: Payload| resumable(payload).payload_key("k");
        let offload = Strategy::Offload;

        let cases = [
            (good(), offload, resumable(file().await), "`payload_key`"),
            (good(), offload, keyed("text".into()), "`Payload::from_path`"),
            (payloads(), offload, keyed(file().await), "`multipart_store`"),
            (good(), Strategy::Split, keyed(file().await), "strategy"),
            (
                good().part_size((5 << 20) + 1),
                offload,
                keyed(file().await),
                "`part_size`",
            ),
            (
                good().digest(DigestAlgorithm::Sha256),
                offload,
                keyed(file().await),
                "BLAKE3",
            ),
        ];
        for (payloads, strategy, message, expected) in cases {
            let error = error(payloads, strategy, message).await;
            assert!(error.contains(expected), "{error}");
        }
        #[cfg(feature = "zstd")]
        {
            let codec = crate::codec::Codec::new().compression(crate::codec::Compression::zstd(3));
            let error = error(good().codec(codec), offload, keyed(file().await)).await;
            assert!(error.contains("`codec`"), "{error}");
        }
        assert_eq!(store.total_calls(), 0);
        assert!(!journal.exists());
    }
}
