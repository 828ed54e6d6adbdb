//! The harness that all tests share: the runtime, the servers, their clients, and how a test gets its name.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use futures::future::BoxFuture;
use libtest_mimic::{Failed, Trial};
use sqs_client::{Client, ClientBuilder, Credentials, Protocol, QueueAttributes};
use sqs_local::LocalSqs;
use sqs_tests::servers::{Server, Servers, Unavailable};
use tokio::runtime::Runtime;

use crate::extended::stores::s3s::S3sFs;

/// The runtime and the servers that all tests share.
pub struct Harness {
    pub runtime: Runtime,
    pub servers: Servers,
    local: OnceLock<LocalSqs>,
    s3s: OnceLock<S3sFs>,
}

/// An SQS server that the conformance suite runs against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Local,
    ElasticMq,
    Moto,
}

/// A known difference between a server and SQS. The suite skips the assertions that depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// `prefix.*` on receive returns nothing.
    NoPrefixFilter,
    /// Some errors carry another code than in SQS, or do not occur.
    OtherErrorCodes,
    /// Deleting twice with the same receipt handle fails.
    DeletingTwiceFails,
    /// An old receipt handle can hide a message that is visible again.
    HidesVisibleMessages,
    /// FIFO messages have no sequence number unless the receive requests it.
    NoSequenceNumbers,
    /// The response to a repeated FIFO message contains a new id.
    NewIdForDuplicates,
    /// Lists of queues are returned whole, whatever page size was requested.
    NoPages,
    /// The server has no message move tasks. It responds to those actions with status 500 and HTML.
    NoMoveTasks,
    /// A dead letter does not name its source queue.
    NoDeadLetterSource,
    /// The server accepts attributes that it does not use and forgets them: policies and their permissions, retention,
    /// FIFO throughput.
    ForgetsAttributes,
    /// The server accepts attributes of any name.
    AcceptsAnyAttribute,
    /// A redrive policy cannot be removed, because the server refuses an empty value.
    KeepsRedrivePolicies,
    /// Deduplication is always by queue.
    NoDeduplicationScope,
    /// The server no longer lists a message move task after its cancellation.
    ForgetsCancelledTasks,
    /// A later message of the group can overtake a returned one in a concurrent receive.
    OvertakesInGroups,
    /// A group delivers nothing while any of its messages is in flight, even a later one.
    LocksGroups,
}

impl Backend {
    pub const ALL: [Self; 3] = [Self::Local, Self::ElasticMq, Self::Moto];

    /// The server's name within the name of a test.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "sqs-local",
            Self::ElasticMq => "elasticmq",
            Self::Moto => "moto",
        }
    }

    pub fn has(self, quirk: Quirk) -> bool {
        let quirks: &[Quirk] = match self {
            Self::Local => &[],
            Self::ElasticMq => &[
                Quirk::NoPrefixFilter,
                Quirk::OtherErrorCodes,
                Quirk::DeletingTwiceFails,
                Quirk::HidesVisibleMessages,
                Quirk::NoPages,
                Quirk::ForgetsAttributes,
                Quirk::KeepsRedrivePolicies,
                Quirk::NoDeduplicationScope,
                Quirk::ForgetsCancelledTasks,
            ],
            Self::Moto => &[
                Quirk::HidesVisibleMessages,
                Quirk::NoSequenceNumbers,
                Quirk::NewIdForDuplicates,
                Quirk::NoPages,
                Quirk::NoMoveTasks,
                Quirk::NoDeadLetterSource,
                Quirk::AcceptsAnyAttribute,
                Quirk::NoDeduplicationScope,
                Quirk::OvertakesInGroups,
                Quirk::LocksGroups,
            ],
        };
        quirks.contains(&quirk)
    }
}

impl Harness {
    pub fn new() -> Self {
        Self {
            runtime: Runtime::new().expect("a runtime"),
            servers: Servers::new(),
            local: OnceLock::new(),
            s3s: OnceLock::new(),
        }
    }

    /// Returns the sqs-local that the tests without faults share.
    pub fn local(&self) -> &LocalSqs {
        self.local.get_or_init(|| {
            let server = self
                .runtime
                .block_on(sqs_tests::strict().start())
                .expect("sqs-local starts");
            eprintln!("server: sqs-local at {}", server.endpoint());
            server
        })
    }

    /// Returns the S3 server in this process that all tests share.
    pub fn s3s(&self) -> &S3sFs {
        self.s3s.get_or_init(|| {
            let server = self.runtime.block_on(S3sFs::start()).expect("s3s-fs starts");
            eprintln!("server: s3s-fs at {}", server.bucket().endpoint);
            server
        })
    }

