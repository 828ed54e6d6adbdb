//! The requests of S3 that the store supports.

use anyhow::Context as _;

use super::body::Uploaded;
use super::objects::Refusal;
use super::reply::{Body, Reply};
use super::request::Request;
use super::{Counts, REGION, Store, xml};

/// [`xml::MODIFIED`] as a header.
const LAST_MODIFIED: &str = "Sat, 21 Nov 2026 23:51:13 GMT";

/// The kinds of requests that differ in their bodies or their counters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operation {
    Get,
    Head,
    Put,
    PutPart,
    CreateUpload,
    CompleteUpload,
    Abort,
    Delete,
    DeleteMany,
    ListParts,
    ListUploads,
    Bucket,
}

impl Operation {
    pub(super) fn of(request: &Request) -> Option<Self> {
        let has = |name| request.query(name).is_some();
        Some(match (request.method.as_str(), request.key.is_empty()) {
            ("GET", true) if has("uploads") => Self::ListUploads,
            ("POST", true) if has("delete") => Self::DeleteMany,
            ("GET" | "HEAD" | "PUT", true) => Self::Bucket,
            ("GET", false) if has("uploadId") => Self::ListParts,
            ("GET", false) => Self::Get,
            ("HEAD", false) => Self::Head,
            ("PUT", false) if has("partNumber") => Self::PutPart,
            ("PUT", false) => Self::Put,
            ("POST", false) if has("uploads") => Self::CreateUpload,
            ("POST", false) if has("uploadId") => Self::CompleteUpload,
            ("DELETE", false) if has("uploadId") => Self::Abort,
            ("DELETE", false) => Self::Delete,
            _ => return None,
        })
    }

    /// Returns `true` if the body is an object or a part of one.
    pub(super) fn uploads(self) -> bool {
        matches!(self, Self::Put | Self::PutPart)
    }

    pub(super) fn counter(self, counts: &mut Counts) -> &mut u64 {
        match self {
            Self::Get => &mut counts.get,
            Self::Head => &mut counts.head,
            Self::Put => &mut counts.put,
            Self::PutPart => &mut counts.put_part,
            Self::CreateUpload => &mut counts.create_upload,
            Self::CompleteUpload => &mut counts.complete_upload,
            Self::Abort | Self::Delete | Self::DeleteMany => &mut counts.delete,
            Self::ListParts | Self::ListUploads | Self::Bucket => &mut counts.list,
        }
    }
}

/// A request's body: the upload, or its text.
#[derive(Default)]
pub(super) struct Received {
    pub(super) uploaded: Uploaded,
    pub(super) text: String,
}

impl Store {
    /// Responds to a request whose body has arrived.
    pub(super) fn respond(&self, operation: Operation, request: &Request, received: Received) -> anyhow::Result<Reply> {
        let resource = format!("/{}/{}", request.bucket, request.key);
        let reply = self.perform(operation, request, received)?;
        Ok(reply.unwrap_or_else(|refusal| Reply::refused(refusal, &resource)))
    }

