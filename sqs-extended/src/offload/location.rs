//! The one place in the store that may be written, fetched and deleted.

use object_store::path::Path;

use crate::envelope::Pointer;
use crate::error::{Error, ErrorKind};

/// S3's limit for a key.
const MAX_KEY_BYTES: usize = 1024;

/// Room for a key's id after the prefix; a UUID takes 36.
const ID_BYTES: usize = 64;

/// More than any store allows for a bucket's name.
const MAX_BUCKET_BYTES: usize = 255;

/// A bucket and the prefix of all keys in it that are ours.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    bucket: String,
    prefix: String,
}

impl Location {
    /// # Errors
    ///
    /// The bucket has no name, or the prefix makes keys that would be refused on receive.
    pub(crate) fn new(bucket: String, prefix: String) -> Result<Self, Error> {
        if bucket.is_empty() || bucket.len() > MAX_BUCKET_BYTES || bucket.contains(char::is_control) {
            return Err(Error::invalid(
                "the bucket's name is empty, too long or has control characters",
            ));
        }
        if prefix.len() + ID_BYTES > MAX_KEY_BYTES || parse_key(&format!("{prefix}x")).is_none() {
            return Err(Error::invalid(
                "the prefix is too long, starts with a slash, or has empty or dot segments, control characters, \
                 backslashes or percent signs",
            ));
        }
        Ok(Self { bucket, prefix })
    }

    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of a new payload.
    ///
    /// # Errors
    ///
    /// With this id it would be one that is refused on receive.
    pub(crate) fn key(&self, id: &str) -> Result<Path, Error> {
        parse_key(&format!("{}{id}", self.prefix))
            .ok_or_else(|| Error::invalid("the payload's key is not a plain path"))
    }

    /// The stranger's pointer as a key of ours, if that is what it is.
    ///
    /// # Errors
    ///
    /// It names another bucket, a key outside the prefix, or one that some store could take for another key.
    pub(crate) fn resolve(&self, pointer: &Pointer) -> Result<Path, Error> {
        let refused = |why| Err(Error::plain(ErrorKind::RefusedPointer, why));
        if pointer.bucket != self.bucket {
            return refused("the pointer names another bucket than the configured one");
        }
        match parse_key(&pointer.key) {
            None => refused("the pointer's key is not a plain path"),
            Some(_) if !pointer.key.starts_with(&self.prefix) => {
                refused("the pointer's key is outside the configured prefix")
            }
            Some(path) => Ok(path),
        }
    }
}

/// The key as a path that means the same in every store, or `None`.
///
/// Percent signs and backslashes are ordinary characters to S3, but other stores and file systems decode the one and
/// split at the other, which would let a key step out of the prefix.
fn parse_key(key: &str) -> Option<Path> {
    if key.len() > MAX_KEY_BYTES || key.contains(['%', '\\']) {
        return None;
    }
    // Parsing drops a leading or trailing slash; such a key is not the path.
    Path::parse(key)
        .ok()
        .filter(|path| !key.is_empty() && path.as_ref() == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location() -> Location {
        Location::new("bucket".to_owned(), "payloads/".to_owned()).unwrap()
    }

    #[test]
    fn own_keys_resolve() {
        let key = location().key("11d1a8ac").unwrap();
        assert_eq!(key.as_ref(), "payloads/11d1a8ac");
        let resolved = location().resolve(&Pointer::new("bucket", key.as_ref()));
        assert_eq!(resolved.unwrap(), key);
    }

    #[test]
    fn whatever_prefix_is_taken_its_keys_are_its_own() {
        for prefix in ["p", "p-", "p/", "p/q/", "é{}[]^~#|*?\"<> '+&=;:,@$/"] {
            let location = Location::new("bucket".to_owned(), prefix.to_owned()).unwrap();
            let key = location.key("k").unwrap();
            assert_eq!(key.as_ref(), format!("{prefix}k"));
            assert_eq!(location.resolve(&Pointer::new("bucket", key.as_ref())).unwrap(), key);
        }
    }

    #[test]
    fn strangers_are_refused() {
        let long = format!("payloads/{}", "k".repeat(MAX_KEY_BYTES));
        for (bucket, key) in [
            ("other", "payloads/k"),
            ("Bucket", "payloads/k"),
            ("bucket/", "payloads/k"),
            ("", "payloads/k"),
            ("bucket", ""),
            ("bucket", "k"),
            ("bucket", "payloads"),
            ("bucket", "payloads/"),
            ("bucket", "payloadsk"),
            ("bucket", "/payloads/k"),
            ("bucket", "payloads/k/"),
            ("bucket", "payloads//k"),
            ("bucket", "payloads/../k"),
            ("bucket", "payloads/./k"),
            ("bucket", "payloads/.."),
            ("bucket", "payloads/%2e%2e/k"),
            ("bucket", "payloads/%252e%252e/k"),
            ("bucket", "payloads\\..\\k"),
            ("bucket", "payloads/..\\k"),
            ("bucket", "payloads/\0k"),
            ("bucket", "payloads/k\n"),
            ("bucket", &long),
        ] {
            let error = location().resolve(&Pointer::new(bucket, key)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RefusedPointer, "{bucket} {key}");
        }
    }

    #[test]
    fn without_a_prefix_the_whole_bucket_is_ours_and_no_more() {
        let location = Location::new("bucket".to_owned(), String::new()).unwrap();
        assert!(location.resolve(&Pointer::new("bucket", "any/k")).is_ok());
        assert!(location.resolve(&Pointer::new("bucket", "../k")).is_err());
    }

    #[test]
    fn a_prefix_that_makes_bad_keys_is_refused() {
        let long = "p".repeat(MAX_KEY_BYTES);
        for prefix in ["/", "/p/", "p//", "../", "p/./", "p%/", "p\\", "p\n", &long] {
            assert!(
                Location::new("bucket".to_owned(), prefix.to_owned()).is_err(),
                "{prefix}"
            );
        }
        assert!(Location::new(String::new(), String::new()).is_err());
    }
}
