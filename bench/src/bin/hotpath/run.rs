//! A single turn of a contender.

use std::sync::Arc;
use std::time::Duration;

use bench::child;
use bench::measure::cpu_time;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::allocations;
use crate::contender::{Contender, Floor, Name, Ours, Sdk};
use crate::workload::Workload;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    cpu: Duration,
    requests: usize,
    pub(crate) requests_per_second: f64,
    /// Allocations per request, sent one at a time.
    pub(crate) allocations: f64,
}

impl Measured {
    pub(crate) fn cpu_micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests as f64
    }
}

#[derive(clap::Args)]
pub(crate) struct Options {
    workload: Workload,
    contender: Name,
    address: String,
    requests: usize,
    tasks: usize,
}

/// Runs the turn, and reports its result.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let result = match options.contender {
        Name::Ours => measure(Ours::new(&options.address, options.workload)?, &options).await,
        Name::AwsSdkSqs => measure(Sdk::new(&options.address, options.workload), &options).await,
        Name::ByHand => measure(Floor::new(&options.address, options.workload)?, &options).await,
    }?;
    child::report(&result)
}

async fn measure<C: Contender>(contender: C, options: &Options) -> anyhow::Result<Measured> {
    let contender = Arc::new(contender);
    // Open the connections and warm up.
    requests(&contender, options.requests / 10, options).await?;

    let (cpu, begin) = (cpu_time()?, Instant::now());
    requests(&contender, options.requests, options).await?;
    let (cpu, elapsed) = (cpu_time()? - cpu, begin.elapsed());

    let counted = 100;
    let (allocations, result) = allocations::during(async {
        for _ in 0..counted {
            contender.request(options.workload).await?;
        }
        anyhow::Ok(())
    })
    .await;
    result?;
    Ok(Measured {
        cpu,
        requests: options.requests,
        requests_per_second: options.requests as f64 / elapsed.as_secs_f64(),
        allocations: allocations as f64 / f64::from(counted),
    })
}

/// Sends `count` requests, with one task for each concurrent request.
async fn requests<C: Contender>(contender: &Arc<C>, count: usize, options: &Options) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for task in 0..options.tasks {
        let (contender, workload) = (contender.clone(), options.workload);
        let share = (task..count).step_by(options.tasks).len();
        tasks.spawn(async move {
            for _ in 0..share {
                contender.request(workload).await?;
            }
            anyhow::Ok(())
        });
    }
    tasks.join_all().await.into_iter().collect()
}
