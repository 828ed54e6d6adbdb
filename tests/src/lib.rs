//! Test equipment: SQS- and S3-compatible servers on demand, AWS's own extended clients, and an embedded SQS server with
//! fault injection.

pub mod embedded;
pub mod peers;
pub mod servers;
