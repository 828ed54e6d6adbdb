//! HTTP connections to object stores.

mod time_limited;

use std::time::Duration;

use object_store::client::{HttpClient, HttpConnector};
use object_store::{ClientConfigKey, ClientOptions};

use crate::stores::connector::time_limited::TimeLimited;
use crate::stores::resolver::SpreadingResolver;
use crate::transfer::pressure::Pressure;

/// The default maximum time to connect to a store.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The default maximum time that a store may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// HTTP connections for an object store, with time limits that suit payloads of any size.
///
/// The connections use the TLS of `sqs-client`, so a program has one TLS stack. object_store's own connections abort
/// every transfer of more than 30 seconds.
///
/// New connections go to all addresses of the store's name in turn. Clones share the turns, and the count of responses
/// that ask to slow down (see [`PayloadStoreBuilder::connector`](crate::store::PayloadStoreBuilder::connector)).
///
/// The store's own `ClientOptions` have no effect, except the permission of plain HTTP.
///
/// ```
/// use object_store::aws::AmazonS3Builder;
/// use sqs_extended::store::StoreConnector;
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
    resolver: SpreadingResolver,
    pressure: Pressure,
}

impl StoreConnector {
    /// Creates a connector with the default limits: 5 seconds to connect, and 30 seconds of silence.
    pub fn new() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            read_timeout: READ_TIMEOUT,
            resolver: SpreadingResolver::new(),
            pressure: Pressure::default(),
        }
    }

    /// Sets the maximum time to connect. Default: 5 seconds. Range: above zero.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the maximum time that the store may be silent before and within a response. Default: 30 seconds.
    /// Range: above zero.
    ///
    /// The limit of a request with a body is longer by the time that a link of 16 KiB/s requires to send it. On Linux, a
    /// connection fails earlier if its bytes are not acknowledged within `timeout`.
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// Returns the count of the responses that asked to slow down, on all connections of this connector and its clones.
    pub(crate) fn pressure(&self) -> Pressure {
        self.pressure.clone()
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
        let builder = || -> object_store::Result<_> {
            let builder = sqs_client::client::http_client_builder().map_err(failed)?;
            let builder = builder
                .https_only(allow_http.as_deref() != Some("true"))
                .connect_timeout(self.connect_timeout)
                .dns_resolver(self.resolver.clone())
                .http1_only()
                // Payloads must arrive as they are stored, even if the HTTP client's features for decompression are on.
                .no_gzip()
                .no_brotli()
                .no_zstd()
                .no_deflate();
            #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
            let builder = builder.tcp_user_timeout(self.read_timeout);
            Ok(builder)
        };
        Ok(HttpClient::new(TimeLimited {
            reading: builder()?.read_timeout(self.read_timeout).build().map_err(failed)?,
            writing: builder()?.build().map_err(failed)?,
            read_timeout: self.read_timeout,
            pressure: self.pressure.clone(),
        }))
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic {
        store: "HTTP",
        source: error.into(),
    }
}

#[cfg(test)]
mod tests;
