//! Test equipment: SQS- and S3-compatible servers on demand, AWS's own extended clients, and programs of AWS's SDKs.

pub mod peers;
pub mod sdks;
pub mod servers;
