//! Real SQS- and S3-compatible servers, handed to tests by [`Servers`].
//!
//! Each server is had in this order:
//!
//! 1. the address that the environment names (below): used as it is, and never stopped;
//! 2. the program on `PATH` (`minio`; `moto_server` with its Python);
//! 3. what an earlier run installed in `target/servers`, or installing it there now.
//!
//! Else the answer is [`Unavailable`], which says what was tried; [`Unavailable::skip`] is what a test does with it.
//! A server that is started here listens on a free loopback port and keeps its data in a temporary folder; both end
//! with the [`Servers`] that started it, or with the process where that is killed.
//!
//! | | address | keys by default | needs, to be installed |
//! |---|---|---|---|
//! | [`Servers::minio`] | `SQS_TEST_MINIO` | `minioadmin`, `minioadmin` | Go 1.24, or Python |
//! | [`Servers::elasticmq`] | `SQS_TEST_ELASTICMQ` | `test`, `test` | Java and Maven |
//! | [`Servers::moto`] | `SQS_TEST_MOTO` | `test`, `test` | Python with `venv` |
//!
//! An address is an `http://host:port`; the same variable with `_ACCESS_KEY`, `_SECRET_KEY` or `_REGION` after it
//! replaces what is taken by default (the region is `us-east-1`).

mod elasticmq;
mod http;
mod install;
mod java;
mod minio;
mod moto;
mod process;
mod python;
mod server;
mod sigv4;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use server::Server;

/// The servers of a test run: each is started when first asked for, shared by all tests, and stopped when this is
/// dropped.
///
/// The methods block while a server is being installed or started; other threads that ask for it wait.
#[derive(Debug, Default)]
pub struct Servers {
    minio: Once<Server>,
    elasticmq: Once<Server>,
    elasticmq_query_only: Once<Server>,
    elasticmq_small_batches: Once<Server>,
    moto: Once<Server>,
    moto_with_auth: Once<Server>,
    python: Once<PathBuf>,
    java: Once<PathBuf>,
}

type Once<T> = OnceLock<Result<T, Unavailable>>;

impl Servers {
    /// Servers of which none runs yet.
    pub fn new() -> Servers {
        Servers::default()
    }

    /// MinIO: S3 that checks signatures.
    pub fn minio(&self) -> Result<&Server, &Unavailable> {
        shared(&self.minio, "MinIO", minio::start)
    }

    /// ElasticMQ: SQS that takes any signature.
    pub fn elasticmq(&self) -> Result<&Server, &Unavailable> {
        shared(&self.elasticmq, "ElasticMQ", elasticmq::start)
    }

    /// An ElasticMQ of old that speaks the Query protocol only. Always started here.
    pub fn elasticmq_query_only(&self) -> Result<&Server, &Unavailable> {
        shared(
            &self.elasticmq_query_only,
            "ElasticMQ of the Query protocol",
            elasticmq::start_query_only,
        )
    }

    /// An older ElasticMQ, which limits a batch to 262,144 bytes and knows only the old names of JSON members. Always
    /// started here.
    pub fn elasticmq_small_batches(&self) -> Result<&Server, &Unavailable> {
        shared(
            &self.elasticmq_small_batches,
            "ElasticMQ of small batches",
            elasticmq::start_small_batches,
        )
    }

    /// moto: SQS and S3 that take any signature.
    pub fn moto(&self) -> Result<&Server, &Unavailable> {
        shared(&self.moto, "moto", moto::start)
    }

    /// moto that checks signatures, on SQS and on S3: [`Server::access_key`] and [`Server::secret_key`] are those of
    /// a user who may do everything, and every other key is refused.
    ///
    /// Always started here: asking an address in the environment to check signatures would shut others out of it.
    pub fn moto_with_auth(&self) -> Result<&Server, &Unavailable> {
        shared(&self.moto_with_auth, "moto with authentication", moto::start_with_auth)
    }

    /// A Python interpreter that can `import boto3, sqs_extended_client`: AWS's own extended client.
    pub fn python_extended_client(&self) -> Result<&Path, &Unavailable> {
        let python = self.python.get_or_init(|| {
            python::extended_client().map_err(|why| Unavailable::new("AWS's Python extended client", &why))
        });
        python.as_deref()
    }

    /// A folder of jars, to be the class path of a `java` that compiles: AWS's own extended client.
    pub fn java_extended_client(&self) -> Result<&Path, &Unavailable> {
        let java = self.java.get_or_init(|| {
            java::extended_client().map_err(|why| Unavailable::new("AWS's Java extended client", &why))
        });
        java.as_deref()
    }
}

/// What `once` holds, started and announced by the first who asks.
fn shared<'a>(
    once: &'a Once<Server>,
    name: &'static str,
    start: fn() -> anyhow::Result<Server>,
) -> Result<&'a Server, &'a Unavailable> {
    once.get_or_init(|| {
        let server = start().map_err(|why| Unavailable::new(name, &why))?;
        eprintln!("server: {server}");
        Ok(server)
    })
    .as_ref()
}

/// Why a server cannot be had: its `Display` says what was tried.
#[derive(Clone, Debug)]
pub struct Unavailable {
    server: &'static str,
    why: String,
}

impl Unavailable {
    fn new(server: &'static str, why: &anyhow::Error) -> Unavailable {
        Unavailable {
            server,
            why: format!("{why:#}"),
        }
    }

    /// What a test that needs the server returns: success, with the reason on stderr; or, where `CI=true` promises
    /// that every test runs, failure.
    ///
    /// # Errors
    ///
    /// `self`, where the environment has `CI=true`.
    pub fn skip(&self) -> Result<(), Unavailable> {
        if std::env::var_os("CI").is_some_and(|value| value == "true") {
            return Err(self.clone());
        }
        eprintln!("skipped: {self}");
        Ok(())
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is unavailable: {}", self.server, self.why)
    }
}

impl std::error::Error for Unavailable {}
