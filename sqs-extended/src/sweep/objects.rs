//! Lists of S3's objects with any keys. object_store fails for a whole page of keys if one of them has an empty segment,
//! such as `p//k`. Other libraries write such keys, and receives accept them.

use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use http::{Method, StatusCode};
use object_store::path::Path;
use object_store::{ObjectMeta, Result};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::payload_store::location::any_path;
use crate::sweep::requests::{S3Requests, failed, response_error};

/// The beginning of a page.
#[derive(Clone, Debug, PartialEq)]
enum Start {
    /// After this key, which is empty for the first page.
    After(String),
    /// At the end of the page that contained this token.
    Token(String),
}

/// A page of objects, and the beginning of the next page.
#[derive(Debug, Default, PartialEq)]
struct Page {
    objects: Vec<ObjectMeta>,
    next: Option<Start>,
}

impl S3Requests {
    /// Lists the objects whose keys begin with `prefix` and follow `after`.
    pub(super) fn list_objects<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&Path>,
    ) -> BoxStream<'a, Result<ObjectMeta>> {
        let first = Start::After(after.map(ToString::to_string).unwrap_or_default());
        let page = move |start: Option<Start>| async move {
            let Some(start) = start else {
                return Ok::<_, object_store::Error>(None);
            };
            let page = self.list_page(prefix, &start).await?;
            Ok(Some((stream::iter(page.objects).map(Ok), page.next)))
        };
        stream::try_unfold(Some(first), page).try_flatten().boxed()
    }

    async fn list_page(&self, prefix: &str, start: &Start) -> Result<Page> {
        let mut query = vec![("list-type", "2".to_owned()), ("prefix", prefix.to_owned())];
        match start {
            Start::After(key) if key.is_empty() => {}
            Start::After(key) => query.push(("start-after", key.clone())),
            Start::Token(token) => query.push(("continuation-token", token.clone())),
        }
        let response = self.request(Method::GET, &Path::default(), query).await?;
        match response.status {
            StatusCode::OK => parse(&response.body, start),
            status => Err(response_error("the objects", status, &response.body)),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListBucketResult {
    #[serde(default)]
    next_continuation_token: Option<String>,
    #[serde(default)]
    contents: Vec<Object>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Object {
    key: String,
    size: u64,
    last_modified: String,
    #[serde(rename = "ETag")]
    e_tag: Option<String>,
}

fn parse(body: &str, start: &Start) -> Result<Page> {
    let result: ListBucketResult = quick_xml::de::from_str(body).map_err(failed)?;
    let mut objects = Vec::with_capacity(result.contents.len());
    for object in result.contents {
        let Some(location) = any_path(&object.key) else {
            tracing::warn!(
                key = object.key,
                "the sweep ignores an object whose key no receive accepts; remove it with another tool"
            );
            continue;
        };
        let modified = OffsetDateTime::parse(&object.last_modified, &Rfc3339).map_err(failed)?;
        objects.push(ObjectMeta {
            location,
            last_modified: std::time::SystemTime::from(modified).into(),
            size: object.size,
            e_tag: object.e_tag,
            version: None,
        });
    }
    let next = result.next_continuation_token.filter(|token| !token.is_empty());
    match next.map(Start::Token) {
        Some(next) if next == *start => Err(failed("the store's list of objects does not end")),
        next => Ok(Page { objects, next }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><IsTruncated>true</IsTruncated>
  <Contents><Key>p//1&amp;</Key><LastModified>2026-11-24T15:09:33.000Z</LastModified><ETag>&quot;e&quot;</ETag>
    <Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>
  <Contents><Key>p/../2</Key><LastModified>2026-11-24T15:09:33Z</LastModified><Size>8</Size></Contents>
  <Contents><Key>p/3/</Key><LastModified>2026-11-24T15:09:33Z</LastModified><Size>9</Size></Contents>
  <NextContinuationToken>next</NextContinuationToken></ListBucketResult>"#;

    fn after(key: &str) -> Start {
        Start::After(key.to_owned())
    }

    #[test]
    fn a_page_is_parsed_with_its_unusual_keys() {
        let page = parse(LIST, &after("")).unwrap();
        let [one, three] = &page.objects[..] else {
            panic!("{page:?}")
        };
        assert_eq!(
            (one.location.as_ref(), one.size, one.e_tag.as_deref()),
            ("p//1&", 7, Some("\"e\""))
        );
        assert_eq!(one.last_modified.timestamp(), 1_795_532_973);
        assert_eq!((three.location.as_ref(), three.size), ("p/3/", 9));
        assert_eq!(page.next, Some(Start::Token("next".to_owned())));
    }

    #[test]
    fn the_last_page_has_no_next_and_no_page_follows_itself() {
        let last = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
        assert_eq!(parse(last, &after("")).unwrap(), Page::default());
        assert!(parse(LIST, &Start::Token("next".to_owned())).is_err());
    }

    #[test]
    fn an_invalid_list_is_an_error() {
        for body in [
            "",
            "<",
            "{}",
            &LIST.replace("24T", "99T"),
            &LIST.replace("<Size>7</Size>", ""),
        ] {
            assert!(parse(body, &after("")).is_err(), "{body}");
        }
    }
}
