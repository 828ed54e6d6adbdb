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

use bench::figures::Spread;
use bench::null_server;
use bench::turns::take_turns;
use clap::{Parser, Subcommand, ValueEnum as _};

use contender::Name;
use run::Figures;
use workload::Workload;

#[derive(Parser)]
#[command(about = "The hot path of a request beside aws-sdk-sqs and a floor written by hand")]
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

fn print(workload: Workload, options: &Options, figures: &[Vec<Figures>]) {
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
    let Some((ours, others)) = figures.split_first() else {
        return;
    };
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
