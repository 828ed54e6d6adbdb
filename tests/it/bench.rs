//! What all tests share: the runtime, the servers, and clients for them.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use futures::future::BoxFuture;
use libtest_mimic::{Failed, Trial};
use sqs_client::{Client, ClientBuilder, Credentials, Protocol, QueueAttributes};
use sqs_tests::embedded::EmbeddedServer;
use sqs_tests::servers::{Server, Servers, Unavailable};
use tokio::runtime::Runtime;

/// What all tests share.
pub struct Bench {
    pub runtime: Runtime,
    pub servers: Servers,
    embedded: OnceLock<EmbeddedServer>,
}

/// An SQS server that the conformance suite is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Embedded,
    ElasticMq,
    Moto,
}

/// Where a server is known to differ from SQS; the suite tests what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// `prefix.*` on receive brings nothing.
    NoPrefixFilter,
    /// Some errors have another code than SQS gives them, or are none.
    OtherErrorCodes,
    /// A handle that was deleted with is an error the second time.
    DeletingTwiceFails,
    /// A message that is visible again can be hidden by its old handle.
    HidesVisibleMessages,
    /// Control characters are taken.
    TakesAnyCharacter,
    /// FIFO messages have no sequence number unless asked for on receive.
    NoSequenceNumbers,
    /// The answer to a repeated FIFO message names a new id.
    NewIdForDuplicates,
    /// Lists of queues come whole, whatever number was asked for.
    NoPages,
    /// There are no message move tasks: those actions are answered with status 500 and HTML.
    NoMoveTasks,
    /// A dead letter does not say where it is from.
    NoDeadLetterSource,
    /// Attributes that the server has no use for are taken and forgotten: policies with the permissions in them,
    /// retention, FIFO throughput.
    ForgetsAttributes,
    /// Attributes of any name are taken.
    TakesAnyAttribute,
    /// A redrive policy cannot be taken away: an empty value is refused.
    KeepsRedrivePolicies,
    /// Deduplication is always by queue.
    NoDeduplicationScope,
    /// A message move task that was cancelled is no longer listed.
    ForgetsCancelledTasks,
    /// What was given back can be overtaken by a later message of its group, in a receive at the same time.
    OvertakesInGroups,
    /// A group yields nothing while any of its messages is in flight, even if that message comes later.
    LocksGroups,
}

impl Backend {
    pub fn has(self, quirk: Quirk) -> bool {
        let quirks: &[Quirk] = match self {
            Self::Embedded => &[],
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
                Quirk::TakesAnyCharacter,
                Quirk::NoSequenceNumbers,
                Quirk::NewIdForDuplicates,
                Quirk::NoPages,
                Quirk::NoMoveTasks,
                Quirk::NoDeadLetterSource,
                Quirk::TakesAnyAttribute,
                Quirk::NoDeduplicationScope,
                Quirk::OvertakesInGroups,
                Quirk::LocksGroups,
            ],
        };
        quirks.contains(&quirk)
    }
}

impl Bench {
    pub fn new() -> Self {
        Self {
            runtime: Runtime::new().expect("a runtime"),
            servers: Servers::new(),
            embedded: OnceLock::new(),
        }
    }

    /// The embedded server that tests without faults of their own share.
    pub fn embedded(&self) -> &EmbeddedServer {
        self.embedded.get_or_init(|| {
            let server = self
                .runtime
                .block_on(EmbeddedServer::start())
                .expect("the embedded server starts");
            eprintln!("server: embedded at {}", server.endpoint());
            server
        })
    }

    /// Settings of a client for this server.
    pub fn client_for(&self, backend: Backend) -> Result<ClientBuilder, Unavailable> {
        let server = match backend {
            Backend::Embedded => return Ok(client_of_embedded(self.embedded())),
            Backend::ElasticMq => self.servers.elasticmq(),
            Backend::Moto => self.servers.moto(),
        };
        server.map(client_of).map_err(Clone::clone)
    }
}

/// Settings of a client for this server.
pub fn client_of(server: &Server) -> ClientBuilder {
    Client::builder()
        .endpoint_url(server.endpoint())
        .region(server.region())
        .credentials(Credentials::new(server.access_key(), server.secret_key()))
}

/// Settings of a client for an embedded server with its default key.
pub fn client_of_embedded(server: &EmbeddedServer) -> ClientBuilder {
    Client::builder()
        .endpoint_url(server.endpoint())
        .region("us-east-1")
        .credentials(Credentials::new("test", "test"))
}

/// A client and a name for queues that no other test uses.
#[derive(Clone)]
pub struct Context {
    pub client: Client,
    pub backend: Backend,
}

impl Context {
    pub fn new(bench: &Bench, backend: Backend, protocol: Protocol) -> Result<Self, Unavailable> {
        let builder = bench.client_for(backend)?;
        let client = builder.protocol(protocol).build().expect("a client");
        Ok(Self { client, backend })
    }

    /// A new queue with AWS's default attributes.
    pub async fn queue(&self) -> anyhow::Result<String> {
        self.queue_with("", QueueAttributes::default()).await
    }

    /// A new queue whose name ends in `suffix`.
    pub async fn queue_with(&self, suffix: &str, attributes: QueueAttributes) -> anyhow::Result<String> {
        let name = format!("{}{suffix}", unique("queue"));
        let created = self.client.create_queue(name).attributes(attributes).await;
        Ok(created.context("creating a queue")?.queue_url)
    }
}

/// A name that nothing else in this run has, nor in another run against the same server.
pub fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{count}", std::process::id())
}

/// A test's own end: `Err` fails it.
pub type Outcome = anyhow::Result<()>;

/// The test of this name that runs `test` on the shared runtime; where a server is unavailable, it says so and passes,
/// or fails in CI.
pub fn trial<F>(name: impl fmt::Display, bench: &std::sync::Arc<Bench>, test: F) -> Trial
where
    F: FnOnce(std::sync::Arc<Bench>) -> Result<BoxFuture<'static, Outcome>, Unavailable> + Send + 'static,
{
    let bench = bench.clone();
    Trial::test(name.to_string(), move || {
        let shared = bench.clone();
        match test(shared) {
            Ok(future) => bench
                .runtime
                .block_on(future)
                .map_err(|error| Failed::from(format!("{error:?}"))),
            Err(unavailable) => unavailable.skip().map_err(Failed::from),
        }
    })
}
