//! The client, its settings, and the execution of requests.

pub(crate) mod batch_limit;
mod builder;
pub(crate) mod erased;
mod execute;
mod handle;
mod request;
mod span;
mod trace_carrier;

pub use crate::http::reqwest_service::{ReqwestService, http_client_builder};
pub use crate::http::service::{HttpFuture, HttpService};
pub use crate::protocol::Protocol;
pub use crate::retry::RetryPolicy;
pub use builder::ClientBuilder;
pub use handle::Client;
pub use request::Request;
pub use trace_carrier::TraceCarrier;
