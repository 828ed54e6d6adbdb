//! Receipt handles that carry the pointer, as AWS's Java library gives them to its users.

use std::fmt;
use std::str::FromStr;

/// Stands before and after the bucket's name.
const BUCKET: &str = "-..s3BucketName..-";

/// Stands before and after the key.
const KEY: &str = "-..s3Key..-";

/// A receipt handle in the form that AWS's Java library, and others after it, give to their users: with the bucket and
/// the key before the queue's own handle. To take over from such a consumer what it received, or to hand it what was
/// received here.
///
/// `Display` writes the form, and `FromStr` reads it as Java's library does: the queue's own handle is all that
/// follows the second mark of the key.
///
/// A handle is a stranger's word as a pointer is: whether it names a payload that may be deleted is still to be asked.
///
/// ```
/// use sqs_extended::pointer::EmbeddedReceiptHandle;
///
/// let text = "-..s3BucketName..-my-bucket-..s3BucketName..--..s3Key..-my-key-..s3Key..-AQEB/x+w==";
/// let handle: EmbeddedReceiptHandle = text.parse().unwrap();
/// assert_eq!((handle.bucket(), handle.key(), handle.receipt_handle()), ("my-bucket", "my-key", "AQEB/x+w=="));
/// assert_eq!(handle.to_string(), text);
/// assert!("AQEB/x+w==".parse::<EmbeddedReceiptHandle>().is_err(), "of a message that is its own payload");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmbeddedReceiptHandle {
    bucket: String,
    key: String,
    receipt_handle: String,
}

impl EmbeddedReceiptHandle {
    /// Of a payload's bucket and key, and the queue's own receipt handle.
    ///
    /// # Errors
    ///
    /// A part is empty, or has a mark in it, so that it would be read as other parts.
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

    /// The bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The object's key within the bucket.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The queue's own receipt handle, to delete the message or change its visibility with.
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
        // Not the queue's own handle.
        f.debug_struct("EmbeddedReceiptHandle")
            .field("bucket", &self.bucket)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl FromStr for EmbeddedReceiptHandle {
    type Err = InvalidReceiptHandle;

    fn from_str(text: &str) -> Result<Self, InvalidReceiptHandle> {
        read(text).ok_or(InvalidReceiptHandle(()))
    }
}

fn read(text: &str) -> Option<EmbeddedReceiptHandle> {
    let (before, bucket, _) = between(text, BUCKET)?;
    let (before_key, key, receipt_handle) = between(text, KEY)?;
    // Java takes marks wherever they are, and writes them only so.
    let adjacent = before_key.len() == 2 * BUCKET.len() + bucket.len();
    let complete = !bucket.is_empty() && !key.is_empty() && !receipt_handle.is_empty();
    (before.is_empty() && adjacent && complete).then(|| EmbeddedReceiptHandle {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        receipt_handle: receipt_handle.to_owned(),
    })
}

/// What is before, between and after the first two marks. The second may overlap the first, as Java sees it: there is
/// nothing between them then.
fn between<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let first = text.find(mark)?;
    let second = first + 1 + text.get(first + 1..)?.find(mark)?;
    Some((
        text.get(..first)?,
        text.get(first + mark.len()..second)?,
        text.get(second + mark.len()..)?,
    ))
}

/// The text is not a receipt handle with a pointer in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidReceiptHandle(());

impl fmt::Display for InvalidReceiptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a receipt handle with a bucket and a key in it")
    }
}

impl std::error::Error for InvalidReceiptHandle {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_java_reads_otherwise_is_refused() {
        for (bucket, key, handle) in [
            ("", "k", "h"),
            ("b", "", "h"),
            ("b", "k", ""),
            (BUCKET, "k", "h"),
            (KEY, "k", "h"),
            ("b", KEY, "h"),
            // Marks that come about, or overlap, only where the parts are joined.
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
    fn marks_that_cannot_be_mistaken_are_taken() {
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
        // Pieces of marks, so that they come about.
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
        fn what_is_taken_is_read_back(bucket in part(), key in part(), handle in part()) {
            if let Ok(handle) = EmbeddedReceiptHandle::new(bucket, key, handle) {
                prop_assert_eq!(handle.to_string().parse(), Ok(handle));
            }
        }

        #[test]
        fn what_is_read_is_written_back(text in part()) {
            if let Ok(handle) = text.parse::<EmbeddedReceiptHandle>() {
                prop_assert_eq!(handle.to_string(), text);
            }
        }

        #[test]
        fn parts_without_marks_are_taken(bucket in "[a-z0-9-]{3,63}", key in "[a-zA-Z0-9/_-]{1,99}", handle in "[A-Za-z0-9+/=]{1,99}") {
            prop_assert!(EmbeddedReceiptHandle::new(bucket, key, handle).is_ok());
        }
    }
}
