//! Unfinished multipart uploads of S3, which object_store cannot list.

use http::{Method, StatusCode};
use object_store::Result;
use object_store::path::Path;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::refusal::xml_code;
use crate::payload_store::location::any_path;
use crate::sweep::report::UnfinishedUpload;
use crate::sweep::requests::{S3Requests, failed, response_error};

/// A page of uploads, and the beginning of the next page.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Page {
    pub(super) uploads: Vec<UnfinishedUpload>,
    pub(super) next: Option<Marker>,
}

/// The last upload before a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Marker {
    key: String,
    upload_id: String,
}

impl S3Requests {
    /// Lists uploads to keys that begin with `prefix`. Some servers also list uploads to other keys.
    pub(super) async fn list_uploads(&self, prefix: &str, after: &Marker) -> Result<Page> {
        let query = |prefix: &str| {
            let mut query = vec![("uploads", String::new()), ("prefix", prefix.to_owned())];
            if !after.key.is_empty() {
                query.push(("key-marker", after.key.clone()));
                query.push(("upload-id-marker", after.upload_id.clone()));
            }
            query
        };
        let bucket = Path::default();
        let mut response = self.request(Method::GET, &bucket, query(prefix)).await?;
        if response.is_minio && !prefix.is_empty() {
            // MinIO treats the prefix as a whole key. Without a prefix it lists all uploads on one page.
            response = self.request(Method::GET, &bucket, query("")).await?;
        }
        match response.status {
            StatusCode::OK => parse(&response.body, after),
            status => Err(response_error("the unfinished uploads", status, &response.body)),
        }
    }

    /// Aborts an upload, which removes its parts. An upload that no longer exists is a success.
    pub(super) async fn abort_upload(&self, upload: &UnfinishedUpload) -> Result<()> {
        let key = any_path(&upload.key).ok_or_else(|| {
            failed("the upload's key cannot be used with object_store; abort the upload with another tool")
        })?;
        let query = vec![("uploadId", upload.upload_id.clone())];
        let response = self.request(Method::DELETE, &key, query).await?;
        match response.status {
            StatusCode::NO_CONTENT | StatusCode::OK => Ok(()),
            StatusCode::NOT_FOUND if xml_code(&response.body) == Some("NoSuchUpload") => Ok(()),
            status => Err(response_error(&upload.key, status, &response.body)),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListMultipartUploadsResult {
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    next_key_marker: String,
    #[serde(default)]
    next_upload_id_marker: String,
    #[serde(default, rename = "Upload")]
    uploads: Vec<Upload>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    upload_id: String,
    initiated: String,
}

fn parse(body: &str, after: &Marker) -> Result<Page> {
    let result: ListMultipartUploadsResult = quick_xml::de::from_str(body).map_err(failed)?;
    let parsed = result.uploads.into_iter().map(|upload| {
        let initiated = OffsetDateTime::parse(&upload.initiated, &Rfc3339).map_err(failed)?;
        Ok(UnfinishedUpload {
            key: upload.key,
            upload_id: upload.upload_id,
            initiated: initiated.into(),
        })
    });
    let uploads = parsed.collect::<Result<_>>()?;
    let next = result.is_truncated.then_some(Marker {
        key: result.next_key_marker,
        upload_id: result.next_upload_id_marker,
    });
    match next {
        Some(next) if next.key.is_empty() || next == *after => Err(failed("the store's list of uploads does not end")),
        next => Ok(Page { uploads, next }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    const LIST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Bucket>b</Bucket><KeyMarker/><UploadIdMarker></UploadIdMarker>
  <NextKeyMarker>p/2</NextKeyMarker><NextUploadIdMarker>two</NextUploadIdMarker>
  <MaxUploads>2</MaxUploads><IsTruncated>true</IsTruncated>
  <Upload><Key>p/1&amp;</Key><UploadId>one</UploadId><Initiator><ID>i</ID></Initiator><Owner><ID>o</ID></Owner>
    <StorageClass>STANDARD</StorageClass><Initiated>2026-11-24T15:09:33.000Z</Initiated></Upload>
  <Upload><Key>p/2</Key><UploadId>two</UploadId><Initiated>2026-11-24T15:09:34Z</Initiated></Upload>
</ListMultipartUploadsResult>"#;

    fn marker(key: &str, upload_id: &str) -> Marker {
        Marker {
            key: key.to_owned(),
            upload_id: upload_id.to_owned(),
        }
    }

    #[test]
    fn a_page_is_parsed() {
        let page = parse(LIST, &Marker::default()).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_532_973);
        let [one, two] = &page.uploads[..] else {
            panic!("{page:?}")
        };
        assert_eq!((&*one.key, &*one.upload_id, one.initiated), ("p/1&", "one", time));
        assert_eq!((&*two.key, &*two.upload_id), ("p/2", "two"));
        assert_eq!(page.next, Some(marker("p/2", "two")));
    }

    #[test]
    fn the_last_page_has_no_next_and_no_page_follows_itself() {
        let last = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>";
        assert_eq!(parse(last, &Marker::default()).unwrap(), Page::default());
        assert!(parse(LIST, &marker("p/2", "two")).is_err());
        assert!(parse(&last.replace("false", "true"), &Marker::default()).is_err());
    }

    #[test]
    fn an_invalid_list_is_an_error() {
        for body in [
            "",
            "<",
            "{}",
            &LIST.replace("24T", "99T"),
            &LIST.replace("<Key>p/2</Key>", ""),
        ] {
            assert!(parse(body, &Marker::default()).is_err(), "{body}");
        }
    }
}
