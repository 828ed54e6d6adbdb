//! The choice between checksums and signed payloads.

use std::ffi::OsString;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key};
use url::Url;

/// Returns `true` if payloads are sent unsigned and with a checksum: over TLS, which already authenticates the bytes,
/// unless the caller has decided otherwise.
///
/// `builder` contains the settings of the environment and of the URL, `url` those of the URL, and `environment` the names
/// of the environment's variables.
pub(in crate::stores) fn uses_checksums<'a>(
    builder: &AmazonS3Builder,
    url: impl IntoIterator<Item = &'a Key>,
    environment: impl IntoIterator<Item = OsString>,
) -> bool {
    is_https(builder) && !url.into_iter().any(is_decision) && !environment.into_iter().any(decides)
}

/// Returns `true` if the setting decides how payloads are protected. The builder's own value does not tell, because it has
/// a default.
fn is_decision(key: &Key) -> bool {
    matches!(key, Key::UnsignedPayload | Key::Checksum)
}

/// Returns `true` if object_store reads such a setting from the environment's variable of this name.
fn decides(variable: OsString) -> bool {
    let name = variable.to_str().filter(|name| name.starts_with("AWS_"));
    let key = name.and_then(|name| name.to_ascii_lowercase().parse().ok());
    key.as_ref().is_some_and(is_decision)
}

/// Returns `true` if the store's endpoint, or AWS's if none is set, uses TLS.
fn is_https(builder: &AmazonS3Builder) -> bool {
    const HTTPS: &str = "https://";
    endpoint(builder).is_none_or(|endpoint| {
        let scheme = endpoint.get(..HTTPS.len());
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(HTTPS))
    })
}

fn endpoint(builder: &AmazonS3Builder) -> Option<String> {
    let keys = [Key::S3Endpoint, Key::Endpoint];
    keys.iter().find_map(|key| builder.get_config_value(key))
}

/// Names the store in messages: its bucket, and its host if it is not AWS's.
pub(super) fn store_name(builder: &AmazonS3Builder) -> String {
    let bucket = builder.get_config_value(&Key::Bucket).unwrap_or_default();
    // Only the host, because the rest of a URL may contain a secret.
    let url = endpoint(builder).and_then(|endpoint| Url::parse(&endpoint).ok());
    match url.as_ref().and_then(Url::host_str) {
        Some(host) => format!("bucket \"{bucket}\" at {host}"),
        None => format!("bucket \"{bucket}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(settings: &[(Key, &str)], environment: &[&str]) -> bool {
        let mut builder = AmazonS3Builder::new();
        for (key, value) in settings {
            builder = builder.with_config(*key, *value);
        }
        let keys = settings.iter().map(|(key, _)| key);
        uses_checksums(&builder, keys, environment.iter().map(OsString::from))
    }

    #[test]
    fn only_stores_over_https_use_checksums() {
        assert!(uses(&[], &[]), "AWS's own endpoint");
        assert!(uses(&[(Key::S3Express, "true")], &[]));
        assert!(uses(&[(Key::Endpoint, "https://store.example")], &[]));
        assert!(uses(&[(Key::Endpoint, "HTTPS://store.example:9000")], &[]));
        assert!(!uses(&[(Key::Endpoint, "http://127.0.0.1:9000")], &[]));
        assert!(!uses(&[(Key::Endpoint, "é")], &[]));
    }

    #[test]
    fn the_endpoint_for_s3_has_precedence() {
        let (plain, tls) = ("http://store.example", "https://store.example");
        assert!(!uses(&[(Key::S3Endpoint, plain), (Key::Endpoint, tls)], &[]));
        assert!(uses(&[(Key::S3Endpoint, tls), (Key::Endpoint, plain)], &[]));
    }

    #[test]
    fn a_decision_of_the_caller_wins() {
        for value in ["true", "false"] {
            assert!(!uses(&[(Key::UnsignedPayload, value)], &[]));
        }
        for value in ["sha256", "crc64nvme"] {
            assert!(!uses(&[(Key::Checksum, value)], &[]));
        }
        for variable in ["AWS_UNSIGNED_PAYLOAD", "AWS_CHECKSUM_ALGORITHM", "AWS_unsigned_payload"] {
            assert!(!uses(&[], &[variable]), "{variable}");
        }
    }

    #[test]
    fn other_variables_decide_nothing() {
        let others = ["AWS_REGION", "UNSIGNED_PAYLOAD", "aws_unsigned_payload", "AWS_", "PATH"];
        assert!(uses(&[], &others));
    }

    #[test]
    fn a_store_is_named_without_secrets() {
        let builder = AmazonS3Builder::new().with_bucket_name("b");
        assert_eq!(store_name(&builder), "bucket \"b\"");
        let builder = builder.with_endpoint("https://user:hush@store.example:9000/path?token=hush");
        assert_eq!(store_name(&builder), "bucket \"b\" at store.example");
    }
}
