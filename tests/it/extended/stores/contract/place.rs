//! A prefix of its own in a bucket or a container of a real store.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::{Path, PathPart};
use object_store::{ClientOptions, ObjectStore, StaticCredentialProvider};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqs_extended::store::{PayloadStore, PayloadStoreBuilder, StoreConnector};
use sqs_tests::servers::{Server, Unavailable};

use super::super::super::store::{BUCKET, Bucket, keys};
use crate::harness::{Harness, unique};

/// A secret of the right form that no server has. It must not appear in any output.
const WRONG_SECRET: &str = "d3Jvbmctc2VjcmV0LXRoYXQtaXMtbm90LXNob3du";

/// The minimum size of a part other than the last.
pub const PART: usize = 5 * 1024 * 1024;

/// A real store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Minio,
    Moto,
    S3sFs,
    Azurite,
    /// s3s-fs through the client of Google Cloud Storage, whose XML API is that of S3. No emulator of Google Cloud
    /// Storage accepts that client's uploads.
    GoogleClient,
    /// Only on request.
    SeaweedFs,
    /// Only on request.
    Garage,
    /// Only if `SQS_TEST_S3` is set.
    GivenS3,
}

/// A known difference between a store and its model. The cases test the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// A read with `if-match` returns any version.
    IgnoresIfMatch,
    /// A read from a missing bucket says that the object is missing.
    MissingBucketIsMissingObject,
    /// Unfinished uploads cannot be listed.
    ListsNoUploads,
    /// Unfinished uploads have wrong ages.
    UploadsWithoutAges,
    /// A key with `//` is refused, or counts as one with `/`.
    NoEmptySegments,
    /// An upload to a missing bucket creates it.
    CreatesMissingBuckets,
    /// Tags are accepted and lost, or cannot be read.
    ForgetsTags,
    /// Metadata of the caller is lost, because its headers have other names.
    ForgetsMetadata,
    /// The signature of a request is not checked.
    AcceptsAnySecret,
    /// The checksum of an object is accepted and not compared.
    IgnoresChecksums,
    /// The checksum of a part is accepted and not compared.
    IgnoresChecksumsOfParts,
    /// A test of thousands of requests takes too long.
    IsSlow,
}

impl Kind {
    /// Returns the stores of this run: the usual ones, those that `SQS_TEST_STORES` names, and those whose addresses are
    /// in the environment.
    pub fn all() -> Vec<Self> {
        let variable = |name| std::env::var(name).unwrap_or_default();
        let requested = variable("SQS_TEST_STORES");
        let is_requested = |kind: Self| requested.split(',').any(|name| name.trim() == kind.name());
        let mut all = vec![Self::Minio, Self::Moto, Self::S3sFs, Self::Azurite, Self::GoogleClient];
        for (kind, address) in [
            (Self::SeaweedFs, "SQS_TEST_SEAWEEDFS"),
            (Self::Garage, "SQS_TEST_GARAGE"),
        ] {
            if is_requested(kind) || !variable(address).is_empty() {
                all.push(kind);
            }
        }
        if !variable("SQS_TEST_S3").is_empty() {
            all.push(Self::GivenS3);
        }
        all
    }

    /// The store's name within the name of a test.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minio => "minio",
            Self::Moto => "moto",
            Self::S3sFs => "s3s_fs",
            Self::Azurite => "azurite",
            Self::GoogleClient => "gcs_client",
            Self::SeaweedFs => "seaweedfs",
            Self::Garage => "garage",
            Self::GivenS3 => "s3",
        }
    }

    pub fn is_s3(self) -> bool {
        !matches!(self, Self::Azurite | Self::GoogleClient)
    }

    pub fn has(self, quirk: Quirk) -> bool {
        let quirks: &[Quirk] = match self {
            Self::Azurite | Self::GivenS3 => &[],
            Self::Garage => &[Quirk::ForgetsTags],
            Self::Minio => &[Quirk::NoEmptySegments],
            Self::SeaweedFs => &[Quirk::CreatesMissingBuckets],
            Self::Moto => &[
                Quirk::AcceptsAnySecret,
                Quirk::UploadsWithoutAges,
                Quirk::IgnoresChecksums,
                Quirk::IgnoresChecksumsOfParts,
                Quirk::IsSlow,
            ],
            Self::S3sFs => &[
                Quirk::IgnoresIfMatch,
                Quirk::MissingBucketIsMissingObject,
                Quirk::ListsNoUploads,
                Quirk::NoEmptySegments,
                Quirk::IgnoresChecksumsOfParts,
                Quirk::ForgetsTags,
            ],
            Self::GoogleClient => &[
                Quirk::IgnoresIfMatch,
                Quirk::MissingBucketIsMissingObject,
                Quirk::NoEmptySegments,
                Quirk::AcceptsAnySecret,
                Quirk::ForgetsMetadata,
            ],
        };
        quirks.contains(&quirk)
    }
}

