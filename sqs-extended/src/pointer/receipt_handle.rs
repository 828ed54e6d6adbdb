//! Receipt handles with an embedded pointer, in the format of AWS's Java library.

use std::fmt;
use std::str::FromStr;

/// The marker before and after the bucket's name.
const BUCKET: &str = "-..s3BucketName..-";

/// The marker before and after the key.
const KEY: &str = "-..s3Key..-";

/// A receipt handle with an embedded pointer: the bucket and the key precede the queue's own handle.
///
/// [AWS's Java library](https://github.com/awslabs/amazon-sqs-java-extended-client-lib) and other libraries return such
/// handles to their users. Use this type to exchange received messages with their consumers.
///
/// `Display` writes the format, and `FromStr` reads it as Java's library does. The queue's own handle is the text after the
/// second marker of the key.
///
/// Like a pointer, a handle comes from an untrusted sender. Verify that the payload may be deleted before you delete
/// it.
///
/// ```
/// use sqs_extended::pointer::EmbeddedReceiptHandle;
///
/// let text = "-..s3BucketName..-my-bucket-..s3BucketName..--..s3Key..-my-key-..s3Key..-AQEB/x+w==";
/// let handle: EmbeddedReceiptHandle = text.parse().unwrap();
/// assert_eq!((handle.bucket(), handle.key(), handle.receipt_handle()), ("my-bucket", "my-key", "AQEB/x+w=="));
/// assert_eq!(handle.to_string(), text);
/// assert!("AQEB/x+w==".parse::<EmbeddedReceiptHandle>().is_err(), "the handle of a message without a pointer");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmbeddedReceiptHandle {
    bucket: String,
    key: String,
    receipt_handle: String,
}

impl EmbeddedReceiptHandle {
    /// Combines a payload's bucket and key with the queue's own receipt handle.
    ///
    /// # Errors
    ///
    /// Returns an error if a part is empty, or if the markers in it would make the result ambiguous.
    pub fn new(
        bucket: impl Into<String>,
        key: impl Into<String>,
        receipt_handle: impl Into<String>,
    ) -> Result<Self, InvalidReceiptHandle> {
        let handle = Self {
            bucket: bucket.into(),
            key: key.into(),
            receipt_handle: receipt_handle.into(),
        };
        if handle.to_string().parse().as_ref() == Ok(&handle) {
            Ok(handle)
        } else {
            Err(InvalidReceiptHandle(()))
        }
    }

    /// Returns the bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Returns the object's key within the bucket.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the queue's own receipt handle, which deletes the message or changes its visibility.
    #[must_use]
    pub fn receipt_handle(&self) -> &str {
        &self.receipt_handle
    }
}

impl fmt::Display for EmbeddedReceiptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bucket,
            key,
            receipt_handle,
        } = self;
        write!(f, "{BUCKET}{bucket}{BUCKET}{KEY}{key}{KEY}{receipt_handle}")
    }
}

impl fmt::Debug for EmbeddedReceiptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Omits the queue's own handle, which allows deleting the message.
        f.debug_struct("EmbeddedReceiptHandle")
            .field("bucket", &self.bucket)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl FromStr for EmbeddedReceiptHandle {
    type Err = InvalidReceiptHandle;

    fn from_str(text: &str) -> Result<Self, InvalidReceiptHandle> {
        parse(text).ok_or(InvalidReceiptHandle(()))
    }
}

fn parse(text: &str) -> Option<EmbeddedReceiptHandle> {
    let (before, bucket, _) = split_at_markers(text, BUCKET)?;
    let (before_key, key, receipt_handle) = split_at_markers(text, KEY)?;
    // Java's library reads markers anywhere, but writes them only in this order.
    let is_adjacent = before_key.len() == 2 * BUCKET.len() + bucket.len();
    let is_complete = !bucket.is_empty() && !key.is_empty() && !receipt_handle.is_empty();
    (before.is_empty() && is_adjacent && is_complete).then(|| EmbeddedReceiptHandle {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        receipt_handle: receipt_handle.to_owned(),
    })
}

