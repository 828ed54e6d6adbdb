//! The text of a pointer: that of AWS's Java library 1.1 and 2.x, with more members in its object.
//!
//! `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"B","s3Key":"K"}]`
//!
//! See <https://github.com/awslabs/payload-offloading-java-common-lib-for-aws>.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::Encoding;
use crate::payload::digest::Digest;
use crate::pointer::mac::code::Mac;

/// The class name of Java library 1.1 and 2.x, which this crate writes.
const CLASS: &str = "software.amazon.payloadoffloading.PayloadS3Pointer";

/// The class name of Java library 1.0, with the same object.
const CLASS_OF_JAVA_1_0: &str = "com.amazon.sqs.javamessaging.MessageS3Pointer";

/// The maximum length of a pointer. Bucket, key and extras are far shorter, even with every character escaped.
const MAX_BYTES: usize = 16 * 1024;

/// The version of pointers to payloads that are stored as they are.
const VERSION: u32 = 1;

/// The version of pointers to encoded payloads. Readers that do not support encodings refuse it.
const ENCODED_VERSION: u32 = 2;

// The names of the object's members.
const BUCKET: &str = "s3BucketName";
const KEY: &str = "s3Key";
const PAYLOAD_VERSION: &str = "payloadVersion";
const LENGTH: &str = "payloadLength";
const DIGEST: &str = "payloadDigest";
const ENCODING: &str = "payloadEncoding";
const CONTENT_TYPE: &str = "payloadContentType";
const MAC: &str = "payloadMac";

const MEMBERS: [&str; 8] = [
    BUCKET,
    KEY,
    PAYLOAD_VERSION,
    LENGTH,
    DIGEST,
    ENCODING,
    CONTENT_TYPE,
    MAC,
];

/// The location and the properties of a stored payload, as its sender states them.
///
/// `Display` writes the message's body. `FromStr` strictly reads the bodies of the supported libraries. These are the format
/// of AWS's libraries, and the bare object of the .NET libraries, whose member names differ in case.
///
/// ```
/// let pointer: sqs_extended::pointer::Pointer =
///     r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"}]"#.parse().unwrap();
/// assert_eq!((pointer.bucket.as_str(), pointer.key.as_str()), ("b", "k"));
/// assert!(pointer.digest.is_none(), "AWS's libraries send no digest");
/// assert_eq!(r#"{"S3Key":"k","S3BucketName":"b"}"#.parse(), Ok(pointer));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pointer {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key within the bucket.
    pub key: String,
    /// The length of the stored object in bytes. Only this crate's senders state it here.
    pub length: Option<u64>,
    /// The digest of the stored object. Only this crate's senders state it.
    pub digest: Option<Digest>,
    /// The compression and the encryption of the stored object.
    pub encoding: Encoding,
    /// The payload's media type, such as `application/json`. Only this crate's senders state it, if it is configured.
    pub content_type: Option<String>,
    /// The authentication code: see [`PointerKeys`](crate::pointer::PointerKeys).
    pub(crate) mac: Option<Mac>,
}

impl Pointer {
    /// Creates a pointer without extras, as AWS's libraries write it.
    pub(crate) fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            key: key.into(),
            length: None,
            digest: None,
            encoding: Encoding::default(),
            content_type: None,
            mac: None,
        }
    }

    /// Returns the version to write, or `None` for a pointer without extras.
    fn version(&self) -> Option<u32> {
        if !self.encoding.is_plain() {
            return Some(ENCODED_VERSION);
        }
        let has_extras =
            self.length.is_some() || self.digest.is_some() || self.content_type.is_some() || self.mac.is_some();
        has_extras.then_some(VERSION)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&(CLASS, PointerObject(self))).map_err(|_| fmt::Error)?)
    }
}

/// Writes the pointer's object.
struct PointerObject<'a>(&'a Pointer);

impl Serialize for PointerObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pointer = self.0;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry(BUCKET, &pointer.bucket)?;
        object.serialize_entry(KEY, &pointer.key)?;
        write_member(&mut object, PAYLOAD_VERSION, pointer.version())?;
        write_member(&mut object, LENGTH, pointer.length)?;
        write_member(&mut object, DIGEST, pointer.digest.as_ref())?;
        let encoding = Some(&pointer.encoding).filter(|encoding| !encoding.is_plain());
        write_member(&mut object, ENCODING, encoding)?;
        write_member(&mut object, CONTENT_TYPE, pointer.content_type.as_ref())?;
        write_member(&mut object, MAC, pointer.mac.as_ref())?;
        object.end()
    }
}

