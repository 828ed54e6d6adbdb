//! The one place in the store that may be written, fetched and deleted.

use object_store::ObjectStore;
use object_store::path::{Path, PathPart};
use percent_encoding::percent_decode;

use crate::error::{Error, ErrorKind};
use crate::pointer::Pointer;

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
    empty_segments: EmptySegments,
}

/// Whether a store can name keys with `//` in them, or `/` at their end. One that cannot takes them for other keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EmptySegments {
    No,
    /// Not at the end.
    Within,
    Anywhere,
}

impl EmptySegments {
    pub(crate) fn of(store: &dyn ObjectStore) -> Self {
        // Nothing else says what is behind a `dyn ObjectStore`. Stores that wrap another one and pass keys on as they are
        // show its name; those that change keys, such as `PrefixStore`, do not.
        let name = store.to_string();
        let is_one_of = |names: &[&str]| names.iter().any(|one| name.contains(one));
        if is_one_of(&["AmazonS3(", "GoogleCloudStorage(", "InMemory"]) {
            Self::Anywhere
        } else if is_one_of(&["MicrosoftAzure {"]) {
            // Its client leaves out the last slash.
            Self::Within
        } else {
            Self::No
        }
    }

    fn allow(self, key: &str) -> bool {
        match self {
            Self::No => !key.ends_with('/') && !key.contains("//"),
            Self::Within => !key.ends_with('/'),
            Self::Anywhere => true,
        }
    }
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
        Ok(Self {
            bucket,
            prefix,
            empty_segments: EmptySegments::No,
        })
    }

    pub(crate) fn with_empty_segments(self, empty_segments: EmptySegments) -> Self {
        Self { empty_segments, ..self }
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

    /// An untrusted sender's pointer as a key under the prefix. Other writers' keys may have characters and empty segments
    /// that ours never have.
    ///
    /// # Errors
    ///
    /// It names another bucket, a key outside the prefix, or one that some store could take for another key.
    pub(crate) fn resolve(&self, pointer: &Pointer) -> Result<Path, Error> {
        let refused = |why| Err(Error::plain(ErrorKind::RefusedPointer, why));
        if pointer.bucket != self.bucket {
            return refused("the pointer names another bucket than the configured one");
        }
        let key = &*pointer.key;
        match any_path(key) {
            None => refused(
                "the pointer's key starts with a slash, is too long, or has dot segments, backslashes or control characters",
            ),
            Some(_) if !key.starts_with(&self.prefix) || key.len() == self.prefix.len() => {
                refused("the pointer's key is outside the configured prefix")
            }
            Some(_) if !self.empty_segments.allow(key) => {
                refused("the pointer's key ends in a slash or has two in a row, which the store's client cannot name")
            }
            Some(path) => Ok(path),
        }
    }
}

/// A key of any writer as it is, or `None` if some store could take it for a key in another folder.
pub(crate) fn any_path(key: &str) -> Option<Path> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES || can_step_out(key) {
        return None;
    }
    let mut segments = key.split('/');
    let path = segments.try_fold(Path::ROOT, |path, segment| {
        Some(path.join(PathPart::parse(segment).ok()?))
    })?;
    // A path cannot begin with a slash.
    Some(path).filter(|path| path.as_ref() == key)
}

/// Returns `true` if the key has dot segments, backslashes or control characters, or has them once somebody on the way to
/// the store has decoded its percent signs, however often.
fn can_step_out(key: &str) -> bool {
    let mut decoded = key.as_bytes().to_vec();
    loop {
        let Ok(text) = std::str::from_utf8(&decoded) else {
            return true;
        };
        let is_dots = |segment| segment == "." || segment == "..";
        if text.contains(|c: char| c == '\\' || c.is_ascii_control()) || text.split('/').any(is_dots) {
            return true;
        }
        let next: Vec<u8> = percent_decode(&decoded).collect();
        if next.len() == decoded.len() {
            return false;
        }
        decoded = next;
    }
}

/// The key as a path that means the same in every store, or `None`: one of ours.
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
            ("bucket", "payloads/../k"),
            ("bucket", "payloads/./k"),
            ("bucket", "payloads//k"),
            ("bucket", "payloads/k/"),
            ("bucket", "payloads/.."),
            ("bucket", "payloads/%2e%2e/k"),
            ("bucket", "payloads/%252e%252e/k"),
            ("bucket", "payloads/%25252e./k"),
            ("bucket", "payloads/a%2f..%2f..%2fk"),
            ("bucket", "payloads//../k"),
            ("bucket", "payloads/%5c..%5ck"),
            ("bucket", "payloads/%00"),
            ("bucket", "payloads/%2500"),
            ("bucket", "payloads/%c0%ae%c0%ae/k"),
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
    fn other_writers_keys_resolve_as_they_are() {
        let location = location().with_empty_segments(EmptySegments::Anywhere);
        for key in [
            "a%2Fb",
            "50% off",
            "100%25",
            "%",
            "%zz",
            "/k",
            "k/",
            "k//",
            "a///b",
            "caf%C3%A9",
            "...",
            "a..b",
        ] {
            let key = format!("payloads/{key}");
            let resolved = location.resolve(&Pointer::new("bucket", &*key)).unwrap();
            assert_eq!(resolved.as_ref(), key);
        }
        let within = location.with_empty_segments(EmptySegments::Within);
        assert!(within.resolve(&Pointer::new("bucket", "payloads//k")).is_ok());
        assert!(within.resolve(&Pointer::new("bucket", "payloads/k/")).is_err());
    }

    #[test]
    fn a_wrapped_store_names_what_the_wrapped_one_does() {
        let memory = object_store::memory::InMemory::new;
        let of = |store: &dyn ObjectStore| EmptySegments::of(store);
        assert_eq!(of(&memory()), EmptySegments::Anywhere);
        assert_eq!(
            of(&object_store::limit::LimitStore::new(memory(), 1)),
            EmptySegments::Anywhere
        );
        assert_eq!(
            of(&object_store::prefix::PrefixStore::new(memory(), "p")),
            EmptySegments::No
        );
        assert_eq!(of(&object_store::local::LocalFileSystem::new()), EmptySegments::No);
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
