//! Compares the client's hot path with aws-sdk-sqs and a hand-written floor, against a server that responds at once.
//! Contenders take turns, each in a process of its own on one thread. Results are CPU time of the client's process,
//! allocations and requests per second. A ratio is the median over the turns.
//!
//! ```sh
//! cd bench && cargo run --release --bin hotpath -- --pairs 5
//! ```

mod allocations;
mod contender;
mod run;
mod workload;

use bench::measure::Spread;
use bench::null_server;
use bench::turns::take_turns;
use clap::{Parser, Subcommand, ValueEnum as _};

use contender::Name;
use run::Measured;
use workload::Workload;

#[derive(Parser)]
#[command(about = "Compares the client's hot path with aws-sdk-sqs and a hand-written floor")]
struct Options {
    /// The number of turns of each contender
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// The number of requests in a turn. Workloads of 250 KiB per request or response send a tenth of it
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// The number of concurrent requests
    #[arg(long, default_value_t = 16)]
    tasks: usize,
    /// The workloads to run [default: all]
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<Workload>,
    #[command(subcommand)]
    child: Option<Role>,
}

/// The job of a child process.
#[derive(Subcommand)]
enum Role {
    #[command(hide = true)]
    Serve { workload: Workload },
    #[command(hide = true)]
    Run(run::Options),
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            match options.child {
                Some(Role::Serve { workload }) => null_server::serve(workload.response().to_string()).await,
                Some(Role::Run(run)) => run::run(run).await,
                None => compare(&options).await,
            }
        })
}

async fn compare(options: &Options) -> anyhow::Result<()> {
    let workloads = match options.workloads.as_slice() {
        [] => Workload::value_variants(),
        chosen => chosen,
    };
    for &workload in workloads {
        let (_server, address) = null_server::start(&["serve", &workload.to_string()]).await?;
        let requests = (options.requests / workload.weight()).to_string();
        let turns = take_turns(Name::ALL.len(), options.pairs, |contender| {
            let (workload, contender) = (workload.to_string(), Name::ALL[contender].to_string());
            let (address, requests, tasks) = (address.clone(), requests.clone(), options.tasks.to_string());
            vec!["run".to_owned(), workload, contender, address, requests, tasks]
        });
        print(workload, options, &turns.await?);
    }
    Ok(())
}

fn print(workload: Workload, options: &Options, results: &[Vec<Measured>]) {
    println!(
        "{workload}: {} turns of {} requests, {} at a time",
        options.pairs,
        options.requests / workload.weight(),
        options.tasks
    );
    for (name, results) in Name::ALL.iter().zip(results) {
        println!(
            "  {name:<12} {:>8.1} µs of CPU per request, {:>5.0} allocations, {:>7.0} requests/s",
            Spread::over(results, Measured::cpu_micros).median,
            Spread::over(results, |result| result.allocations).median,
            Spread::over(results, |result| result.requests_per_second).median,
        );
    }
    let Some((ours, others)) = results.split_first() else {
        return;
    };
    for (name, theirs) in Name::ALL[1..].iter().zip(others) {
        let pairs: Vec<(Measured, Measured)> = ours.iter().copied().zip(theirs.iter().copied()).collect();
        let ratio = |metric: fn(&Measured) -> f64| Spread::over(&pairs, |(ours, theirs)| metric(ours) / metric(theirs));
        println!(
            "  ours / {name}: CPU {}, requests/s {}",
            ratio(Measured::cpu_micros),
            ratio(|result| result.requests_per_second)
        );
    }
    println!();
}