/// A prefix of its own in the [`BUCKET`] of a store.
#[derive(Clone)]
pub struct Place {
    pub kind: Kind,
    /// The bucket, through object_store itself.
    pub store: Arc<dyn ObjectStore>,
    /// The same for stores that are S3.
    pub s3: Option<Bucket>,
    /// Ends in a slash.
    pub prefix: String,
    scheme: &'static str,
    options: Vec<(&'static str, String)>,
    /// The option with the secret, and its value.
    secret: Option<(&'static str, String)>,
}

impl Place {
    pub fn new(harness: &Harness, kind: Kind) -> Result<Self, Unavailable> {
        let servers = &harness.servers;
        let server = match kind {
            Kind::S3sFs => return Ok(Self::s3(kind, harness.s3s().bucket().clone())),
            Kind::GoogleClient => return Ok(Self::google(&harness.s3s().unsigned_endpoint)),
            Kind::Azurite => return servers.azurite().map(Self::azure).map_err(Clone::clone),
            Kind::Minio => servers.minio(),
            Kind::Moto => servers.moto(),
            Kind::SeaweedFs => servers.seaweedfs(),
            Kind::Garage => servers.garage(),
            Kind::GivenS3 => servers.given_s3().expect("the variable is set"),
        };
        let server = server.map_err(Clone::clone)?;
        Ok(Self::s3(kind, Bucket::new(server).expect("a bucket")))
    }

    fn s3(kind: Kind, bucket: Bucket) -> Self {
        Self {
            kind,
            store: Arc::new(bucket.store().expect("valid settings")),
            prefix: format!("{}/", unique("contract")),
            scheme: "s3",
            options: bucket.url_options(),
            secret: Some(("secret_access_key", bucket.secret().to_owned())),
            s3: Some(bucket),
        }
    }

    fn azure(server: &Server) -> Self {
        server.create_container(BUCKET).expect("a container");
        let endpoint = format!("{}/{}", server.endpoint(), server.access_key());
        let store = MicrosoftAzureBuilder::new()
            .with_http_connector(StoreConnector::new())
            .with_allow_http(true)
            .with_endpoint(endpoint.clone())
            .with_account(server.access_key())
            .with_access_key(server.secret_key())
            .with_container_name(BUCKET)
            .build()
            .expect("valid settings");
        Self {
            kind: Kind::Azurite,
            store: Arc::new(store),
            s3: None,
            prefix: format!("{}/", unique("contract")),
            scheme: "az",
            options: vec![("endpoint", endpoint), ("account_name", server.access_key().to_owned())],
            secret: Some(("account_key", server.secret_key().to_owned())),
        }
    }

    fn google(endpoint: &str) -> Self {
        let options = [
            (GoogleConfigKey::SkipSignature, "true"),
            (GoogleConfigKey::BaseUrl, endpoint),
        ];
        let builder = options
            .iter()
            .fold(GoogleCloudStorageBuilder::new(), |builder, (key, value)| {
                builder.with_config(*key, *value)
            });
        // Without a token for uploads and deletions, which this client sends in spite of the option.
        let token = GcpCredential { bearer: String::new() };
        let store = builder
            .with_http_connector(WithoutToken)
            .with_credentials(Arc::new(StaticCredentialProvider::new(token)))
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_bucket_name(BUCKET)
            .build()
            .expect("valid settings");
        Self {
            kind: Kind::GoogleClient,
            store: Arc::new(store),
            s3: None,
            prefix: format!("{}/", unique("contract")),
            scheme: "gs",
            options: vec![("base_url", endpoint.to_owned()), ("skip_signature", "true".to_owned())],
            secret: None,
        }
    }

    /// Returns the URL of the prefix.
    pub fn url(&self) -> String {
        self.url_of(BUCKET, None)
    }

    /// Returns the URL of the prefix in a bucket that does not exist.
    pub fn url_of_missing_bucket(&self) -> String {
        self.url_of("no-such-bucket", None)
    }

    /// Returns the URL of the prefix with a wrong secret, and that secret.
    pub fn url_with_wrong_secret(&self) -> (String, &'static str) {
        (self.url_of(BUCKET, Some(WRONG_SECRET)), WRONG_SECRET)
    }

    fn url_of(&self, bucket: &str, other_secret: Option<&str>) -> String {
        let secret = self
            .secret
            .as_ref()
            .map(|(name, secret)| (*name, other_secret.unwrap_or(secret)));
        let options = self.options.iter().map(|(name, value)| (*name, &**value)).chain(secret);
        let options = options.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        let options: Vec<_> = options.collect();
        format!("{}://{bucket}/{}?{}", self.scheme, self.prefix, options.join("&"))
    }

    /// Returns a builder of a payload store at this place, with parts of the smallest size.
    pub fn payloads(&self) -> PayloadStoreBuilder {
        let builder = PayloadStore::from_url(&self.url()).expect("a valid URL");
        builder.part_size(PART as u64)
    }

    /// Returns a key at this place, unchanged.
    pub fn key(&self, name: &str) -> Path {
        let key = format!("{}{name}", self.prefix);
        let parts = key
            .split('/')
            .map(|part| PathPart::parse(part).expect("a part of a key"));
        parts.fold(Path::ROOT, Path::join)
    }

    /// Returns the keys of all objects at this place.
    pub async fn keys(&self) -> object_store::Result<Vec<String>> {
        keys(&self.store, &self.prefix).await
    }
}

/// The connector of the suite's own client of Google Cloud Storage, which sends no token.
#[derive(Debug)]
struct WithoutToken;

impl HttpConnector for WithoutToken {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(ClientWithoutToken(
            StoreConnector::new().connect(options)?,
        )))
    }
}

#[derive(Debug)]
struct ClientWithoutToken(HttpClient);

#[async_trait]
impl HttpService for ClientWithoutToken {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        request.headers_mut().remove("authorization");
        self.0.execute(request).await
    }
}
