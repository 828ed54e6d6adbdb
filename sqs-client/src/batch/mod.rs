//! Batches of any length. They are split by the sizes that SQS counts, and each input gets a result.

mod actions;
mod batches;
mod order;
mod plan;
mod run;

pub use actions::Batch;
#[cfg(feature = "batcher")]
pub(crate) use actions::keeps_order;
pub use batches::Batches;
#[cfg(feature = "batcher")]
pub(crate) use order::FailedGroups;
#[cfg(feature = "batcher")]
pub(crate) use plan::Fill;
#[cfg(feature = "batcher")]
pub(crate) use run::Destination;
