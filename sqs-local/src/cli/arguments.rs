//! The program's arguments.

use clap::Parser;
use sqs_local::{DEFAULT_REGION, Fault, QueueSpec};
use tracing_subscriber::filter::Targets;

const EXAMPLE: &str = "\
Example:
  sqs-local --queue orders:dead-letter=orders-dlq,max-receives=3 --queue events.fifo \\
            --fault SendMessage:throttle:probability=0.1 --log debug

  Then, in the shell of a program that uses any AWS SDK:
  export AWS_ENDPOINT_URL_SQS=http://127.0.0.1:9324
  export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1

Messages are in memory, and end with the program. Everybody who can reach the port can use it.";

/// Amazon SQS on this machine, for development and tests.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// The port to listen on. 0 is a free one
    #[arg(long, default_value_t = 9324)]
    pub(crate) port: u16,

    /// The address or the name to listen on, such as 0.0.0.0 in a container
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: String,

    /// The start of the queue URLs that clients receive, if they reach this server by another address
    #[arg(long, value_name = "URL")]
    pub(crate) queue_url_base: Option<String>,

    /// A queue to create: NAME, or NAME:OPTION=VALUE,… with the options dead-letter=QUEUE, max-receives=NUMBER (default: 3), and
    /// queue attributes in kebab case, such as visibility-timeout=5. Repeatable
    #[arg(long = "queue", value_name = "QUEUE")]
    pub(crate) queues: Vec<QueueSpec>,

    /// A fault to inject: ACTION:KIND, such as SendMessage:throttle, any:delay=200ms:probability=0.1 or
    /// ReceiveMessage:drop-after:times=3. An unknown kind lists all of them. The options are after, times and probability.
    /// Repeatable
    #[arg(long = "fault", value_name = "FAULT")]
    pub(crate) faults: Vec<Fault>,

    /// The seed of message ids, fault probabilities and reordering
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,

    /// The region of --queue, which is in ARNs. With --strict, the only accepted region
    #[arg(long, default_value = DEFAULT_REGION)]
    pub(crate) region: String,

    /// The account of --queue, which is in ARNs and queue URLs
    #[arg(long, default_value = "000000000000")]
    pub(crate) account: String,

    /// Checks signatures (access key "test", secret "test"), refuses unknown members, and has AWS's delays after a purge and a
    /// deletion
    #[arg(long)]
    pub(crate) strict: bool,

    /// The log on standard error: off, error, warn, info, debug (each request), or a filter such as sqs_local=debug
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub(crate) log: Targets,
}
