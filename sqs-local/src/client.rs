//! Clients of the server, built in one place for tests, benchmarks and examples.
//!
//! No other file of the server uses `sqs-client`, because the server is the oracle that the client is tested against.

use sqs_client::{Client, ClientBuilder, Credentials};

use crate::builder::{ACCESS_KEY_ID, DEFAULT_REGION, SECRET_ACCESS_KEY};
use crate::server::LocalSqs;

impl LocalSqs {
    /// Returns a builder for clients of this server, with its region and default access key.
    ///
    /// The clients use the server's socket. Without one, they use [`LocalSqs::http_service`] and the server's
    /// [`Clock`](crate::Clock).
    pub fn client_builder(&self) -> ClientBuilder {
        let builder = client_builder(self.endpoint()).region(&self.gateway.service.region);
        match self.address() {
            Some(_) => builder,
            None => {
                let clock = self.gateway.service.clock.clone();
                let builder = builder.http_service(self.http_service());
                builder.time_source(move || clock.system_time())
            }
        }
    }

    /// Builds a client of this server with default settings.
    ///
    /// # Errors
    ///
    /// Returns an error if the HTTP client cannot be built.
    pub fn client(&self) -> Result<Client, sqs_client::Error> {
        self.client_builder().build()
    }
}

/// Returns a builder for clients of a server that runs in another process, in the default region and with the
/// default access key.
pub fn client_builder(endpoint: impl Into<String>) -> ClientBuilder {
    Client::builder()
        .endpoint_url(endpoint)
        .region(DEFAULT_REGION)
        .credentials(Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY))
}
