//! Finds payloads that no message can point to any more, and removes them with `--remove`.
//!
//! ```sh
//! cargo run --bin sweep -- s3://my-bucket/payloads
//! cargo run --bin sweep -- "s3://my-bucket/payloads?endpoint=http://localhost:9000" --older-than 14d --uploads --remove
//! ```
//!
//! It can be interrupted at any time. The next sweep continues the work.

mod view;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use sqs_extended::sweep::{Sweep, SweepReport};

use crate::view::View;

/// Finds payloads that no message can point to any more. It lists them, and removes them only with --remove.
///
/// For S3, set the keys in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and the region in AWS_REGION.
#[derive(Debug, Parser)]
#[command(name = "sweep", version)]
struct Options {
    /// The store's URL: s3://bucket/prefix?endpoint=…&region=…, or file:///folder
    store: String,

    /// The minimum age of an orphaned payload. It must exceed the lifetime of any message in the queue and its
    /// dead-letter queue
    #[arg(long, default_value = "28d", value_parser = humantime::parse_duration)]
    older_than: Duration,

    /// Remove the orphaned payloads
    #[arg(long)]
    remove: bool,

    /// Include uploads of this age that were never completed (S3 only)
    #[arg(long)]
    uploads: bool,

    /// Accept a URL without a prefix, and sweep the whole bucket
    #[arg(long)]
    whole_bucket: bool,
}

impl Options {
    fn sweep(&self, view: Arc<View>) -> anyhow::Result<Sweep> {
        ensure!(
            self.whole_bucket || has_prefix(&self.store),
            "the store's URL has no prefix; add one or use --whole-bucket"
        );
        let sweep = Sweep::from_url(&self.store, self.older_than)?;
        let sweep = sweep.unfinished_uploads(self.uploads);
        Ok(sweep.on_event(move |event| view.show(event)))
    }
}

/// Returns `true` if the URL has a path after the bucket.
fn has_prefix(url: &str) -> bool {
    let location = url.split(['?', '#']).next().unwrap_or_default();
    let path = location.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    path.is_some_and(|(_, path)| !path.is_empty())
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let view = Arc::new(View::new(options.remove));
    let sweep = match options.sweep(view.clone()) {
        Ok(sweep) => sweep,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    let swept = if options.remove {
        sweep.remove().await
    } else {
        sweep.dry_run().await
    };
    view.finish();
    match swept {
        Ok(report) => end(&report),
        Err(error) => {
            eprintln!("error: {:#}", anyhow::Error::from(error));
            ExitCode::FAILURE
        }
    }
}

fn end(report: &SweepReport) -> ExitCode {
    println!("{}", view::summary(report));
    if report.failed + report.uploads.failed > 0 {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_found_after_the_bucket() {
        for (url, has) in [
            ("s3://bucket", false),
            ("s3://bucket/", false),
            ("s3://bucket?endpoint=http://host/path", false),
            ("s3://bucket/p", true),
            ("s3://bucket/p/?region=here", true),
            ("file:///folder", true),
            ("file:///", false),
            ("nonsense", false),
        ] {
            assert_eq!(has_prefix(url), has, "{url}");
        }
    }
}
