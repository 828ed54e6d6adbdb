//! Compares the offload path with raw `object_store`, in pairs that take turns. Ratios are of throughput:
//! `sqs-extended` over raw `object_store`.
//!
//! ```sh
//! cd bench && cargo run --release --bin offload -- --size-mib 1024 --pairs 5
//! ```

use std::time::Duration;

use bench::measure::Spread;
use bench::transfer::{MIB, Shape, block, create_bucket, extended, ours, raw};
use clap::Parser;
use sqs_tests::servers::Servers;

#[derive(Clone, Copy, Parser)]
#[command(about = "Compares the offload path with raw object_store")]
struct Options {
    #[command(flatten)]
    shape: Shape,
    /// The number of measured pairs
    #[arg(long, default_value_t = 5)]
    pairs: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Options { shape, pairs } = Options::parse();
    let servers = Servers::new();
    let minio = servers.minio().map_err(Clone::clone)?;
    let store = create_bucket(minio)?;
    let queue_server = sqs_tests::strict().start().await?;
    let extended = extended(&queue_server.endpoint(), store.clone(), shape)?;
    let queue = extended.client().create_queue("bench").await?.queue_url;

    let block = block(shape.part_mib * MIB);
    let (mut up, mut down) = (Vec::new(), Vec::new());
    // Pair 0 warms up.
    for pair in 0..=pairs {
        let raw = raw(&store, &block, shape).await?;
        let ours = ours(&extended, &queue, &block, shape).await?;
        let rate = |time: Duration| shape.size_mib as f64 / time.as_secs_f64();
        println!(
            "pair {pair}: upload raw {:.0}, ours {:.0} MiB/s; download raw {:.0}, ours {:.0} MiB/s{}",
            rate(raw.0),
            rate(ours.0),
            rate(raw.1),
            rate(ours.1),
            if pair == 0 { " (warm-up, not counted)" } else { "" }
        );
        if pair > 0 {
            up.push(raw.0.as_secs_f64() / ours.0.as_secs_f64());
            down.push(raw.1.as_secs_f64() / ours.1.as_secs_f64());
        }
    }
    for (direction, ratios) in [("upload", up), ("download", down)] {
        let ratio = Spread::over(&ratios, |ratio| *ratio);
        println!("{direction}: ours / raw object_store = {ratio}, median of {pairs}");
    }
    Ok(())
}
