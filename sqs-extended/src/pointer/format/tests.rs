use proptest::prelude::*;

use super::*;
use crate::pointer::testing::pointers;

const PLAIN: &str = r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"B","s3Key":"K"}]"#;

fn with(members: &str) -> String {
    format!(r#"["{CLASS}",{{{members}}}]"#)
}

/// Adds members to bucket and key.
fn with_extras(members: &str) -> String {
    with(&format!(r#""s3BucketName":"B","s3Key":"K",{members}"#))
}

#[test]
fn a_plain_pointer_is_written_as_javas_library_does() {
    assert_eq!(Pointer::new("B", "K").to_string(), PLAIN);
    assert_eq!(PLAIN.parse(), Ok(Pointer::new("B", "K")));
}

#[test]
fn extras_follow_bucket_and_key() {
    let hex = "0".repeat(64);
    let mut pointer = Pointer::new("B", "K");
    pointer.length = Some(5);
    pointer.digest = Some(format!("blake3:{hex}").parse().unwrap());
    let text = pointer.to_string();
    let extras = format!(r#""payloadVersion":1,"payloadLength":5,"payloadDigest":"blake3:{hex}""#);
    assert_eq!(text, with_extras(&extras));
    assert_eq!(text.parse(), Ok(pointer.clone()));

    pointer.encoding = serde_json::from_str(r#"{"compression":"zstd"}"#).unwrap();
    pointer.content_type = Some("text/plain".to_owned());
    pointer.mac = Some(format!("k1:{hex}").parse().unwrap());
    let text = pointer.to_string();
    let extras = format!(
        r#"{},"payloadEncoding":{{"compression":"zstd"}},"payloadContentType":"text/plain","payloadMac":"k1:{hex}""#,
        extras.replace(":1", ":2")
    );
    assert_eq!(text, with_extras(&extras));
    assert_eq!(text.parse(), Ok(pointer));
}

#[test]
fn null_means_absent() {
    let nulls = [
        "payloadVersion",
        "payloadLength",
        "payloadDigest",
        "payloadEncoding",
        "payloadContentType",
        "payloadMac",
    ];
    let nulls = nulls.map(|name| format!(r#""{name}":null"#)).join(",");
    assert_eq!(with_extras(&nulls).parse(), Ok(Pointer::new("B", "K")));
    assert!(with(r#""s3BucketName":"B","s3Key":null"#).parse::<Pointer>().is_err());
}

#[test]
fn the_formats_of_other_libraries_are_read() {
    let java_1_0 = PLAIN.replace(CLASS, CLASS_OF_JAVA_1_0);
    let spaced =
        r#" [ "software.amazon.payloadoffloading.PayloadS3Pointer" , { "s3Key" : "K", "s3BucketName" : "B" } ] "#;
    let unknown = with(r#""s3BucketName":"B","new":[{"deep":[[[[null]]]]}],"s3Key":"K""#);
    let deep = with_extras(&format!(r#""new":{}{}"#, "[".repeat(5000), "]".repeat(5000)));
    let net = r#"{"S3BucketName":"B","S3Key":"K"}"#;
    let net_spaced = "\n { \"s3key\" : \"K\", \"S3BUCKETNAME\" : \"B\", \"other\" : {} }\n";
    for text in [java_1_0.as_str(), spaced, &unknown, &deep, net, net_spaced] {
        assert_eq!(text.parse(), Ok(Pointer::new("B", "K")), "{text}");
    }
}

#[test]
fn a_newer_version_is_reported_whatever_it_contains() {
    for text in [
        with_extras(r#""payloadVersion":3"#),
        with_extras(r#""payloadVersion":3,"payloadEncoding":"another type","payloadLength":{}"#),
    ] {
        let error = text.parse::<Pointer>().unwrap_err();
        assert!(error.to_string().contains("version is unknown"), "{error}");
    }
}

#[test]
fn an_encoding_requires_version_2() {
    let encoding = r#""payloadEncoding":{"compression":"zstd"}"#;
    for version in ["", r#""payloadVersion":1,"#] {
        assert!(with_extras(&format!("{version}{encoding}")).parse::<Pointer>().is_err());
    }
    let pointer: Pointer = with_extras(&format!(r#""payloadVersion":2,{encoding}"#))
        .parse()
        .unwrap();
    assert_eq!(pointer.encoding.compression.as_deref(), Some("zstd"));
}

#[test]
fn other_texts_are_refused() {
    let nested = format!(r#"["{CLASS}",{PLAIN}]"#);
    let deep = "[".repeat(MAX_BYTES);
    let deep_object = r#"{"a":"#.repeat(MAX_BYTES / 5);
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
        r#"["software.amazon.payloadoffloading.PayloadS3Pointer",["B","K"]]"#,
        r#"[{"s3BucketName":"B","s3Key":"K"}]"#,
        r#"{"s3BucketName":"B","s3Key":"K"}{}"#,
        r#"{"S3Key":"K"}"#,
        r#"{"S3BucketName":"B","S3Key":7}"#,
        r#"{"S3BucketName":"B","S3Key":"K","s3key":"L"}"#,
        &with(r#""s3BucketName":"B""#),
        &with(r#""s3BucketName":1,"s3Key":"K""#),
        &with(r#""s3BucketName":["B"],"s3Key":{"s3Key":"K"}"#),
        &with(r#""s3BucketName":null,"s3Key":"K""#),
        &with_extras(r#""s3Key":"L""#),
        &with_extras(r#""payloadLength":-1"#),
        &with_extras(r#""payloadLength":"2""#),
        &with_extras(r#""payloadLength":1,"payloadLength":1"#),
        &with_extras(r#""payloadDigest":"md5:0""#),
        &with_extras(r#""payloadVersion":0"#),
        &with_extras(r#""payloadVersion":"1""#),
        &with_extras(r#""payloadVersion":2,"payloadEncoding":"zstd""#),
        &with_extras(r#""payloadVersion":2,"payloadEncoding":{"encryption":{"scheme":"s"}}"#),
        &with_extras(r#""payloadContentType":["text/plain"]"#),
        &with_extras(r#""payloadMac":"""#),
        &with_extras(r#""payloadMac":"k:00""#),
        &nested,
        &deep,
        &deep_object,
        &huge,
        &third,
        &trailing,
    ] {
        let error = text.parse::<Pointer>().unwrap_err();
        assert!(!error.to_string().contains('K'), "the error quotes the text: {error}");
    }
}

proptest! {
    #[test]
    fn every_pointer_survives_a_round_trip(pointer in pointers()) {
        prop_assert_eq!(pointer.to_string().parse(), Ok(pointer));
    }

    #[test]
    fn a_bare_object_with_names_in_any_case_is_read(bucket in any::<String>(), key in any::<String>(), case in any::<[bool; 17]>()) {
        let pointer = Pointer::new(bucket, key);
        let mut cases = case.into_iter();
        let mut recase = |name: &str| -> String {
            let mut recased = String::new();
            for (c, upper) in name.chars().zip(&mut cases) {
                recased.push(if upper { c.to_ascii_uppercase() } else { c });
            }
            recased
        };
        let object = serde_json::json!({recase(BUCKET): pointer.bucket, recase(KEY): pointer.key});
        prop_assert_eq!(object.to_string().parse(), Ok(pointer));
    }

    #[test]
    fn the_parser_never_panics(text in any::<String>()) {
        let _ = text.parse::<Pointer>();
    }

    #[test]
    fn the_parser_never_panics_on_a_damaged_pointer(pointer in pointers(), at in any::<prop::sample::Index>(), with in any::<char>()) {
        let mut chars: Vec<char> = pointer.to_string().chars().collect();
        *at.get_mut(&mut chars) = with;
        let _ = chars.into_iter().collect::<String>().parse::<Pointer>();
    }
}
