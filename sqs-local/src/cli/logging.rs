//! The log, on standard error.

use std::io;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt, registry};

/// Starts the log for this process.
pub(crate) fn start(filter: &Targets) {
    let lines = fmt::layer().with_writer(io::stderr);
    registry().with(lines).with(filter.clone()).init();
}
