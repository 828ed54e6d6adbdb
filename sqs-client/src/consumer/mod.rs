//! A consumer receives, handles and settles messages, and bounds the number in flight.
//!
//! `state` tracks the messages in flight and the free slots. `lease`, `backlog` and `pacing` make decisions. None of
//! these does I/O. Two tasks do it. The poller fills the state, and the heartbeat extends and returns messages. The
//! stream of deliveries yields messages from the state, and `run` is a loop over that stream.

mod ack_retry;
mod arrival;
mod backlog;
mod builder;
mod deliveries;
mod delivery;
pub(crate) mod extension;
mod forward;
mod handler_settings;
mod heartbeat;
mod lease;
mod middleware;
mod pacing;
mod poison;
mod poller;
mod recent;
#[cfg(feature = "testing")]
pub(crate) mod recording;
mod requests;
mod run;
mod settings;
pub(crate) mod settlement;
mod shared;
mod state;
mod telemetry;
#[cfg(feature = "testing")]
pub(crate) mod testing;
mod tracked;
mod triage;

pub use builder::Consumer;
pub use deliveries::Deliveries;
pub use delivery::Delivery;
pub use middleware::{HandlerFuture, HandlerOutcome};
pub use settlement::AckOutcome;
