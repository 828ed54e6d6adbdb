//! The pointer as AWS's Java library 1.1 and 2.x writes it, with our extras as further members of its object.
//!
//! `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"B","s3Key":"K"}]`

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The class name that is written: Java library 1.1 and 2.x.
const CLASS: &str = "software.amazon.payloadoffloading.PayloadS3Pointer";

/// The class name that Java library 1.0 wrote; its object is the same.
const CLASS_OF_JAVA_1_0: &str = "com.amazon.sqs.javamessaging.MessageS3Pointer";

/// A longer body is no pointer: bucket and key are far shorter, even with every character escaped.
const MAX_BYTES: usize = 16 * 1024;

/// The version of the extras, which this crate writes and reads. A payload that is stored in another form than as it
/// is (compressed, encrypted) takes a higher one, so that readers who do not know that form say so.
const VERSION: u32 = 1;

/// Where a payload is stored, and what its sender says of it.
///
/// `Display` writes, and `FromStr` strictly reads, the text that travels as the message's body.
///
/// ```
/// let pointer: sqs_extended::Pointer =
///     r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"}]"#.parse().unwrap();
/// assert_eq!((pointer.bucket.as_str(), pointer.key.as_str()), ("b", "k"));
/// assert!(pointer.digest.is_none(), "AWS's libraries send no digest");
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
}

impl Pointer {
    /// A pointer without extras, as AWS's libraries write it.
    pub(crate) fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            key: key.into(),
            length: None,
            digest: None,
        }
    }
}

/// The pointer's object on the wire. Unknown members are skipped without being built.
#[derive(Serialize, Deserialize)]
struct Members<'a> {
    #[serde(rename = "s3BucketName")]
    bucket: Cow<'a, str>,
    #[serde(rename = "s3Key")]
    key: Cow<'a, str>,
    #[serde(rename = "payloadVersion", default, skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(rename = "payloadLength", default, skip_serializing_if = "Option::is_none")]
    length: Option<u64>,
    #[serde(rename = "payloadDigest", default, skip_serializing_if = "Option::is_none")]
    digest: Option<Cow<'a, Digest>>,
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_extras = self.length.is_some() || self.digest.is_some();
        let members = Members {
            bucket: self.bucket.as_str().into(),
            key: self.key.as_str().into(),
            version: has_extras.then_some(VERSION),
            length: self.length,
            digest: self.digest.as_ref().map(Cow::Borrowed),
        };
        f.write_str(&serde_json::to_string(&(CLASS, members)).map_err(|_| fmt::Error)?)
    }
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
        // serde_json's own message would quote the stranger's text.
        let (class, members): (Cow<'_, str>, Members<'_>) = serde_json::from_str(text)
            .map_err(|_| InvalidPointer("the message says that it is a pointer, but is not one in a known form"))?;
        if class != CLASS && class != CLASS_OF_JAVA_1_0 {
            return Err(InvalidPointer("the pointer is of an unknown class"));
        }
        if members.version.is_some_and(|version| version != VERSION) {
            return Err(InvalidPointer(
                "the pointer is of a newer version than this reader knows",
            ));
        }
        Ok(Self {
            bucket: members.bucket.into_owned(),
            key: members.key.into_owned(),
            length: members.length,
            digest: members.digest.map(Cow::into_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: &str = r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"B","s3Key":"K"}]"#;

    fn with(members: &str) -> String {
        format!(r#"["{CLASS}",{{{members}}}]"#)
    }

    #[test]
    fn written_exactly_as_java_writes_it() {
        assert_eq!(Pointer::new("B", "K").to_string(), PLAIN);
        assert_eq!(PLAIN.parse(), Ok(Pointer::new("B", "K")));
    }

    #[test]
    fn extras_follow_the_two_members() {
        let hex = "0".repeat(64);
        let mut pointer = Pointer::new("B", "K");
        pointer.length = Some(5);
        pointer.digest = Some(format!("blake3:{hex}").parse().unwrap());
        let text = pointer.to_string();
        assert_eq!(
            text,
            with(&format!(
                r#""s3BucketName":"B","s3Key":"K","payloadVersion":1,"payloadLength":5,"payloadDigest":"blake3:{hex}""#
            ))
        );
        assert_eq!(text.parse(), Ok(pointer));
    }

    #[test]
    fn other_peers_forms_are_read() {
        let java_1_0 = PLAIN.replace(CLASS, CLASS_OF_JAVA_1_0);
        let spaced =
            r#" [ "software.amazon.payloadoffloading.PayloadS3Pointer" , { "s3Key" : "K", "s3BucketName" : "B" } ] "#;
        let unknown = with(r#""s3BucketName":"B","new":[{"deep":[[[[null]]]]}],"s3Key":"K""#);
        for text in [java_1_0.as_str(), spaced, &unknown] {
            assert_eq!(text.parse(), Ok(Pointer::new("B", "K")), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let nested = format!(r#"["{CLASS}",{PLAIN}]"#);
        let deep = "[".repeat(MAX_BYTES);
        let huge = with(&format!(r#""s3BucketName":"B","s3Key":"{}""#, "k".repeat(MAX_BYTES)));
        let third = PLAIN.replace("}]", "},{}]");
        let trailing = format!("{PLAIN} x");
        for text in [
            "",
            "null",
            "{}",
            "[]",
            "hello",
            r#"["software.amazon.payloadoffloading.PayloadS3Pointer"]"#,
            r#"["java.lang.Runtime",{"s3BucketName":"B","s3Key":"K"}]"#,
            &with(r#""s3BucketName":"B""#),
            &with(r#""s3BucketName":1,"s3Key":"K""#),
            &with(r#""s3BucketName":["B"],"s3Key":{"s3Key":"K"}"#),
            &with(r#""s3BucketName":null,"s3Key":"K""#),
            &with(r#""s3BucketName":"B","s3Key":"K","s3Key":"L""#),
            &with(r#""s3BucketName":"B","s3Key":"K","payloadLength":-1"#),
            &with(r#""s3BucketName":"B","s3Key":"K","payloadLength":"2""#),
            &with(r#""s3BucketName":"B","s3Key":"K","payloadDigest":"md5:0""#),
            &with(r#""s3BucketName":"B","s3Key":"K","payloadVersion":2"#),
            &nested,
            &deep,
            &huge,
            &third,
            &trailing,
        ] {
            assert!(text.parse::<Pointer>().is_err(), "{text:.200}");
        }
    }

    fn pointers() -> impl Strategy<Value = Pointer> {
        let digest = prop::option::of("(blake3|sha256):[0-9a-f]{64}".prop_map(|text| text.parse().unwrap()));
        (any::<String>(), any::<String>(), any::<Option<u64>>(), digest).prop_map(|(bucket, key, length, digest)| {
            Pointer {
                bucket,
                key,
                length,
                digest,
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(pointer in pointers()) {
            prop_assert_eq!(pointer.to_string().parse(), Ok(pointer));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = text.parse::<Pointer>();
        }

        #[test]
        fn no_damage_makes_the_parser_panic(pointer in pointers(), at in any::<prop::sample::Index>(), with in any::<char>()) {
            let mut chars: Vec<char> = pointer.to_string().chars().collect();
            *at.get_mut(&mut chars) = with;
            let _ = chars.into_iter().collect::<String>().parse::<Pointer>();
        }
    }
}
