//! Reads what a store's server said out of object_store's errors.
//!
//! object_store makes `NotFound` of every 404, and keeps its error with status and body to itself. Its text ends with both.

use std::error::Error as _;

use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt as _, Result};

/// The text before a server's status and body in object_store's error.
const STATUS: &str = "Server returned non-2xx status code: ";

/// The beginning of Google's message about a missing object; that about a missing bucket has the same reason.
const NO_SUCH_OBJECT: &str = "No such object: ";

/// The most text that is kept of a store's error: by [`StoreConnector`](crate::store::StoreConnector) a refusal fits.
const MAX_TEXT: usize = 18 * 1024;

/// What is not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotFound {
    /// The object, by the store's own word.
    Object,
    /// The bucket or the container.
    Bucket,
    /// A 404 that does not say: a gateway's page, or the response to a HEAD, which has no body.
    Unclear,
}

impl NotFound {
    /// Returns what is not found, or `None` for another error.
    pub(crate) fn of(error: &Error) -> Option<Self> {
        let Error::NotFound { .. } = error else {
            return None;
        };
        // Stores without a server (memory, folders, tables) say it themselves.
        let Some(body) = server_said(error) else {
            return Some(Self::Object);
        };
        Some(match xml_code(&body) {
            Some("NoSuchKey" | "BlobNotFound") => Self::Object,
            Some("NoSuchBucket" | "ContainerNotFound") => Self::Bucket,
            _ if is_googles_missing_object(&body) => Self::Object,
            _ => Self::Unclear,
        })
    }
}

/// Returns `true` if the store says that it has no such object.
pub(crate) fn is_missing_object(error: &Error) -> bool {
    NotFound::of(error) == Some(NotFound::Object)
}

/// Returns `true` if the store says that it has no such upload: it was completed, or aborted.
pub(crate) fn is_missing_upload(error: &Error) -> bool {
    // Azure has blocks in place of uploads, and they are gone once they are committed.
    let code = server_said(error);
    let code = code.as_deref().and_then(xml_code);
    matches!(code, Some("NoSuchUpload" | "InvalidBlockList"))
}

/// Returns `true` if the store refuses the request because its clock and this machine's are too far apart.
pub(crate) fn refuses_time(error: &Error) -> bool {
    let code = server_said(error);
    let code = code.as_deref().and_then(xml_code);
    matches!(code, Some("RequestTimeTooSkewed" | "RequestExpired"))
}

/// Cuts what the error says where that is long, as object_store keeps a refusal's whole body.
pub(crate) fn bounded(mut error: Error) -> Error {
    let source = match &mut error {
        Error::Generic { source, .. }
        | Error::NotFound { source, .. }
        | Error::NotSupported { source }
        | Error::AlreadyExists { source, .. }
        | Error::Precondition { source, .. }
        | Error::NotModified { source, .. }
        | Error::PermissionDenied { source, .. }
        | Error::Unauthenticated { source, .. } => source,
        // They are object_store's own, and say little.
        _ => return error,
    };
    let mut text = source.to_string();
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT));
        *source = text.into();
    }
    error
}

