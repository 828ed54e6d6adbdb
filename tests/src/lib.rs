//! Test equipment: SQS- and S3-compatible servers on demand, and AWS's own extended clients.

pub mod peers;
pub mod servers;
