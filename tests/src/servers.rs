//! Real SQS-, S3- and Azure-compatible servers for tests, provided by [`Servers`].
//!
//! [`Servers`] looks for each server in this order:
//!
//! 1. the address in the environment variable below, which is used as it is and never stopped,
//! 2. the program on `PATH` (`minio`, `azurite-blob`, `weed`, `garage`, or `moto_server` with its Python),
//! 3. an installation in `target/servers`, which is made if it is missing.
//!
//! Otherwise the server is [`Unavailable`], and the test calls [`Unavailable::skip`]. A started server listens on a
//! free loopback port, and its data is in a temporary folder. Both end with the [`Servers`] that started it, or with
//! the process if that is killed.
//!
//! | | address | default keys | requirements of the installation |
//! |---|---|---|---|
//! | [`Servers::minio`] | `SQS_TEST_MINIO` | `minioadmin`, `minioadmin` | Go 1.24, or Python |
//! | [`Servers::elasticmq`] | `SQS_TEST_ELASTICMQ` | `test`, `test` | Java and Maven |
//! | [`Servers::moto`] | `SQS_TEST_MOTO` | `test`, `test` | Python with `venv` |
//! | [`Servers::sqs_local`] | `SQS_TEST_SQS_LOCAL` | `test`, `test` | Cargo, which builds it from this workspace |
//! | [`Servers::goaws`] | `SQS_TEST_GOAWS` | `test`, `test` | Go 1.24, or Python |
//! | [`Servers::azurite`] | `SQS_TEST_AZURITE` | the emulator's well-known account and key | Node.js with npm |
//! | [`Servers::seaweedfs`] | `SQS_TEST_SEAWEEDFS` | `test`, `testtest` | Python with `venv` |
//! | [`Servers::garage`] | `SQS_TEST_GARAGE` | those in `servers/garage.rs` | Rust, and half an hour on 2 cores |
//!
//! An address is an `http://host:port`. The variable's name followed by `_ACCESS_KEY`, `_SECRET_KEY` or `_REGION`
//! overrides a default. The default region is `us-east-1`.

mod azurite;
mod elasticmq;
mod garage;
mod go;
mod goaws;
mod http;
pub(crate) mod install;
mod java;
mod minio;
mod moto;
mod npm;
mod process;
mod python;
mod seaweedfs;
mod server;
mod sigv4;
mod sqs_local;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use server::Kind;
pub use server::Server;

/// The servers of a test run. Each is started at its first use, shared by all tests, and stopped when this is dropped.
///
/// The methods block while a server is installed or started. Other threads that need it wait.
///
/// ```no_run
/// use sqs_tests::servers::Servers;
///
/// let servers = Servers::new();
/// match servers.minio() {
///     Ok(minio) => println!("{}", minio.endpoint()),
///     Err(unavailable) => eprintln!("skipped: {unavailable}"),
/// }
/// ```
#[derive(Debug, Default)]
pub struct Servers {
    minio: Once<Server>,
    elasticmq: Once<Server>,
    elasticmq_query_only: Once<Server>,
    elasticmq_small_batches: Once<Server>,
    moto: Once<Server>,
    moto_with_auth: Once<Server>,
    azurite: Once<Server>,
    seaweedfs: Once<Server>,
    garage: Once<Server>,
    given_s3: OnceLock<Option<Result<Server, Unavailable>>>,
    sqs_local: Once<Server>,
    sqs_local_release: Once<Server>,
    goaws: Once<Server>,
    python: Once<PathBuf>,
    python_of_query: Once<PathBuf>,
    javascript: Once<NodePackages>,
    go: Once<PathBuf>,
    java: Once<PathBuf>,
}

/// A folder with npm packages, and the program that runs them.
#[derive(Clone, Debug)]
pub struct NodePackages {
    /// Node.js.
    pub node: PathBuf,
    /// The folder of `node_modules`.
    pub folder: PathBuf,
}

/// Any S3 server that somebody else runs.
const GIVEN_S3: Kind = Kind {
    name: "the S3 server",
    variable: "SQS_TEST_S3",
    ready: "/",
    ready_status: 200,
    access_key: "test",
    secret_key: "test",
};

const AWS_SDK_JS: &str = "3.1175.0";
/// The last version that supports Node 20.
const SQS_CONSUMER: &str = "14.2.8";

type Once<T> = OnceLock<Result<T, Unavailable>>;

impl Servers {
    /// Creates the set of servers without starting any.
    pub fn new() -> Servers {
        Servers::default()
    }

    /// Returns MinIO, an S3 server that checks signatures.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if the server can neither be found nor installed.
    pub fn minio(&self) -> Result<&Server, &Unavailable> {
        shared(&self.minio, "MinIO", minio::start)
    }

    /// Returns ElasticMQ, an SQS server that accepts any signature.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if the server can neither be found nor installed.
    pub fn elasticmq(&self) -> Result<&Server, &Unavailable> {
        shared(&self.elasticmq, "ElasticMQ", elasticmq::start)
    }

    /// Returns an old ElasticMQ that has only the Query protocol. It is always started here.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if the server can neither be found nor installed.
    pub fn elasticmq_query_only(&self) -> Result<&Server, &Unavailable> {
        shared(
            &self.elasticmq_query_only,
            "ElasticMQ of the Query protocol",
            elasticmq::start_query_only,
        )
    }

    /// Returns an older ElasticMQ, which limits a batch to 262,144 bytes and has only the old names of JSON members. It
    /// is always started here.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if the server can neither be found nor installed.
    pub fn elasticmq_small_batches(&self) -> Result<&Server, &Unavailable> {
        shared(
            &self.elasticmq_small_batches,
            "ElasticMQ of small batches",
            elasticmq::start_small_batches,
        )
    }