    fn perform(
        &self,
        operation: Operation,
        request: &Request,
        received: Received,
    ) -> anyhow::Result<Result<Reply, Refusal>> {
        let (objects, pattern) = (&self.objects, &self.content.pattern);
        let (bucket, key) = (&request.bucket, &request.key);
        let id = request.query("uploadId").unwrap_or_default();
        Ok(match operation {
            Operation::Get | Operation::Head => self.get(request),
            Operation::Put => {
                let must_be_new = request.header("if-none-match") == Some("*");
                let etag = objects.put(key, &received.uploaded, must_be_new, pattern);
                etag.map(|etag| uploaded(request, etag))
            }
            Operation::PutPart => {
                let number = request.query("partNumber").unwrap_or_default().parse()?;
                let etag = objects.put_part(id, number, received.uploaded);
                etag.map(|etag| uploaded(request, etag))
            }
            Operation::CreateUpload => {
                let id = objects.create_upload(key);
                Ok(Reply::xml(xml::created_upload(bucket, key, &id)))
            }
            Operation::CompleteUpload => {
                let parts = parts(&received.text)?;
                let etag = objects.complete(id, &parts, pattern);
                etag.map(|etag| Reply::xml(xml::completed_upload(bucket, key, &etag)))
            }
            Operation::Abort => objects.abort(id).map(|()| Reply::empty(204)),
            Operation::Delete => {
                objects.remove(key);
                Ok(Reply::empty(204))
            }
            Operation::DeleteMany => {
                let keys = xml::texts(&received.text, "Key");
                keys.iter().for_each(|key| objects.remove(key));
                Ok(Reply::xml(xml::deleted(&keys)))
            }
            Operation::ListParts => {
                let after = request.query("part-number-marker").unwrap_or("0").parse()?;
                let upload = objects.upload(id);
                upload.map(|upload| Reply::xml(xml::listed_parts(bucket, id, &upload, after)))
            }
            Operation::ListUploads => Ok(Reply::xml(xml::listed_uploads(bucket, &objects.uploads()))),
            Operation::Bucket => Ok(self.bucket(request)),
        })
    }

    fn get(&self, request: &Request) -> Result<Reply, Refusal> {
        let object = self.objects.get(&request.key)?;
        if request.header("if-match").is_some_and(|etag| etag != object.etag) {
            return Err(Refusal("PreconditionFailed"));
        }
        let range = request
            .range(object.length)
            .map_err(|super::request::Unsatisfiable| Refusal("InvalidRange"))?;
        let reply = match range {
            Some(range) => {
                let stated = format!("bytes {}-{}/{}", range.start, range.end - 1, object.length);
                Reply::new(206, Body::Content(range)).header("Content-Range", stated)
            }
            None => Reply::new(200, Body::Content(0..object.length)),
        };
        Ok(reply
            .header("ETag", object.etag)
            .header("Last-Modified", LAST_MODIFIED)
            .header("Accept-Ranges", "bytes")
            .header("Content-Type", "application/octet-stream"))
    }

    fn bucket(&self, request: &Request) -> Reply {
        if request.method == "GET" {
            let prefix = request.query("prefix").unwrap_or_default();
            let objects = self.objects.with_prefix(prefix);
            return Reply::xml(xml::listed(&request.bucket, prefix, &objects));
        }
        Reply::empty(200).header("x-amz-bucket-region", REGION)
    }
}

/// Returns the reply to an upload. S3 repeats the checksum that it has verified. With this encryption its ETags are no
/// MD5 digests, as here. AWS's SDK for Java verifies all others.
fn uploaded(request: &Request, etag: String) -> Reply {
    let checksums = request
        .headers()
        .filter(|(name, _)| name.starts_with("x-amz-checksum-"));
    let reply = Reply::empty(200)
        .header("ETag", etag)
        .header("x-amz-server-side-encryption", "aws:kms");
    checksums.fold(reply, |reply, (name, value)| reply.header(name, value))
}

/// Returns the numbers and ETags of a completed upload.
fn parts(text: &str) -> anyhow::Result<Vec<(u32, String)>> {
    let parts = xml::texts(text, "Part").into_iter().map(|part| {
        let number = xml::texts(&part, "PartNumber");
        let etag = xml::texts(&part, "ETag");
        let number = number.first().context("a part has no number")?.parse()?;
        Ok((number, etag.first().context("a part has no ETag")?.clone()))
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_with_any_quotes() {
        let text = "<CompleteMultipartUpload><Part><ETag>\"a\"</ETag><PartNumber>1</PartNumber></Part>\
                    <Part><PartNumber>2</PartNumber><ETag>&quot;b&quot;</ETag></Part></CompleteMultipartUpload>";
        assert_eq!(parts(text).unwrap(), [(1, "\"a\"".to_owned()), (2, "\"b\"".to_owned())]);
    }
}
