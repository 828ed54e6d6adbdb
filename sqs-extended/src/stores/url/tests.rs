use super::*;
use crate::error::ErrorKind;

fn opened(url: &str) -> (String, String) {
    let store = OpenedStore::open(url).unwrap();
    (store.bucket, store.prefix)
}

/// The error of an invalid URL.
fn error_of(url: &str) -> String {
    let Err(error) = OpenedStore::open(url) else {
        panic!("{url} was opened");
    };
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{url}");
    assert!(std::error::Error::source(&error).is_none(), "{url}");
    error.to_string()
}

fn named(bucket: &str, prefix: &str) -> (String, String) {
    (bucket.to_owned(), prefix.to_owned())
}

#[test]
fn a_prefix_ends_in_a_slash_whether_or_not_the_url_does() {
    assert_eq!(opened("memory:///"), named("memory", ""));
    assert_eq!(opened("memory:///p"), named("memory", "p/"));
    assert_eq!(opened("memory:///p/q/"), named("memory", "p/q/"));
    assert_eq!(opened("memory:///a%20b?bucket=mine"), named("mine", "a b/"));
}

#[test]
fn an_invalid_url_is_an_error() {
    for (url, why) in [
        ("", "not a URL"),
        ("bucket/prefix", "not a URL"),
        ("ftp://bucket/prefix", "no store for ftp"),
        ("https://bucket.s3.amazonaws.com/", "no store for https"),
        ("memory://host/p", "memory:///"),
        ("memory:///p#part", "fragment"),
        ("memory:///%FF", "not UTF-8"),
        ("memory:///p?region=here", "no option `region`"),
        ("memory:///p?bucket=a&bucket=b", "twice"),
    ] {
        let error = error_of(url);
        assert!(error.contains(why), "{url}: {error}");
    }
}

#[cfg(feature = "fs")]
#[test]
fn a_folder_must_exist() {
    let folder = tempfile::tempdir().unwrap();
    let url = Url::from_file_path(folder.path()).unwrap();
    assert_eq!(opened(url.as_str()), named("file", ""));
    assert_eq!(opened(&format!("{url}?bucket=mine")), named("mine", ""));
    assert!(error_of(&format!("{url}/missing")).contains("folder cannot be used"));
    assert!(!folder.path().join("missing").exists());
    assert!(error_of("file://host/folder").contains("file:///"));
    assert!(error_of(&format!("{url}?region=here")).contains("no option"));
}

#[cfg(not(feature = "gcs"))]
#[test]
fn a_scheme_whose_feature_is_off_names_the_feature() {
    assert!(error_of("gs://bucket/p").contains("the feature `gcs`"));
}

#[cfg(feature = "s3")]
mod s3 {
    use super::*;

    #[test]
    fn every_option_of_the_builder_is_accepted() {
        for options in [
            "",
            "?region=eu-west-1",
            "?aws_region=eu-west-1&AWS_SKIP_SIGNATURE=true",
            "?endpoint=http://127.0.0.1:9000&access_key_id=a&secret_access_key=b&token=c",
            "?server_side_encryption=aws:kms&sse_kms_key_id=k&sse_bucket_key_enabled=true",
            "?checksum_algorithm=sha256&unsigned_payload=true&disable_bulk_delete=true&request_payer=true",
            "?virtual_hosted_style_request=true&disable_tagging=true&conditional_put=disabled",
            "?connect_timeout=1s&read_timeout=2%20minutes&default_content_type=text/plain&allow_http=true",
        ] {
            assert_eq!(
                opened(&format!("s3://bucket/p{options}")),
                named("bucket", "p/"),
                "{options}"
            );
        }
    }

    #[test]
    fn only_a_store_over_https_without_a_decision_sends_checksums() {
        let sends_checksums = |options: &str| {
            let opened = OpenedStore::open(&format!("s3://bucket/p?{options}")).unwrap();
            assert!(opened.s3.is_some() && opened.multipart.is_some() && opened.pressure.is_some());
            format!("{:?}", opened.store).starts_with("ChecksummedS3")
        };
        for options in [
            "",
            "region=eu-west-1",
            "endpoint=https://store.example",
            "skip_signature=true",
        ] {
            assert!(sends_checksums(options), "{options}");
        }
        for options in [
            "endpoint=http://127.0.0.1:9000",
            "unsigned_payload=true",
            "aws_unsigned_payload=false",
            "checksum_algorithm=sha256",
            "endpoint=https://store.example&checksum_algorithm=crc64nvme",
        ] {
            assert!(!sends_checksums(options), "{options}");
        }
    }