    /// Returns a builder of a client of this server.
    pub fn client_for(&self, backend: Backend) -> Result<ClientBuilder, Unavailable> {
        let server = match backend {
            Backend::Local => return Ok(self.local().client_builder()),
            Backend::ElasticMq => self.servers.elasticmq(),
            Backend::Moto => self.servers.moto(),
        };
        server.map(client_of).map_err(Clone::clone)
    }
}

/// Returns a builder of a client of this server.
pub fn client_of(server: &Server) -> ClientBuilder {
    Client::builder()
        .endpoint_url(server.endpoint())
        .region(server.region())
        .credentials(Credentials::new(server.access_key(), server.secret_key()))
}

/// A client of one of the servers, which creates queues that no other test uses.
#[derive(Clone)]
pub struct Context {
    pub client: Client,
    pub backend: Backend,
}

impl Context {
    pub fn new(harness: &Harness, backend: Backend, protocol: Protocol) -> Result<Self, Unavailable> {
        let builder = harness.client_for(backend)?;
        let client = builder.protocol(protocol).build().expect("a client");
        Ok(Self { client, backend })
    }

    /// Creates a queue with AWS's default attributes and returns its URL.
    pub async fn queue(&self) -> anyhow::Result<String> {
        self.queue_with("", QueueAttributes::default()).await
    }

    /// Creates a queue whose name ends in `suffix` and returns its URL.
    pub async fn queue_with(&self, suffix: &str, attributes: QueueAttributes) -> anyhow::Result<String> {
        let name = format!("{}{suffix}", unique("queue"));
        let created = self.client.create_queue(name).attributes(attributes).await;
        Ok(created.context("creating a queue")?.queue_url)
    }
}

/// Returns a name that is unique within this run and among other runs against the same server.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{count}", std::process::id())
}

/// The result of a test. `Err` fails it.
pub type Outcome = anyhow::Result<()>;

/// Returns the name of a test: the path of its function within this binary.
///
/// # Panics
///
/// `test` is a closure, which has no name of its own.
pub fn name_of<F>(test: &F) -> &'static str {
    let path = std::any::type_name_of_val(test);
    let (_crate, name) = path.split_once("::").expect("the path of a function");
    assert!(!name.contains(['{', '<']), "{name} is not the name of a function");
    name
}

/// The tests. Each is named after its function, see [`name_of`].
impl Harness {
    /// Returns a test that uses no shared server.
    pub fn test<F, T>(self: &Arc<Self>, test: F) -> Trial
    where
        F: FnOnce() -> T + Send + 'static,
        T: Future<Output = Outcome> + Send + 'static,
    {
        self.trial(name_of(&test), |_| Ok(Box::pin(test())))
    }

    /// Returns a test that needs a thread of its own, such as one that starts a runtime.
    pub fn blocking_test<F>(self: &Arc<Self>, test: F) -> Trial
    where
        F: FnOnce() -> Outcome + Send + 'static,
    {
        self.trial(name_of(&test), |_| {
            Ok(Box::pin(async { tokio::task::spawn_blocking(test).await? }))
        })
    }

    /// Returns one of several tests of the function `test`, which `run` calls with arguments. Its name ends in `variant`.
    pub fn variant<F, R, T>(self: &Arc<Self>, test: &F, variant: impl fmt::Display, run: R) -> Trial
    where
        R: FnOnce() -> T + Send + 'static,
        T: Future<Output = Outcome> + Send + 'static,
    {
        self.trial(format!("{}::{variant}", name_of(test)), |_| Ok(Box::pin(run())))
    }

    /// Returns a test against `backend`. Its name ends in the server's name.
    pub fn server_test<F, T>(self: &Arc<Self>, backend: Backend, protocol: Protocol, test: F) -> Trial
    where
        F: FnOnce(Context) -> T + Send + 'static,
        T: Future<Output = Outcome> + Send + 'static,
    {
        let name = format!("{}::{}", name_of(&test), backend.name());
        self.trial(name, move |harness| {
            let context = Context::new(harness, backend, protocol)?;
            Ok(Box::pin(test(context)))
        })
    }

    /// Returns a test of any name. `prepare` requests the servers and returns the future, which runs on the shared
    /// runtime.
    ///
    /// A test whose server is unavailable says so and passes, or fails in CI.
    pub fn trial<F>(self: &Arc<Self>, name: impl Into<String>, prepare: F) -> Trial
    where
        F: FnOnce(&Self) -> Result<BoxFuture<'static, Outcome>, Unavailable> + Send + 'static,
    {
        let harness = Arc::clone(self);
        Trial::test(name, move || match prepare(&harness) {
            Ok(future) => harness
                .runtime
                .block_on(future)
                .map_err(|error| Failed::from(format!("{error:?}"))),
            Err(unavailable) => unavailable.skip().map_err(Failed::from),
        })
    }
}