/// Splits the text at its first two markers. As in Java's library, the second marker may overlap the first, which makes
/// the text invalid.
fn split_at_markers<'a>(text: &'a str, marker: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let first = text.find(marker)?;
    let second = first + 1 + text.get(first + 1..)?.find(marker)?;
    Some((
        text.get(..first)?,
        text.get(first + marker.len()..second)?,
        text.get(second + marker.len()..)?,
    ))
}

/// The error of parsing a text that is not a receipt handle with an embedded pointer.
///
/// ```
/// use sqs_extended::pointer::{EmbeddedReceiptHandle, InvalidReceiptHandle};
///
/// let parsed: Result<EmbeddedReceiptHandle, InvalidReceiptHandle> = "AQEB/x+w==".parse();
/// assert!(parsed.is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidReceiptHandle(());

impl fmt::Display for InvalidReceiptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is not a receipt handle with an embedded bucket and key")
    }
}

impl std::error::Error for InvalidReceiptHandle {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_that_java_would_read_differently_are_refused() {
        for (bucket, key, handle) in [
            ("", "k", "h"),
            ("b", "", "h"),
            ("b", "k", ""),
            (BUCKET, "k", "h"),
            (KEY, "k", "h"),
            ("b", KEY, "h"),
            // Markers that appear or overlap only once the parts are joined.
            ("..s3BucketName..-", "k", "h"),
            ("-..s3BucketName..", "k", "h"),
            ("b-..s3Key..", "k", "h"),
            ("b", "..s3Key..-", "h"),
            ("b", "-..s3Key..", "h"),
        ] {
            assert!(
                EmbeddedReceiptHandle::new(bucket, key, handle).is_err(),
                "{bucket} {key} {handle}"
            );
        }
    }

    #[test]
    fn unambiguous_markers_are_accepted() {
        for (bucket, key, handle) in [
            ("b", BUCKET, "h"),
            ("b", "k", KEY),
            ("b", "k", BUCKET),
            ("b", "k/..s3Key..", "..s3Key..-"),
        ] {
            EmbeddedReceiptHandle::new(bucket, key, handle).unwrap();
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let right = EmbeddedReceiptHandle::new("b", "k", "h").unwrap().to_string();
        for text in [
            "",
            "AQEB/x+w==",
            BUCKET,
            KEY,
            &BUCKET.repeat(1000),
            &KEY.repeat(1000),
            &format!("x{right}"),
            &format!("{KEY}k{KEY}{BUCKET}b{BUCKET}h"),
            &format!("{BUCKET}b{BUCKET}x{KEY}k{KEY}h"),
            &format!("{BUCKET}b{KEY}k{KEY}h"),
            &format!("{BUCKET}b{BUCKET}{KEY}k-h"),
        ] {
            assert!(text.parse::<EmbeddedReceiptHandle>().is_err(), "{text:.200}");
        }
    }

    #[test]
    fn debug_shows_no_receipt_handle() {
        let handle = EmbeddedReceiptHandle::new("b", "k", "secret").unwrap();
        assert!(!format!("{handle:?}").contains("secret"));
    }

    fn part() -> impl Strategy<Value = String> {
        // Pieces of markers, so that joining them can form markers.
        prop::collection::vec(
            prop_oneof![
                Just(BUCKET.to_owned()),
                Just(KEY.to_owned()),
                Just("..s3Key..-".to_owned()),
                Just("-..s3BucketName..".to_owned()),
                "[a-z/+=é-]{0,9}",
            ],
            0..4,
        )
        .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn every_accepted_handle_survives_a_round_trip(bucket in part(), key in part(), handle in part()) {
            if let Ok(handle) = EmbeddedReceiptHandle::new(bucket, key, handle) {
                prop_assert_eq!(handle.to_string().parse(), Ok(handle));
            }
        }

        #[test]
        fn every_parsed_text_is_written_back(text in part()) {
            if let Ok(handle) = text.parse::<EmbeddedReceiptHandle>() {
                prop_assert_eq!(handle.to_string(), text);
            }
        }

        #[test]
        fn parts_without_markers_are_accepted(bucket in "[a-z0-9-]{3,63}", key in "[a-zA-Z0-9/_-]{1,99}", handle in "[A-Za-z0-9+/=]{1,99}") {
            prop_assert!(EmbeddedReceiptHandle::new(bucket, key, handle).is_ok());
        }
    }
}
