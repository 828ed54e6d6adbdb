//! The digests in SQS's responses.

use md5::{Digest, Md5};

use crate::queue::attribute::{Attribute, AttributeValue};

/// Returns the MD5 of a body in hex.
pub(crate) fn of_text(text: &str) -> String {
    hex::encode(Md5::digest(text))
}

/// Returns the MD5 of message attributes as SQS's developer guide defines it. Attributes are sorted by name. Name, type
/// and value each follow their length in four bytes, and a byte before the value says whether it is text or binary.
pub(crate) fn of_attributes<'a>(sorted: impl Iterator<Item = (&'a String, &'a Attribute)>) -> Option<String> {
    let mut digest = Md5::new();
    let mut any = false;
    for (name, attribute) in sorted {
        any = true;
        add(&mut digest, name.as_bytes());
        add(&mut digest, attribute.data_type.as_bytes());
        match &attribute.value {
            AttributeValue::Text(text) => {
                digest.update([1]);
                add(&mut digest, text.as_bytes());
            }
            AttributeValue::Binary(bytes) => {
                digest.update([2]);
                add(&mut digest, bytes);
            }
        }
    }
    any.then(|| hex::encode(digest.finalize()))
}

fn add(digest: &mut Md5, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    digest.update(length.to_be_bytes());
    digest.update(bytes);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn string(value: &str) -> Attribute {
        Attribute {
            data_type: "String".into(),
            value: AttributeValue::Text(value.into()),
        }
    }

    /// The digests are from AWS's own responses.
    #[test]
    fn digests_equal_those_of_aws() {
        assert_eq!(of_text("test"), "098f6bcd4621d373cade4e832627b4f6");
        let all = BTreeMap::from([
            ("Help.Me".to_owned(), string("Me")),
            ("Hello".to_owned(), string("There")),
            ("General".to_owned(), string("Kenobi")),
        ]);
        assert_eq!(
            of_attributes(all.iter()).as_deref(),
            Some("4c360f3fdafd970e05fae2f149d997f5")
        );
        let two = all.iter().filter(|(name, _)| name.starts_with("Hel"));
        assert_eq!(of_attributes(two).as_deref(), Some("83fee93c1bcd8b9a5a923ffacdc636c7"));
        assert_eq!(of_attributes(BTreeMap::new().iter()), None);
    }
}
