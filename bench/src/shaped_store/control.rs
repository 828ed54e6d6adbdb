//! The store's counters, and requests for them.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// The requests and bytes since the last reset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    pub get: u64,
    pub head: u64,
    pub put: u64,
    pub create_upload: u64,
    pub put_part: u64,
    pub complete_upload: u64,
    pub delete: u64,
    pub list: u64,
    /// Requests that were refused with 503. They are counted above as well.
    pub slow_down: u64,
    pub connections: u64,
    /// Bytes of uploads, with their encoding.
    pub bytes_in: u64,
    /// Bytes of objects that were sent.
    pub bytes_out: u64,
    /// The CPU time of the store itself in milliseconds.
    pub cpu_ms: f64,
}

impl Counts {
    /// Returns the number of requests of all kinds.
    pub fn requests(&self) -> u64 {
        self.get
            + self.head
            + self.put
            + self.create_upload
            + self.put_part
            + self.complete_upload
            + self.delete
            + self.list
    }
}

/// Access to the counters of a store.
pub struct Control {
    url: String,
    http: reqwest::Client,
}

impl Control {
    /// Returns access to the counters of the store at the URL without limits.
    ///
    /// # Errors
    ///
    /// Returns an error if the HTTP client cannot be built.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            url: url.to_owned(),
            http: sqs_client::client::http_client_builder()?.build()?,
        })
    }

    /// Returns the counters.
    ///
    /// # Errors
    ///
    /// Returns an error if the store cannot be reached.
    pub async fn counts(&self) -> anyhow::Result<Counts> {
        let response = self.http.get(format!("{}/-/counts", self.url)).send().await?;
        serde_json::from_slice(&response.bytes().await?).context("the store's counters are malformed")
    }

    /// Clears the counters. Equal seeds make equal requests and connections unlucky.
    ///
    /// # Errors
    ///
    /// Returns an error if the store cannot be reached.
    pub async fn reset(&self, seed: u64) -> anyhow::Result<()> {
        let url = format!("{}/-/reset?seed={seed}", self.url);
        self.http.post(url).send().await?.error_for_status()?;
        Ok(())
    }
}
