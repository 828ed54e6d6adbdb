//! Object stores opened by URL.

#[cfg(feature = "gcs")]
mod anonymous;
mod options;

use std::sync::Arc;

#[cfg(any(feature = "gcs", feature = "s3"))]
use object_store::ClientConfigKey;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::multipart::MultipartStore;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::Error;
#[cfg(feature = "s3")]
use crate::stores::connector::StoreConnector;
#[cfg(any(feature = "gcs", feature = "azure"))]
use crate::stores::credentials::Bounded;
#[cfg(feature = "s3")]
use crate::stores::credentials::{S3Credentials, SharedCredentials};
#[cfg(feature = "s3")]
use crate::stores::s3::{ChecksummedS3, uses_checksums};
use crate::stores::url::options::Options;
#[cfg(feature = "_http")]
use crate::stores::url::options::{Use, client_use};
use crate::transfer::pressure::Pressure;

/// A store, bucket and prefix named by a URL. See [`PayloadStore::from_url`](crate::PayloadStore::from_url).
pub(crate) struct OpenedStore {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) bucket: String,
    /// Empty, or ends in a slash.
    pub(crate) prefix: String,
    /// The store again, for requests that only S3 supports.
    #[cfg(feature = "s3")]
    pub(crate) s3: Option<(object_store::aws::AmazonS3, StoreConnector)>,
    /// The store again, for uploads that another process continues.
    pub(crate) multipart: Option<Arc<dyn MultipartStore>>,
    /// `None` if the URL itself contains credentials.
    #[cfg(feature = "s3")]
    pub(crate) credentials: Option<SharedCredentials>,
    /// The count of the responses that asked to slow down. `None` for a store without HTTP.
    pub(crate) pressure: Option<Pressure>,
}

impl OpenedStore {
    /// Opens the store that `url` names, without a request to a server.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL's scheme is unknown or its feature is off. Also if the store does not know an option
    /// of the URL, or if the settings cannot work together. No error repeats an option's value.
    pub(crate) fn open(url: &str) -> Result<Self, Error> {
        let url = Url::parse(url).map_err(|error| {
            Error::invalid(format!(
                "the store's URL is not a URL: {error}; write one such as s3://bucket/prefix"
            ))
        })?;
        let options = Options::from_url(&url)?;
        match url.scheme() {
            "s3" => s3(&url, options),
            "gs" => gcs(&url, options),
            "az" | "abfs" | "abfss" => azure(&url, options),
            "file" => file(&url, options),
            "memory" => memory(&url, options),
            scheme => Err(Error::invalid(format!(
                "there is no store for {scheme}: URLs; use s3:, gs:, az:, abfs:, abfss:, file: or memory:"
            ))),
        }
    }
}

#[cfg(feature = "s3")]
fn s3(url: &Url, mut options: Options) -> Result<OpenedStore, Error> {
    use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key};

    let bucket = host(url)?;
    let connector = options.connector()?;
    let mut settings = options.parsed(|key| match key {
        Key::Bucket => Use::NamedByUrl,
        Key::Client(key) => client_use(key),
        _ => Use::Taken,
    })?;
    let endpoint = settings.iter().rev().find(|(key, _)| *key == Key::Endpoint).cloned();
    if let Some((_, endpoint)) = endpoint {
        // The environment's endpoint for S3 would have precedence.
        settings.push((Key::S3Endpoint, endpoint));
    }
    let plain = |(key, value): &(Key, String)| *key == Key::S3Endpoint && value.starts_with("http://");
    if settings.iter().any(plain) {
        settings.insert(0, (Key::Client(ClientConfigKey::AllowHttp), "true".to_owned()));
    }
    let own_keys = settings
        .iter()
        .any(|(key, _)| matches!(key, Key::AccessKeyId | Key::SecretAccessKey | Key::Token));
    let keys: Vec<Key> = settings.iter().map(|(key, _)| *key).collect();
    let builder = AmazonS3Builder::from_env().with_http_connector(connector.clone());
    let mut builder = settings
        .into_iter()
        .fold(builder, |builder, (key, value)| builder.with_config(key, value))
        .with_bucket_name(&bucket);
    let credentials = (!own_keys).then(SharedCredentials::new);
    if let Some(shared) = &credentials {
        let provider = S3Credentials::new(shared.clone(), builder.clone());
        builder = builder.with_credentials(Arc::new(provider));
    }
    let unusable = |error| options.unusable(error);
    let environment = std::env::vars_os().map(|(name, _)| name);
    let (store, s3, multipart): (Arc<dyn ObjectStore>, _, Arc<dyn MultipartStore>) =
        if uses_checksums(&builder, &keys, environment) {
            let store = ChecksummedS3::new(builder, &connector).map_err(unusable)?;
            (Arc::new(store.clone()), store.plain().clone(), Arc::new(store))
        } else {
            let store = builder.build().map_err(unusable)?;
            (Arc::new(store.clone()), store.clone(), Arc::new(store))
        };
    Ok(OpenedStore {
        pressure: Some(connector.pressure()),
        s3: Some((s3, connector)),
        multipart: Some(multipart),
        credentials,
        ..OpenedStore::new(store, bucket, url)?
    })
}

