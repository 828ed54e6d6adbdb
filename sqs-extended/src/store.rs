//! The connections of stores that are reached by HTTP.

use std::time::Duration;

use object_store::client::{HttpClient, HttpConnector};
use object_store::{ClientConfigKey, ClientOptions};

/// Longest that a store may take to accept a connection, unless set otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest that a store may be silent, unless set otherwise.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes a store's HTTP connections with the TLS of `sqs-client`, so that a program has one TLS stack, and with time
/// limits that let a payload of any size pass: object_store's own connections give up on a transfer of more than 30
/// seconds.
///
/// Of the store's own `ClientOptions` it heeds whether plain HTTP is allowed, and no other.
///
/// ```
/// use object_store::aws::AmazonS3Builder;
/// use sqs_extended::StoreConnector;
///
/// # fn main() -> Result<(), object_store::Error> {
/// let store = AmazonS3Builder::new()
///     .with_http_connector(StoreConnector::new())
///     .with_bucket_name("my-bucket")
///     .with_region("eu-west-1")
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct StoreConnector {
    connect_timeout: Duration,
    read_timeout: Duration,
}

impl StoreConnector {
    /// With a limit of 5 seconds to connect and of 30 seconds of silence.
    pub fn new() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            read_timeout: READ_TIMEOUT,
        }
    }

    /// Bounds the time to connect.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Bounds how long the store may be silent: before its answer, and within it.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }
}

impl Default for StoreConnector {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpConnector for StoreConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let allow_http = options.get_config_value(&ClientConfigKey::AllowHttp);
        let builder = sqs_client::http_client_builder().map_err(failed)?;
        let client = builder
            .https_only(allow_http.as_deref() != Some("true"))
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.read_timeout)
            .build()
            .map_err(failed)?;
        Ok(HttpClient::new(client))
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic {
        store: "HTTP",
        source: error.into(),
    }
}
