//! The client's hot path beside aws-sdk-sqs and a floor written by hand, against a server that answers at once: CPU time
//! of the client's process, allocations and requests a second. Every contender runs in a process of its own, on one
//! thread; they take turns, and a ratio is the median of those of the turns.
//!
//! ```sh
//! cd bench && cargo run --release --bin hotpath -- --pairs 5
//! ```

mod allocations;
mod contender;
mod run;
mod workload;

use std::process::Stdio;

use bench::figures::Spread;
use bench::null_server;
use clap::{Parser, Subcommand, ValueEnum as _};
use tokio::process::Command;

use contender::Name;
use run::Figures;
use workload::Workload;

#[derive(Parser)]
struct Options {
    /// How many times each contender has its turn.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Requests a turn; a tenth of it where a request or answer is 250 KiB.
    #[arg(long, default_value_t = 20_000)]
    requests: usize,
    /// Requests at a time.
    #[arg(long, default_value_t = 16)]
    tasks: usize,
    /// Only these; all by default.
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<Workload>,
    #[command(subcommand)]
    child: Option<Role>,
}

/// What the program is as a child of itself.
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
                Some(Role::Serve { workload }) => null_server::serve(workload.answer().to_string()).await,
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
        let mut figures = Name::ALL.map(|_| Vec::new());
        for turn in 0..options.pairs {
            for place in 0..Name::ALL.len() {
                // Nobody is always first.
                let contender = (turn + place) % Name::ALL.len();
                figures[contender].push(take_turn(workload, Name::ALL[contender], &address, options).await?);
            }
        }
        print(workload, options, &figures);
    }
    Ok(())
}

async fn take_turn(workload: Workload, contender: Name, address: &str, options: &Options) -> anyhow::Result<Figures> {
    let requests = options.requests / workload.weight();
    let output = this_program()?
        .args(["run", &workload.to_string(), &contender.to_string(), address])
        .args([requests.to_string(), options.tasks.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .await?;
    anyhow::ensure!(output.status.success(), "{contender} failed: {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn this_program() -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.kill_on_drop(true);
    Ok(command)
}

fn print(workload: Workload, options: &Options, figures: &[Vec<Figures>; Name::ALL.len()]) {
    println!(
        "{workload}: {} turns of {} requests, {} at a time",
        options.pairs,
        options.requests / workload.weight(),
        options.tasks
    );
    for (name, figures) in Name::ALL.iter().zip(figures) {
        println!(
            "  {name:<12} {:>8.1} µs of CPU a request, {:>5.0} allocations, {:>7.0} requests/s",
            Spread::of(figures, Figures::cpu_micros).median,
            Spread::of(figures, |f| f.allocations).median,
            Spread::of(figures, |f| f.requests_per_second).median,
        );
    }
    let [ours, others @ ..] = figures;
    for (name, theirs) in Name::ALL[1..].iter().zip(others) {
        let pairs: Vec<(Figures, Figures)> = ours.iter().copied().zip(theirs.iter().copied()).collect();
        let ratio = |figure: fn(&Figures) -> f64| Spread::of(&pairs, |(ours, theirs)| figure(ours) / figure(theirs));
        println!(
            "  ours / {name}: CPU {}, requests/s {}",
            ratio(Figures::cpu_micros),
            ratio(|f| f.requests_per_second)
        );
    }
    println!();
}
