//! The few XML documents of S3 that the store reads and writes.

use super::objects::{Object, Upload};

/// The time at which every object was stored.
pub(super) const MODIFIED: &str = "2026-11-21T23:51:13.000Z";

const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;
const NAMESPACE: &str = r#"xmlns="http://s3.amazonaws.com/doc/2006-03-01/""#;

/// Returns the texts of all elements with this name.
pub(super) fn texts(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let elements = xml.split(&open).skip(1);
    let texts = elements.filter_map(|rest| rest.split_once(&close).map(|(text, _)| text));
    texts.map(unescaped).collect()
}

pub(super) fn error(code: &str, resource: &str) -> String {
    let message = match code {
        "SlowDown" => "Please reduce your request rate.",
        "BadDigest" => "The content is not that of the benchmark, or a part is misplaced.",
        _ => "The shaped store refuses the request.",
    };
    format!(
        "{DECLARATION}<Error><Code>{code}</Code><Message>{message}</Message><Resource>{}</Resource>\
         <RequestId>0</RequestId></Error>",
        escaped(resource)
    )
}

pub(super) fn created_upload(bucket: &str, key: &str, id: &str) -> String {
    let key = escaped(key);
    format!(
        "{DECLARATION}<InitiateMultipartUploadResult {NAMESPACE}><Bucket>{bucket}</Bucket><Key>{key}</Key>\
         <UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
    )
}

pub(super) fn completed_upload(bucket: &str, key: &str, etag: &str) -> String {
    let key = escaped(key);
    format!(
        "{DECLARATION}<CompleteMultipartUploadResult {NAMESPACE}><Location>/{bucket}/{key}</Location>\
         <Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>{}</ETag></CompleteMultipartUploadResult>",
        escaped(etag)
    )
}

pub(super) fn deleted(keys: &[String]) -> String {
    let deleted = keys
        .iter()
        .map(|key| format!("<Deleted><Key>{}</Key></Deleted>", escaped(key)));
    let deleted: String = deleted.collect();
    format!("{DECLARATION}<DeleteResult {NAMESPACE}>{deleted}</DeleteResult>")
}

pub(super) fn listed(bucket: &str, prefix: &str, objects: &[(String, Object)]) -> String {
    let contents = objects.iter().map(|(key, object)| {
        format!(
            "<Contents><Key>{}</Key><LastModified>{MODIFIED}</LastModified><ETag>{}</ETag><Size>{}</Size>\
             <StorageClass>STANDARD</StorageClass></Contents>",
            escaped(key),
            escaped(&object.etag),
            object.length
        )
    });
    let contents: String = contents.collect();
    format!(
        "{DECLARATION}<ListBucketResult {NAMESPACE}><Name>{bucket}</Name><Prefix>{}</Prefix>\
         <KeyCount>{}</KeyCount><MaxKeys>{}</MaxKeys><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>",
        escaped(prefix),
        objects.len(),
        objects.len().max(1000)
    )
}

pub(super) fn listed_uploads(bucket: &str, uploads: &[(String, Upload)]) -> String {
    let uploads = uploads.iter().map(|(id, upload)| {
        format!(
            "<Upload><Key>{}</Key><UploadId>{id}</UploadId><Initiated>{MODIFIED}</Initiated></Upload>",
            escaped(&upload.key)
        )
    });
    let uploads: String = uploads.collect();
    format!(
        "{DECLARATION}<ListMultipartUploadsResult {NAMESPACE}><Bucket>{bucket}</Bucket>\
         <IsTruncated>false</IsTruncated>{uploads}</ListMultipartUploadsResult>"
    )
}

pub(super) fn listed_parts(bucket: &str, id: &str, upload: &Upload, after: u32) -> String {
    const MAX: usize = 1000;

    let mut left = upload.parts.range(after + 1..);
    let parts: Vec<_> = left.by_ref().take(MAX).collect();
    let last = parts.last().map_or(0, |(number, _)| **number);
    let is_truncated = left.next().is_some();
    let parts = parts.iter().map(|(number, part)| {
        format!(
            "<Part><PartNumber>{number}</PartNumber><LastModified>{MODIFIED}</LastModified><ETag>{}</ETag>\
             <Size>{}</Size></Part>",
            escaped(&part.etag),
            part.uploaded.length
        )
    });
    let parts: String = parts.collect();
    format!(
        "{DECLARATION}<ListPartsResult {NAMESPACE}><Bucket>{bucket}</Bucket><Key>{}</Key><UploadId>{id}</UploadId>\
         <PartNumberMarker>{after}</PartNumberMarker><NextPartNumberMarker>{last}</NextPartNumberMarker>\
         <MaxParts>{MAX}</MaxParts><IsTruncated>{is_truncated}</IsTruncated>{parts}</ListPartsResult>",
        escaped(&upload.key)
    )
}

const ESCAPES: [(&str, &str); 4] = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\"")];

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    let escapes = ESCAPES[..3].iter();
    escapes.fold(text, |text, (escape, plain)| text.replace(plain, escape))
}

fn unescaped(text: &str) -> String {
    let text = ESCAPES
        .iter()
        .fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain));
    text.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_unescaped() {
        let xml = "<Delete><Object><Key>a&amp;lt;b</Key></Object><Object><Key>&#34;c&quot;</Key></Object></Delete>";
        assert_eq!(texts(xml, "Key"), ["a&lt;b", "\"c\""]);
        assert_eq!(unescaped(&escaped("<a>&\"&amp;")), "<a>&\"&amp;");
    }
}