    #[test]
    fn wrong_options_are_errors() {
        for (url, why) in [
            ("s3:///p", "names no bucket"),
            ("s3://bucket:9000/p", "?endpoint="),
            ("s3://bucket?colour=red", "no option `colour`"),
            ("s3://bucket?bucket=other", "already names"),
            ("s3://bucket?timeout=5s", "no effect"),
            ("s3://bucket?proxy_url=http://proxy", "no effect"),
            ("s3://bucket?read_timeout=soon", "not a time"),
            ("s3://bucket?unsigned_payload=perhaps", "perhaps"),
            ("s3://bucket?access_key_id=a", "cannot work"),
        ] {
            let error = error_of(url);
            assert!(error.contains(why), "{url}: {error}");
        }
    }

    #[test]
    fn no_error_repeats_a_secret() {
        for url in [
            "s3://hush@bucket/p",
            "s3://user:hush@bucket/p",
            "s3://bucket:99999/?secret_access_key=hush",
            "s3://bucket/?secret_access_key=hush",
            "s3://bucket/?secret_access_key=hush&colour=hush",
            "s3://bucket/?secret_access_key=hush&secret_access_key=hush",
            "s3://bucket/?read_timeout=hush",
            "s3://bucket/?access_key_id=a&secret_access_key=hush&unsigned_payload=hush",
        ] {
            let error = error_of(url);
            assert!(!error.contains("hush"), "{url}: {error}");
        }
    }
}

#[cfg(feature = "gcs")]
#[test]
fn google_cloud_storage_is_opened() {
    let key = r#"{"private_key":"private_key","private_key_id":"id","client_email":"e","disable_oauth":true}"#;
    let key = percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC);
    let url = format!("gs://bucket/p?google_service_account_key={key}");
    assert_eq!(opened(&url), named("bucket", "p/"));
    assert_eq!(opened("gs://bucket?skip_signature=true"), named("bucket", ""));
    let error = error_of("gs://bucket?service_account_key=%22hush%22");
    assert!(!error.contains("hush"), "{error}");
    assert!(error_of("gs://bucket?region=here").contains("no option"));
}

#[cfg(feature = "azure")]
#[test]
fn azure_blob_storage_is_opened() {
    let options = "account_name=me&account_key=a2V5";
    for url in [
        format!("az://container/p?{options}"),
        format!("abfs://container/p/?{options}"),
        format!("az://container/p?{options}&endpoint=http://127.0.0.1:10000/me"),
        "abfss://container@me.dfs.core.windows.net/p?account_key=a2V5".to_owned(),
    ] {
        assert_eq!(opened(&url), named("container", "p/"), "{url}");
    }
    for url in [
        "az://container/p?account_name=me&account_key=hush!",
        "az://container:hush@me.dfs.core.windows.net/p",
    ] {
        let error = error_of(url);
        assert!(!error.contains("hush"), "{url}: {error}");
    }
    assert!(error_of("az://container?container_name=other").contains("already names"));
}

#[test]
fn only_a_store_over_http_counts_requests_to_slow_down() {
    assert!(OpenedStore::open("memory:///p").unwrap().pressure.is_none());
    #[cfg(feature = "gcs")]
    assert!(
        OpenedStore::open("gs://b?skip_signature=true")
            .unwrap()
            .pressure
            .is_some()
    );
    #[cfg(feature = "azure")]
    {
        let url = "az://container/p?account_name=me&account_key=a2V5";
        assert!(OpenedStore::open(url).unwrap().pressure.is_some());
    }
}

/// object_store itself asks the metadata service for a token before uploads and deletions.
#[cfg(feature = "gcs")]
#[tokio::test]
async fn google_cloud_storage_without_a_signature_sends_no_token() {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};

    use object_store::ObjectStoreExt as _;

    const UPLOAD: &str = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut heads = Vec::new();
        for body in ["", UPLOAD, "", "", ""] {
            let (mut connection, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(&connection);
            let lines = reader.by_ref().lines().map(Result::unwrap);
            let head: Vec<_> = lines
                .take_while(|line| !line.is_empty())
                .map(|line| line.to_lowercase())
                .collect();
            let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
            let mut sent = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            reader.read_exact(&mut sent).unwrap();
            let headers = format!(
                "content-length: {}\r\netag: \"e\"\r\nlast-modified: Wed, 25 Nov 2026 10:00:00 GMT\r\nconnection: close",
                body.len()
            );
            write!(connection, "HTTP/1.1 200 OK\r\n{headers}\r\n\r\n{body}").unwrap();
            heads.push(head);
        }
        heads
    });
    let url = format!("gs://bucket/p?skip_signature=TRUE&base_url=http://{address}");
    let store = OpenedStore::open(&url).unwrap().store;
    let key = object_store::path::Path::from("p/k");
    store.put(&key, "payload".into()).await.unwrap();
    let mut upload = store.put_multipart(&key).await.unwrap();
    upload.put_part("part".into()).await.unwrap();
    store.head(&key).await.unwrap();
    store.delete(&key).await.unwrap();
    let heads = server.join().unwrap();
    let signed = |head: &Vec<String>| head.iter().any(|line| line.starts_with("authorization"));
    assert!(!heads.iter().any(signed), "{heads:?}");
}
