//! Command-line options.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Parser;
use clap::error::ErrorKind;

/// The largest object of S3: 10,000 parts of 5 GiB.
const MAX_SIZE: u64 = 10_000 * 5 * (1 << 30);

/// Invalid input, described in one line.
#[derive(Debug)]
pub(crate) struct InvalidInput(pub String);

impl<E: std::fmt::Display> From<E> for InvalidInput {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Sends a payload of any size through a queue and receives it.
///
/// For real servers, set the keys in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and the region in
/// AWS_REGION.
#[derive(Debug, Parser)]
#[command(name = "large_payload", version)]
pub(crate) struct Options {
    /// The size of the generated payload
    #[arg(long, default_value = "2GiB", conflicts_with = "file")]
    pub(crate) size: ByteSize,

    /// A file to send instead of a generated payload
    #[arg(long)]
    pub(crate) file: Option<PathBuf>,

    /// The file to write the received payload to [default: verify it only]
    #[arg(long)]
    pub(crate) output: Option<PathBuf>,

    /// The SQS server's URL [default: sqs-local, in this process]
    #[arg(long)]
    pub(crate) endpoint: Option<String>,

    /// The S3 server's URL [default: Amazon S3 with --bucket, else a temporary folder]
    #[arg(long)]
    pub(crate) s3_endpoint: Option<String>,

    /// An existing bucket [default with --s3-endpoint: large-payload]
    #[arg(long)]
    pub(crate) bucket: Option<String>,

    /// The queue's name. The queue is created if it does not exist [default: a new queue, deleted at the end]
    #[arg(long)]
    pub(crate) queue: Option<String>,

    /// The size of an uploaded part
    #[arg(long, default_value = "8MiB")]
    pub(crate) part_size: ByteSize,

    /// The number of parts uploaded at a time
    #[arg(long)]
    pub(crate) concurrency: Option<usize>,
}

impl Options {
    /// Parses the options. Returns `None` if help or the version was requested and printed.
    pub(crate) fn parse() -> Result<Option<Self>, InvalidInput> {
        match Self::try_parse() {
            Ok(options) => options.checked().map(Some),
            Err(help) if matches!(help.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
                help.print()?;
                Ok(None)
            }
            Err(error) => {
                let text = error.to_string();
                let line = text.lines().next().unwrap_or_default();
                Err(InvalidInput(line.trim_start_matches("error: ").to_owned()))
            }
        }
    }

    /// Checks the options, so that an invalid one fails before gigabytes are sent.
    fn checked(self) -> Result<Self, InvalidInput> {
        let refuse = |why: String| Err(InvalidInput(why));
        if self.size.as_u64() > MAX_SIZE {
            return refuse(format!(
                "--size exceeds {}, the largest object of S3",
                ByteSize::b(MAX_SIZE)
            ));
        }
        if let Some(output) = &self.output {
            let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
            if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
                return refuse(format!("{} is not a folder", folder.display()));
            }
            if output.exists() && !output.is_file() {
                return refuse(format!("{} is not a regular file", output.display()));
            }
        }
        if let Some(url) = &self.s3_endpoint
            && !url.starts_with("http://")
            && !url.starts_with("https://")
        {
            return refuse("--s3-endpoint must begin with http:// or https://".to_owned());
        }
        if self.s3_endpoint.is_some() && std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
            return refuse("--s3-endpoint needs keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned());
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if let Some(queue) = &self.queue
            && (queue.is_empty() || queue.len() > 80 || !queue.chars().all(allowed))
        {
            return refuse(format!(
                "{queue:?} is not a queue name; use up to 80 letters, digits, hyphens and underscores"
            ));
        }
        if self.queue.as_ref().is_some_and(|queue| queue.ends_with(".fifo")) {
            return refuse(
                "--queue names a FIFO queue, which requires message groups; name a standard queue".to_owned(),
            );
        }
        Ok(self)
    }
}
