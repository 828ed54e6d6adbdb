//! The contenders.

mod floor;
mod ours;
mod sdk;

pub(crate) use floor::Floor;
pub(crate) use ours::Ours;
pub(crate) use sdk::Sdk;

use crate::workload::Workload;

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Name {
    Ours,
    AwsSdkSqs,
    ByHand,
}

impl Name {
    /// All contenders. The first is compared with each of the others.
    pub(crate) const ALL: [Self; 3] = [Self::Ours, Self::AwsSdkSqs, Self::ByHand];
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Ours => "ours",
            Self::AwsSdkSqs => "aws-sdk-sqs",
            Self::ByHand => "by-hand",
        })
    }
}

/// A client with the bodies that it sends.
pub(crate) trait Contender: Send + Sync + 'static {
    /// Sends one request of the workload, from a program's values to values that it can use.
    fn request(&self, workload: Workload) -> impl Future<Output = anyhow::Result<()>> + Send;
}
