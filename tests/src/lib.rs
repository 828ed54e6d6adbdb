//! Test equipment: real SQS- and S3-compatible servers on demand, and an embedded SQS server with faults.

pub mod embedded;
pub mod servers;