fn write_member<M: SerializeMap>(
    object: &mut M,
    name: &'static str,
    value: Option<impl Serialize>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| object.serialize_entry(name, &value))
}

/// The error of parsing a text that is not a pointer, or is a pointer of an unknown version.
///
/// ```
/// use sqs_extended::pointer::{InvalidPointer, Pointer};
///
/// let invalid: InvalidPointer = "hello".parse::<Pointer>().unwrap_err();
/// assert!(!invalid.to_string().contains("hello"), "the error does not quote the text");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPointer(&'static str);

impl fmt::Display for InvalidPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidPointer {}

impl FromStr for Pointer {
    type Err = InvalidPointer;

    fn from_str(text: &str) -> Result<Self, InvalidPointer> {
        if text.len() > MAX_BYTES {
            return Err(InvalidPointer(
                "the message's body is longer than 16,384 bytes, the maximum for a pointer",
            ));
        }
        let parsed = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map(|object| (CLASS.to_owned(), object))
        } else {
            serde_json::from_str(text)
        };
        // serde_json's own error would quote the untrusted sender's text.
        let (class, ParsedObject { version, pointer }): (String, ParsedObject) =
            parsed.map_err(|_| InvalidPointer("the message is marked as a pointer, but its body is malformed"))?;
        if class != CLASS && class != CLASS_OF_JAVA_1_0 {
            return Err(InvalidPointer("the pointer's class name is unknown"));
        }
        match version {
            Some(ENCODED_VERSION) => Ok(pointer),
            None | Some(VERSION) if pointer.encoding.is_plain() => Ok(pointer),
            // Other readers of this version would ignore the encoding.
            None | Some(VERSION) => Err(InvalidPointer(
                "the pointer has an encoding, which its version does not support",
            )),
            Some(_) => Err(InvalidPointer(
                "the pointer's version is unknown; receive it with a newer version of sqs-extended",
            )),
        }
    }
}

/// The pointer's object as parsed. Unknown members are skipped without being stored.
struct ParsedObject {
    version: Option<u32>,
    pointer: Pointer,
}

impl<'de> Deserialize<'de> for ParsedObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = ParsedObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pointer's object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<ParsedObject, A::Error> {
        let (mut bucket, mut key, mut encoding) = (None, None, None);
        let mut version = None;
        let mut pointer = Pointer::new("", "");
        while let Some(name) = object.next_key::<String>()? {
            let known = MEMBERS.into_iter().find(|known| known.eq_ignore_ascii_case(&name));
            match known {
                Some(BUCKET) => read_member(&mut bucket, &mut object)?,
                Some(KEY) => read_member(&mut key, &mut object)?,
                Some(PAYLOAD_VERSION) => read_member(&mut version, &mut object)?,
                // In a newer version the members can have other types.
                Some(_) if version > Some(ENCODED_VERSION) => skip(&mut object)?,
                Some(LENGTH) => read_member(&mut pointer.length, &mut object)?,
                Some(DIGEST) => read_member(&mut pointer.digest, &mut object)?,
                Some(ENCODING) => read_member(&mut encoding, &mut object)?,
                Some(CONTENT_TYPE) => read_member(&mut pointer.content_type, &mut object)?,
                Some(MAC) => read_member(&mut pointer.mac, &mut object)?,
                Some(_) | None => skip(&mut object)?,
            }
        }
        pointer.bucket = bucket.ok_or_else(|| de::Error::missing_field(BUCKET))?;
        pointer.key = key.ok_or_else(|| de::Error::missing_field(KEY))?;
        pointer.encoding = encoding.unwrap_or_default();
        Ok(ParsedObject { version, pointer })
    }
}

/// Reads a member. `null` counts as absent. Refuses two members of one name, because readers disagree on which one
/// counts: <https://www.rfc-editor.org/rfc/rfc8259#section-4>.
fn read_member<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    slot: &mut Option<T>,
    object: &mut A,
) -> Result<(), A::Error> {
    let Some(value) = object.next_value()? else {
        return Ok(());
    };
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(de::Error::custom("a member appears twice")),
    }
}

fn skip<'de, A: MapAccess<'de>>(object: &mut A) -> Result<(), A::Error> {
    object.next_value::<IgnoredAny>().map(drop)
}

#[cfg(test)]
mod tests;
