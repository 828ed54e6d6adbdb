//! The bucket and the key prefix that payloads are confined to.

use object_store::ObjectStore;
use object_store::path::{Path, PathPart};
use percent_encoding::percent_decode;

use crate::error::{Error, ErrorKind};
use crate::pointer::Pointer;

/// S3's limit for a key.
const MAX_KEY_BYTES: usize = 1024;

/// The maximum length of an id after the prefix. A UUID has 36 bytes.
const ID_BYTES: usize = 64;

/// The maximum length of a bucket's name, which is more than any store allows.
const MAX_BUCKET_BYTES: usize = 255;

/// The part of an untrusted bucket name that errors show: S3's limit for a name.
const MAX_SHOWN_BUCKET_CHARS: usize = 63;

/// A bucket, and the prefix of all payload keys in it.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    bucket: String,
    prefix: String,
    empty_segments: EmptySegments,
}

/// The support of a store for keys that contain `//` or end in `/`. A store without it confuses them with other keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EmptySegments {
    No,
    /// Anywhere but at the end.
    Within,
    Anywhere,
}

impl EmptySegments {
    pub(crate) fn detect(store: &dyn ObjectStore) -> Self {
        // Only its name tells the kind of a `dyn ObjectStore`. Wrappers that pass keys unchanged include the name of the
        // wrapped store. Wrappers that change keys, such as `PrefixStore`, do not.
        let name = store.to_string();
        let is_one_of = |names: &[&str]| names.iter().any(|one| name.contains(one));
        if is_one_of(&["AmazonS3(", "GoogleCloudStorage(", "InMemory"]) {
            Self::Anywhere
        } else if is_one_of(&["MicrosoftAzure {"]) {
            // Its client drops the last slash.
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
    /// Creates the location.
    ///
    /// # Errors
    ///
    /// The bucket has no name, or a receive would refuse keys with this prefix.
    pub(crate) fn new(bucket: String, prefix: String) -> Result<Self, Error> {
        if bucket.is_empty() || bucket.len() > MAX_BUCKET_BYTES || bucket.contains(char::is_control) {
            return Err(Error::invalid(
                "the bucket's name is empty, too long or contains control characters",
            ));
        }
        if prefix.len() + ID_BYTES > MAX_KEY_BYTES || parse_key(&format!("{prefix}x")).is_none() {
            return Err(Error::invalid(
                "the prefix is too long, starts with a slash, or contains empty or dot segments, control characters, \
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

    /// Returns the key of a new payload.
    ///
    /// # Errors
    ///
    /// A receive would refuse the key.
    pub(crate) fn key(&self, id: &str) -> Result<Path, Error> {
        parse_key(&format!("{}{id}", self.prefix))
            .ok_or_else(|| Error::invalid("the payload's key is not a plain path, or is longer than 1,024 bytes"))
    }

    /// Names both buckets. The sender's is escaped and truncated, because it is untrusted.
    fn another_bucket(&self, named: &str) -> Error {
        let named: String = named.chars().take(MAX_SHOWN_BUCKET_CHARS).collect();
        let why = format!(
            "the pointer names bucket {named:?}, but the payload store's bucket is {:?}",
            self.bucket
        );
        Error::plain(ErrorKind::RefusedPointer, why)
    }

    /// Resolves an untrusted sender's pointer to a key under the prefix. The keys of other libraries may contain characters
    /// and empty segments that ours never do.
    ///
    /// # Errors
    ///
    /// The pointer names another bucket, a key outside the prefix, or a key that some store could take for another one.
    pub(crate) fn resolve(&self, pointer: &Pointer) -> Result<Path, Error> {
        if pointer.bucket != self.bucket {
            return Err(self.another_bucket(&pointer.bucket));
        }
        let refused = |why| Err(Error::plain(ErrorKind::RefusedPointer, why));
        let key = &*pointer.key;
        match any_path(key) {
            None => refused(
                "the pointer's key starts with a slash, is too long, or contains dot segments, backslashes or control characters",
            ),
            Some(_) if !key.starts_with(&self.prefix) || key.len() == self.prefix.len() => {
                refused("the pointer's key is outside the configured prefix")
            }
            Some(_) if !self.empty_segments.allow(key) => refused(
                "the pointer's key ends in a slash or contains two in a row, which the store's client does not support",
            ),
            Some(path) => Ok(path),
        }
    }
}

/// Parses a key of any library unchanged. Returns `None` if some store could take it for a key in another folder.
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

/// Returns `true` if the key contains dot segments, backslashes or control characters. This includes keys that contain them
/// after percent-decoding, any number of times, on the way to the store.
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

/// Parses one of our keys, which must mean the same in every store. Returns `None` otherwise.
///
/// S3 treats percent signs and backslashes as ordinary characters. Other stores and file systems decode percent signs and
/// split at backslashes, so a key could leave the prefix.
fn parse_key(key: &str) -> Option<Path> {
    if key.len() > MAX_KEY_BYTES || key.contains(['%', '\\']) {
        return None;
    }
    // Parsing drops a leading or trailing slash, so such a key differs from its path.
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
    fn keys_of_any_prefix_resolve() {
        for prefix in ["p", "p-", "p/", "p/q/", "é{}[]^~#|*?\"<> '+&=;:,@$/"] {
            let location = Location::new("bucket".to_owned(), prefix.to_owned()).unwrap();
            let key = location.key("k").unwrap();
            assert_eq!(key.as_ref(), format!("{prefix}k"));
            assert_eq!(location.resolve(&Pointer::new("bucket", key.as_ref())).unwrap(), key);
        }
    }

    #[test]
    fn untrusted_pointers_are_refused() {
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
    fn a_pointer_to_another_bucket_is_refused_with_both_names() {
        let pointer = Pointer::new("other\n", "payloads/k");
        let error = location().resolve(&pointer).unwrap_err();
        let text = r#"the pointer names bucket "other\n", but the payload store's bucket is "bucket""#;
        assert_eq!(error.to_string(), text);
        let pointer = Pointer::new("b".repeat(9_999), "payloads/k");
        let error = location().resolve(&pointer).unwrap_err();
        assert!(error.to_string().len() < 200, "{error}");
    }

    #[test]
    fn keys_of_other_libraries_resolve_unchanged() {
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
    fn a_wrapper_supports_the_keys_of_the_wrapped_store() {
        let memory = object_store::memory::InMemory::new;
        let of = |store: &dyn ObjectStore| EmptySegments::detect(store);
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
    fn without_a_prefix_every_key_of_the_bucket_resolves() {
        let location = Location::new("bucket".to_owned(), String::new()).unwrap();
        assert!(location.resolve(&Pointer::new("bucket", "any/k")).is_ok());
        assert!(location.resolve(&Pointer::new("bucket", "../k")).is_err());
    }

    #[test]
    fn a_prefix_of_invalid_keys_is_refused() {
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