/// Returns an object's metadata, or `None` if the store says that there is no such object.
pub(crate) async fn find(store: &dyn ObjectStore, key: &Path) -> Result<Option<ObjectMeta>> {
    let found = match store.head(key).await {
        // A HEAD's 404 has no body that could say what is not found.
        Err(error) if NotFound::of(&error) == Some(NotFound::Unclear) => store.get(key).await.map(|found| found.meta),
        found => found,
    };
    match found {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if is_missing_object(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns `true` if both are of the same version of an object. Both are of a HEAD or a GET: listings write ETags and
/// times in other ways.
pub(crate) fn is_same_version(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    one.e_tag == other.e_tag && one.size == other.size && one.last_modified == other.last_modified
}

/// The body of the server's refusal.
fn server_said(error: &Error) -> Option<String> {
    // Not the error's own text, which begins with the key: that is the sender's.
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let mut texts = causes.map(ToString::to_string);
    texts.find_map(|text| {
        let (_, refusal) = text.split_once(STATUS)?;
        Some(refusal.split_once(": ").map_or("", |(_, body)| body).to_owned())
    })
}

/// The code of an XML error. Only the first `Code` counts, as what follows may quote the request.
pub(crate) fn xml_code(body: &str) -> Option<&str> {
    let body = body.trim_start_matches('\u{feff}').trim_start();
    let error = match body.strip_prefix("<?xml") {
        Some(declared) => declared.split_once("?>")?.1.trim_start(),
        None => body,
    };
    let (_, code) = error.strip_prefix("<Error")?.split_once("<Code>")?;
    Some(code.split_once("</Code>")?.0.trim())
}

/// By the JSON API and by downloads, which respond with text.
fn is_googles_missing_object(body: &str) -> bool {
    let json = serde_json::from_str::<serde_json::Value>(body).unwrap_or_default();
    let message = json.pointer("/error/message").and_then(|message| message.as_str());
    message.unwrap_or(body).starts_with(NO_SUCH_OBJECT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: &str, body: &str) -> Error {
        Error::NotFound {
            path: "k".to_owned(),
            source: format!("Error performing GET http://s/b/k in 1ms - {STATUS}{status}: {body}").into(),
        }
    }

    #[test]
    fn only_the_stores_word_is_a_missing_object() {
        for (body, expected) in [
            ("<Error><Code>NoSuchKey</Code></Error>", NotFound::Object),
            (
                "\u{feff}<?xml version=\"1.0\"?>\n<Error>\n<Code> BlobNotFound </Code></Error>",
                NotFound::Object,
            ),
            ("No such object: b/k", NotFound::Object),
            (
                r#"{"error":{"code":404,"message":"No such object: b/k"}}"#,
                NotFound::Object,
            ),
            ("<Error><Code>NoSuchBucket</Code></Error>", NotFound::Bucket),
            ("<Error><Code>ContainerNotFound</Code></Error>", NotFound::Bucket),
            ("", NotFound::Unclear),
            ("404 page not found", NotFound::Unclear),
            ("<html><Code>NoSuchKey</Code></html>", NotFound::Unclear),
            (
                "<?xml version=\"1.0\"?><html><Error><Code>NoSuchKey</Code></html>",
                NotFound::Unclear,
            ),
            (
                r#"{"error":{"code":404,"message":"The specified bucket does not exist."}}"#,
                NotFound::Unclear,
            ),
            (
                "<Error><Code>Other</Code><Key><Code>NoSuchKey</Code></Key></Error>",
                NotFound::Unclear,
            ),
        ] {
            assert_eq!(NotFound::of(&status("404 Not Found", body)), Some(expected), "{body}");
        }
    }

    #[test]
    fn a_store_without_a_server_is_believed() {
        let error = Error::NotFound {
            path: "k".to_owned(),
            source: "gone".into(),
        };
        assert_eq!(NotFound::of(&error), Some(NotFound::Object));
        let error = Error::Generic {
            store: "test",
            source: "<Error><Code>NoSuchKey</Code></Error>".into(),
        };
        assert_eq!(NotFound::of(&error), None);
    }

    #[test]
    fn a_key_is_not_taken_for_a_response() {
        let error = Error::NotFound {
            path: format!("{STATUS}404 Not Found: No such object: "),
            source: format!("{STATUS}404 Not Found: a page").into(),
        };
        assert_eq!(NotFound::of(&error), Some(NotFound::Unclear));
    }

    #[test]
    fn an_upload_is_missing_by_its_own_codes() {
        let upload = |code: &str| is_missing_upload(&status("400 Bad Request", &format!("<Error><Code>{code}</Code>")));
        assert!(upload("NoSuchUpload") && upload("InvalidBlockList"));
        assert!(!upload("NoSuchKey") && !upload("NoSuchBucket"));
    }
}