    /// Returns moto, an SQS and S3 server that accepts any signature.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if the server can neither be found nor installed.
    pub fn moto(&self) -> Result<&Server, &Unavailable> {
        shared(&self.moto, "moto", moto::start)
    }

    /// Returns a moto that checks the signatures of SQS and S3 requests. It accepts only [`Server::access_key`] and
    /// [`Server::secret_key`], whose user has all permissions.
    ///
    /// It is always started here, because signature checks on a shared server would lock out its other users.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if the server can neither be found nor installed.
    pub fn moto_with_auth(&self) -> Result<&Server, &Unavailable> {
        shared(&self.moto_with_auth, "moto with authentication", moto::start_with_auth)
    }

    /// Returns Azurite, an emulator of Azure Blob Storage that checks signatures. [`Server::access_key`] is its account.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if the server can neither be found nor installed.
    pub fn azurite(&self) -> Result<&Server, &Unavailable> {
        shared(&self.azurite, "Azurite", azurite::start)
    }

    /// Returns SeaweedFS, an S3 server that checks signatures.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if the server can neither be found nor installed.
    pub fn seaweedfs(&self) -> Result<&Server, &Unavailable> {
        shared(&self.seaweedfs, "SeaweedFS", seaweedfs::start)
    }

    /// Returns Garage, an S3 server that checks signatures.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if the server can neither be found nor installed.
    pub fn garage(&self) -> Result<&Server, &Unavailable> {
        shared(&self.garage, "Garage", garage::start)
    }

    /// Returns the S3 server at the address in `SQS_TEST_S3`, or `None` if that is not set. Its keys and its region are
    /// in `SQS_TEST_S3_ACCESS_KEY`, `SQS_TEST_S3_SECRET_KEY` and `SQS_TEST_S3_REGION`.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if the server does not respond.
    pub fn given_s3(&self) -> Option<Result<&Server, &Unavailable>> {
        let given = self.given_s3.get_or_init(|| {
            let given = Server::given(&GIVEN_S3).map_err(|why| Unavailable::new("the S3 server", &why));
            given.transpose()
        });
        given.as_ref().map(Result::as_ref)
    }

    /// Returns the program `sqs-local`, which checks signatures. It is built if it is missing.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if the program cannot be built or started.
    pub fn sqs_local(&self) -> Result<&Server, &Unavailable> {
        shared(&self.sqs_local, "the program sqs-local", sqs_local::start)
    }

    /// Returns the program `sqs-local`, optimized and with default settings, for benchmarks. It is always started here.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if the program cannot be built or started.
    pub fn sqs_local_release(&self) -> Result<&Server, &Unavailable> {
        shared(
            &self.sqs_local_release,
            "the program sqs-local",
            sqs_local::start_release,
        )
    }

    /// Returns GoAws, an SQS server that accepts any signature.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if the server can neither be found nor installed.
    pub fn goaws(&self) -> Result<&Server, &Unavailable> {
        shared(&self.goaws, "GoAws", goaws::start)
    }

    /// Returns a Python interpreter with AWS's own extended client: it can `import boto3, sqs_extended_client`.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if the client cannot be installed.
    pub fn python_extended_client(&self) -> Result<&Path, &Unavailable> {
        let python = self.python.get_or_init(|| {
            python::extended_client().map_err(|why| Unavailable::new("AWS's Python extended client", &why))
        });
        python.as_deref()
    }

    /// Returns a Python interpreter with an old boto3, which uses the Query protocol.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if it cannot be installed.
    pub fn python_of_query(&self) -> Result<&Path, &Unavailable> {
        let python = self.python_of_query.get_or_init(|| {
            python::boto3_of_query().map_err(|why| Unavailable::new("boto3 of the Query protocol", &why))
        });
        python.as_deref()
    }

    /// Returns AWS's SDK for JavaScript and the library sqs-consumer.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if they cannot be installed.
    pub fn javascript(&self) -> Result<&NodePackages, &Unavailable> {
        let packages = self
            .javascript
            .get_or_init(|| javascript().map_err(|why| Unavailable::new("AWS's SDK for JavaScript", &why)));
        packages.as_ref()
    }

    /// Returns the Go toolchain.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if it can neither be found nor installed.
    pub fn go(&self) -> Result<&Path, &Unavailable> {
        let go = self
            .go
            .get_or_init(|| go::program().map_err(|why| Unavailable::new("Go", &why)));
        go.as_deref()
    }

    /// Returns the folder with the jars of AWS's own extended client, for the class path of `java`.
    ///
    /// # Errors
    ///
    /// Returns [`Unavailable`] if the client cannot be installed.
    pub fn java_extended_client(&self) -> Result<&Path, &Unavailable> {
        let java = self.java.get_or_init(|| {
            java::extended_client().map_err(|why| Unavailable::new("AWS's Java extended client", &why))
        });
        java.as_deref()
    }
}

fn javascript() -> anyhow::Result<NodePackages> {
    let packages = [
        format!("@aws-sdk/client-sqs@{AWS_SDK_JS}"),
        format!("sqs-consumer@{SQS_CONSUMER}"),
    ];
    npm::packages(&format!("aws-sdk-js-{AWS_SDK_JS}"), &packages)
}

/// Returns a shared server. The first call starts and announces it.
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

/// The reason why a server is unavailable. Its `Display` says what was tried.
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

    /// Skips a test that needs the server: prints the reason and returns `Ok`. With `CI=true` in the environment every
    /// test must run, so this returns an error.
    ///
    /// # Errors
    ///
    /// Returns `self` if the environment has `CI=true`.
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
