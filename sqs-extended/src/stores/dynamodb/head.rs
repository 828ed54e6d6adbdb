//! The head: the item that turns chunks into an object.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::types::AttributeValue;
use object_store::path::Path;
use object_store::{ObjectMeta, Result};

use crate::stores::dynamodb::errors::malformed;

/// The partition key.
pub(super) const ID: &str = "id";
/// The sort key: 0 for a head, else the index of a chunk in its part.
pub(super) const PART: &str = "part";
pub(super) const ETAG: &str = "etag";
/// The number of bytes of each part.
pub(super) const SIZES: &str = "sizes";
/// Milliseconds since 1970.
pub(super) const MODIFIED: &str = "modified";
/// The table's time-to-live attribute, in seconds since 1970.
pub(super) const EXPIRES: &str = "expires";

/// The beginning of the id of a head. The object's key follows.
const OBJECT: &str = "o/";

pub(super) type Item = HashMap<String, AttributeValue>;

#[derive(Debug, PartialEq)]
pub(super) struct Head {
    /// The ETag, which is also the name of the chunks.
    pub(super) etag: String,
    pub(super) sizes: Vec<u64>,
    pub(super) modified: SystemTime,
}

/// The end of the valid times, counted from 1970. The conversion of a later time can panic.
const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);

impl Head {
    pub(super) fn item(&self, key: &Path, expires: Option<SystemTime>) -> Item {
        let sizes = self.sizes.iter().map(|size| AttributeValue::N(size.to_string()));
        let mut item = self::key(key);
        item.insert(ETAG.to_owned(), AttributeValue::S(self.etag.clone()));
        item.insert(SIZES.to_owned(), AttributeValue::L(sizes.collect()));
        let modified = self.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        item.insert(MODIFIED.to_owned(), AttributeValue::N(modified.as_millis().to_string()));
        if let Some(expires) = expires {
            item.insert(EXPIRES.to_owned(), seconds(expires));
        }
        item
    }

    pub(super) fn parse(item: &Item) -> Result<Self> {
        let sizes = item.get(SIZES).and_then(|sizes| sizes.as_l().ok());
        let sizes = sizes.and_then(|sizes| sizes.iter().map(number).collect::<Option<Vec<_>>>());
        let modified = item.get(MODIFIED).and_then(number).map(Duration::from_millis);
        Ok(Self {
            etag: text(item, ETAG)?.to_owned(),
            sizes: sizes.ok_or_else(|| malformed(SIZES))?,
            modified: modified
                .filter(|modified| *modified < YEAR_10000)
                .and_then(|modified| UNIX_EPOCH.checked_add(modified))
                .ok_or_else(|| malformed(MODIFIED))?,
        })
    }

    pub(super) fn meta(&self, key: Path) -> ObjectMeta {
        ObjectMeta {
            location: key,
            last_modified: self.modified.into(),
            size: self.sizes.iter().fold(0, |sum, size| sum.saturating_add(*size)),
            e_tag: Some(self.etag.clone()),
            version: None,
        }
    }
}

/// Returns the primary key of an object's head.
pub(super) fn key(key: &Path) -> Item {
    primary_key(format!("{OBJECT}{key}"), 0)
}

/// Returns the beginning of the ids of all heads in this folder.
pub(super) fn id_prefix(folder: Option<&Path>) -> String {
    match folder {
        Some(folder) if !folder.as_ref().is_empty() => format!("{OBJECT}{folder}/"),
        _ => OBJECT.to_owned(),
    }
}

/// Returns the key of the object to which the head belongs.
pub(super) fn path(head: &Item) -> Result<Path> {
    let key = text(head, ID)?.strip_prefix(OBJECT).ok_or_else(|| malformed(ID))?;
    Ok(Path::parse(key)?)
}

pub(super) fn text<'a>(item: &'a Item, name: &str) -> Result<&'a str> {
    let text = item.get(name).and_then(|value| value.as_s().ok());
    text.map(String::as_str).ok_or_else(|| malformed(name))
}

/// Returns the primary key of an item.
pub(super) fn primary_key(id: String, part: u64) -> Item {
    Item::from([
        (ID.to_owned(), AttributeValue::S(id)),
        (PART.to_owned(), AttributeValue::N(part.to_string())),
    ])
}

pub(super) fn number(value: &AttributeValue) -> Option<u64> {
    value.as_n().ok()?.parse().ok()
}

/// Converts a time to seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> AttributeValue {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    AttributeValue::N(since.as_secs().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_parsed_as_it_was_written() {
        let head = Head {
            etag: "e".to_owned(),
            sizes: vec![3, 0, u64::MAX],
            modified: UNIX_EPOCH + Duration::from_millis(1_795_307_780_123),
        };
        let item = head.item(&Path::from("p/k"), Some(UNIX_EPOCH + Duration::from_secs(7)));
        assert_eq!(item[ID], AttributeValue::S("o/p/k".to_owned()));
        assert_eq!(item[EXPIRES], AttributeValue::N("7".to_owned()));
        assert_eq!(Head::parse(&item).unwrap(), head);
        assert_eq!(path(&item).unwrap(), Path::from("p/k"));
        let meta = head.meta(Path::from("p/k"));
        assert_eq!((meta.size, meta.last_modified), (u64::MAX, head.modified.into()));
    }

    #[test]
    fn foreign_items_are_errors() {
        let item = Head {
            etag: "e".to_owned(),
            sizes: vec![1],
            modified: UNIX_EPOCH,
        }
        .item(&Path::from("k"), None);
        assert!(!item.contains_key(EXPIRES));
        let mut far_future = item.clone();
        far_future.insert(MODIFIED.to_owned(), AttributeValue::N(u64::MAX.to_string()));
        assert!(Head::parse(&far_future).map(|head| head.meta(Path::from("k"))).is_err());
        for name in [ETAG, SIZES, MODIFIED] {
            let mut broken = item.clone();
            broken.insert(name.to_owned(), AttributeValue::Bool(true));
            assert!(Head::parse(&broken).is_err(), "{name}");
            broken.remove(name);
            assert!(Head::parse(&broken).is_err(), "{name}");
        }
        assert!(path(&primary_key("c/x/0".to_owned(), 0)).is_err());
    }
}
