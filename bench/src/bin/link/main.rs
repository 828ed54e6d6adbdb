//! Compares transfers over links of several speeds: sqs-extended with default settings, raw object_store with the best
//! of a grid of fixed settings, boto3, AWS's CRT, s5cmd and AWS's extended clients. The store is a process of its own, on
//! loopback, which limits the speed as a link would. So is each turn of a contender. The last lines are
//! `name: value (min–max)`.
//!
//! ```sh
//! cd bench && cargo run --release --bin link -- --quick
//! cd bench && cargo run --release --bin link -- --link 30ms-90MBs --only ours,grid --direction down
//! cd bench && cargo run --release --bin link -- --sizes 1024,4096,16384
//! ```

mod contenders;
mod options;
mod peers;
mod report;
mod rounds;

use std::path::Path;

use bench::measure::Spread;
use bench::shaped_store::{self, Pattern, ShapedStore};
use bench::transfer::MIB;
use clap::Parser as _;
use sqs_local::LocalSqs;
use tempfile::TempDir;

use crate::contenders::{DOWNLOAD_KEY, Turn, extended, raw_store, upload_raw};
use crate::options::{Contender, Direction, LinkName, Options, Role};
use crate::report::Lines;
use crate::rounds::{Rounds, UNMEASURED};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    match &options.role {
        Some(Role::Store(settings)) => shaped_store::serve(settings).await,
        Some(Role::Turn { turn }) => serde_json::from_str::<Turn>(turn)?.run().await,
        None => compare(&options).await,
    }
}

async fn compare(options: &Options) -> anyhow::Result<()> {
    let folder = temporary_folder(&options.folder)?;
    let queues = sqs_tests::strict().journal_capacity(0).start().await?;
    let mut lines = Lines::default();
    if options.sizes.is_empty() {
        let python = match options.needs_python() {
            true => peers::install()
                .await
                .inspect_err(|why| println!("boto3, crt and s5cmd are left out: {why:#}")),
            false => Ok(Path::new("").to_owned()),
        };
        let file = folder.path().join("payload");
        Pattern::new().write_file(&file, options.size_mib() * MIB as u64)?;
        for link in options.links() {
            let store = ShapedStore::start(&["store"], link.link(), link.has_tls(), folder.path()).await?;
            for direction in options.directions() {
                let turn = prepare(options, &store, &queues, direction, options.size_mib(), &file).await?;
                let mut rounds = Rounds::new(options, link, turn, store.control()?, python.as_deref().ok());
                let results = rounds.run().await?;
                lines.add_results(link, direction, &results, &options.points(link, direction));
            }
        }
    } else {
        peak_of_sizes(options, &queues, folder.path(), &mut lines).await?;
    }
    lines.print();
    Ok(())
}

/// Creates a folder for files. Before that, removes those of killed benchmarks, because they use memory.
fn temporary_folder(parent: &Path) -> anyhow::Result<TempDir> {
    const PREFIX: &str = "link-bench-";

    for entry in std::fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    let prefix = format!("{PREFIX}{}-", std::process::id());
    Ok(tempfile::Builder::new().prefix(&prefix).tempdir_in(parent)?)
}

/// Stores the object to download, with a message for each transfer. Returns the turn that all contenders have.
async fn prepare(
    options: &Options,
    store: &ShapedStore,
    queues: &LocalSqs,
    direction: Direction,
    size_mib: u64,
    file: &Path,
) -> anyhow::Result<Turn> {
    let client = extended(&store.open_url, &queues.endpoint())?;
    // A queue of its own, because the messages of another link point to another store.
    let port = store.url.rsplit(':').next().unwrap_or_default();
    let name = format!("{direction}-{port}-{size_mib}");
    let queue = client.client().create_queue(name).await?.queue_url;
    let size = size_mib * MIB as u64;
    if direction == Direction::Down {
        let raw = raw_store(&store.open_url)?;
        upload_raw(&raw, DOWNLOAD_KEY, size, 64 * MIB as u64, 2).await?;
        for _ in 0..options.transfers {
            let payload = sqs_extended::Payload::from_stream(Pattern::new().stream(size), size);
            client.send(&queue, payload).await?;
        }
    }
    Ok(Turn {
        contender: Contender::Ours,
        direction,
        store: store.url.clone(),
        open_store: store.open_url.clone(),
        certificate: store.certificate.clone(),
        queues: queues.endpoint(),
        queue,
        size,
        transfers: options.transfers,
        file: file.to_owned(),
    })
}

/// Prints the peak memory of an upload and a download for each size.
async fn peak_of_sizes(options: &Options, queues: &LocalSqs, folder: &Path, lines: &mut Lines) -> anyhow::Result<()> {
    let link = LinkName::Near;
    let store = ShapedStore::start(&["store"], link.link(), false, folder).await?;
    for size_mib in &options.sizes {
        // The message that the upload sends is the one to download.
        let turn = prepare(options, &store, queues, Direction::Up, *size_mib, folder).await?;
        for direction in [Direction::Up, Direction::Down] {
            let turn = Turn {
                direction,
                transfers: 1,
                ..turn.clone()
            };
            let mut rounds = Rounds::new(options, link, turn, store.control()?, None);
            // The chunks of a stream are uploaded as they are. A reader needs buffers.
            let contender = match direction {
                Direction::Up => Contender::OursReader,
                Direction::Down => Contender::Ours,
            };
            let sample = rounds.turn(contender, UNMEASURED).await?;
            let peak = Spread::over(&[sample], |sample| sample.measured.peak_mib);
            lines.add(&format!("{link}.{direction}.ours-peak-MiB-of-{size_mib}-MiB"), &peak, 0);
        }
    }
    Ok(())
}