#[cfg(feature = "gcs")]
fn gcs(url: &Url, mut options: Options) -> Result<OpenedStore, Error> {
    use anonymous::WithoutToken;
    use object_store::StaticCredentialProvider;
    use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey as Key};

    let bucket = host(url)?;
    let connector = options.connector()?;
    let settings = options.parsed(|key| match key {
        Key::Bucket => Use::NamedByUrl,
        Key::Client(key) => client_use(key),
        _ => Use::Taken,
    })?;
    let plain = |(key, value): &(Key, String)| *key == Key::BaseUrl && value.starts_with("http://");
    let pressure = Some(connector.pressure());
    let mut builder = GoogleCloudStorageBuilder::from_env().with_http_connector(connector.clone());
    if settings.iter().any(plain) {
        builder = builder.with_config(Key::Client(ClientConfigKey::AllowHttp), "true");
    }
    let builder = settings
        .into_iter()
        .fold(builder, |builder, (key, value)| builder.with_config(key, value))
        .with_bucket_name(&bucket);
    let unusable = |error| options.unusable(error);
    let is_anonymous = builder.get_config_value(&Key::SkipSignature);
    let builder = if is_anonymous.is_some_and(|value| anonymous::is_true(&value)) {
        let no_token = GcpCredential { bearer: String::new() };
        builder
            .with_http_connector(WithoutToken::new(connector))
            .with_credentials(Arc::new(StaticCredentialProvider::new(no_token)))
    } else {
        let own = builder.clone().build().map_err(unusable)?.credentials().clone();
        builder.with_credentials(Arc::new(Bounded(own)))
    };
    let store = builder.build().map_err(unusable)?;
    Ok(OpenedStore {
        pressure,
        ..OpenedStore::new(Arc::new(store), bucket, url)?
    })
}

#[cfg(feature = "azure")]
fn azure(url: &Url, mut options: Options) -> Result<OpenedStore, Error> {
    use object_store::azure::{AzureConfigKey as Key, MicrosoftAzureBuilder};

    let connector = options.connector()?;
    let settings = options.parsed(|key| match key {
        Key::ContainerName => Use::NamedByUrl,
        Key::Client(key) => client_use(key),
        _ => Use::Taken,
    })?;
    let plain = |(key, value): &(Key, String)| *key == Key::Endpoint && value.starts_with("http://");
    let allow_http = settings.iter().any(plain);
    let pressure = Some(connector.pressure());
    let mut builder = MicrosoftAzureBuilder::from_env().with_http_connector(connector);
    if allow_http {
        builder = builder.with_allow_http(true);
    }
    let builder = settings
        .into_iter()
        .fold(builder, |builder, (key, value)| builder.with_config(key, value));
    // `container@account.dfs.core.windows.net`, or only the container.
    let (container, builder) = match url.username() {
        "" => {
            let container = host(url)?;
            (container.clone(), builder.with_container_name(container))
        }
        container => {
            let host = host(url)?;
            let account = format!("abfss://{container}@{host}/");
            (container.to_owned(), builder.with_url(account))
        }
    };
    let unusable = |error| options.unusable(error);
    let own = builder.clone().build().map_err(unusable)?.credentials().clone();
    let store = builder
        .with_credentials(Arc::new(Bounded(own)))
        .build()
        .map_err(unusable)?;
    Ok(OpenedStore {
        pressure,
        ..OpenedStore::new(Arc::new(store), container, url)?
    })
}

#[cfg(feature = "fs")]
fn file(url: &Url, mut options: Options) -> Result<OpenedStore, Error> {
    let bucket = options.bucket("file")?;
    let folder = url
        .to_file_path()
        .map_err(|()| Error::invalid("the store's URL names no local folder; write file:///path/to/folder"))?;
    // A missing folder is not created, because that would hide a file system that is not mounted.
    let store = object_store::local::LocalFileSystem::new_with_prefix(folder).map_err(|error| {
        Error::invalid(format!(
            "the folder cannot be used: {error}; create it or correct the store's URL"
        ))
    })?;
    Ok(OpenedStore {
        store: Arc::new(store),
        bucket,
        prefix: String::new(),
        #[cfg(feature = "s3")]
        s3: None,
        multipart: None,
        #[cfg(feature = "s3")]
        credentials: None,
        pressure: None,
    })
}

fn memory(url: &Url, mut options: Options) -> Result<OpenedStore, Error> {
    if url.has_host() && url.host_str() != Some("") {
        return Err(Error::invalid("a store in memory has no host; write memory:///prefix"));
    }
    let bucket = options.bucket("memory")?;
    OpenedStore::new(Arc::new(InMemory::new()), bucket, url)
}

/// Opens the stores whose features are off, which fails.
macro_rules! without {
    ($($feature:literal $open:ident)*) => {$(
        #[cfg(not(feature = $feature))]
        fn $open(url: &Url, _: Options) -> Result<OpenedStore, Error> {
            Err(Error::invalid(format!(
                concat!("{}: URLs require the feature `", $feature, "` of sqs-extended; enable it"),
                url.scheme()
            )))
        }
    )*};
}
without! { "s3" s3 "gcs" gcs "azure" azure "fs" file }

impl OpenedStore {
    fn new(store: Arc<dyn ObjectStore>, bucket: String, url: &Url) -> Result<Self, Error> {
        let path = percent_decode_str(url.path().trim_start_matches('/')).decode_utf8();
        let path = path.map_err(|_| Error::invalid("the prefix in the store's URL is not UTF-8"))?;
        let slash = if path.is_empty() || path.ends_with('/') {
            ""
        } else {
            "/"
        };
        Ok(Self {
            store,
            bucket,
            prefix: format!("{path}{slash}"),
            #[cfg(feature = "s3")]
            s3: None,
            multipart: None,
            #[cfg(feature = "s3")]
            credentials: None,
            pressure: None,
        })
    }
}

/// Returns the bucket's name, which is the URL's host.
#[cfg(feature = "_http")]
fn host(url: &Url) -> Result<String, Error> {
    match url.host_str() {
        Some(host) if !host.is_empty() => Ok(host.to_owned()),
        _ => Err(Error::invalid(format!(
            "the store's URL names no bucket; write {}://bucket/prefix",
            url.scheme()
        ))),
    }
}

#[cfg(test)]
mod tests;
