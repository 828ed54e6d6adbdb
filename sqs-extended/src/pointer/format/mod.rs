//! The pointer as AWS's Java library 1.1 and 2.x writes it, with our extras as further members of its object.
//!
//! `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"B","s3Key":"K"}]`

use std::fmt;
use std::str::FromStr;

use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::Encoding;
use crate::payload::digest::Digest;
use crate::pointer::mac::Mac;

/// The class name that is written: Java library 1.1 and 2.x.
const CLASS: &str = "software.amazon.payloadoffloading.PayloadS3Pointer";

/// The class name that Java library 1.0 wrote; its object is the same.
const CLASS_OF_JAVA_1_0: &str = "com.amazon.sqs.javamessaging.MessageS3Pointer";

/// A longer body is no pointer: bucket, key and extras are far shorter, even with every character escaped.
const MAX_BYTES: usize = 16 * 1024;

/// The version of the extras where the stored bytes are the payload's.
const VERSION: u32 = 1;

/// The version where they are not, so that readers who do not know of encodings say so.
const ENCODED_VERSION: u32 = 2;

/// The names of the object's members.
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

/// Where a payload is stored, and what its sender says of it.
///
/// `Display` writes the text that travels as the message's body. `FromStr` strictly reads that of every peer: of AWS's
/// libraries, and the bare object that is written in .NET, whose members' names are in another case.
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
    /// Bytes of the stored object; only our own senders say so here.
    pub length: Option<u64>,
    /// Digest of the stored object; only our own senders give one.
    pub digest: Option<Digest>,
    /// How the stored object differs from the payload.
    pub encoding: Encoding,
    /// The payload's media type, such as `application/json`; only our own senders say so here, if they are told.
    pub content_type: Option<String>,
    /// Says that a holder of the key wrote all this; see [`PointerKeys`](crate::pointer::PointerKeys).
    pub(crate) mac: Option<Mac>,
}

impl Pointer {
    /// A pointer without extras, as AWS's libraries write it.
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

    /// The version to write, if there is anything to write it for.
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
        f.write_str(&serde_json::to_string(&(CLASS, Written(self))).map_err(|_| fmt::Error)?)
    }
}

/// The pointer's object on the wire, to write.
struct Written<'a>(&'a Pointer);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pointer = self.0;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry(BUCKET, &pointer.bucket)?;
        object.serialize_entry(KEY, &pointer.key)?;
        put(&mut object, PAYLOAD_VERSION, pointer.version())?;
        put(&mut object, LENGTH, pointer.length)?;
        put(&mut object, DIGEST, pointer.digest.as_ref())?;
        let encoding = Some(&pointer.encoding).filter(|encoding| !encoding.is_plain());
        put(&mut object, ENCODING, encoding)?;
        put(&mut object, CONTENT_TYPE, pointer.content_type.as_ref())?;
        put(&mut object, MAC, pointer.mac.as_ref())?;
        object.end()
    }
}

fn put<M: SerializeMap>(object: &mut M, name: &'static str, value: Option<impl Serialize>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| object.serialize_entry(name, &value))
}

/// The text is not a pointer, or not one that this version can read.
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
            return Err(InvalidPointer("the message is too long to be a pointer"));
        }
        let read = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map(|object| (CLASS.to_owned(), object))
        } else {
            serde_json::from_str(text)
        };
        // serde_json's own message would quote the stranger's text.
        let (class, Read { version, pointer }): (String, Read) =
            read.map_err(|_| InvalidPointer("the message says that it is a pointer, but is not one in a known form"))?;
        if class != CLASS && class != CLASS_OF_JAVA_1_0 {
            return Err(InvalidPointer("the pointer is of an unknown class"));
        }
        match version {
            Some(ENCODED_VERSION) => Ok(pointer),
            None | Some(VERSION) if pointer.encoding.is_plain() => Ok(pointer),
            // Readers of that version would have skipped the encoding.
            None | Some(VERSION) => Err(InvalidPointer(
                "the pointer has an encoding, which its version does not know of",
            )),
            Some(_) => Err(InvalidPointer(
                "the pointer is of a newer version than this reader knows",
            )),
        }
    }
}

/// The pointer's object as it was read. Unknown members are skipped without being built.
struct Read {
    version: Option<u32>,
    pointer: Pointer,
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pointer's object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Read, A::Error> {
        let (mut bucket, mut key, mut encoding) = (None, None, None);
        let mut version = None;
        let mut pointer = Pointer::new("", "");
        while let Some(name) = object.next_key::<String>()? {
            let known = MEMBERS.into_iter().find(|known| known.eq_ignore_ascii_case(&name));
            match known {
                Some(BUCKET) => take(&mut bucket, &mut object)?,
                Some(KEY) => take(&mut key, &mut object)?,
                Some(PAYLOAD_VERSION) => take(&mut version, &mut object)?,
                // What a newer version says may have another form.
                Some(_) if version > Some(ENCODED_VERSION) => skip(&mut object)?,
                Some(LENGTH) => take(&mut pointer.length, &mut object)?,
                Some(DIGEST) => take(&mut pointer.digest, &mut object)?,
                Some(ENCODING) => take(&mut encoding, &mut object)?,
                Some(CONTENT_TYPE) => take(&mut pointer.content_type, &mut object)?,
                Some(MAC) => take(&mut pointer.mac, &mut object)?,
                Some(_) | None => skip(&mut object)?,
            }
        }
        pointer.bucket = bucket.ok_or_else(|| de::Error::missing_field(BUCKET))?;
        pointer.key = key.ok_or_else(|| de::Error::missing_field(KEY))?;
        pointer.encoding = encoding.unwrap_or_default();
        Ok(Read { version, pointer })
    }
}

/// Two members of one name are refused, as two readers might believe two different ones. `null` counts as absent.
fn take<'de, T: Deserialize<'de>, A: MapAccess<'de>>(slot: &mut Option<T>, object: &mut A) -> Result<(), A::Error> {
    let Some(value) = object.next_value()? else {
        return Ok(());
    };
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(de::Error::custom("a member is there twice")),
    }
}

fn skip<'de, A: MapAccess<'de>>(object: &mut A) -> Result<(), A::Error> {
    object.next_value::<IgnoredAny>().map(drop)
}

#[cfg(test)]
mod tests;
