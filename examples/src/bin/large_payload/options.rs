//! The command line.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Parser;
use clap::error::ErrorKind;

/// The largest object of S3: 10,000 parts of 5 GiB.
const MAX_SIZE: u64 = 10_000 * 5 * (1 << 30);

/// Input that cannot be worked with, in one line.
#[derive(Debug)]
pub(crate) struct Wrong(pub String);

impl<E: std::fmt::Display> From<E> for Wrong {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Sends a payload of any size through a queue and gets it back.
///
/// Keys for real servers are read from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, the region from
/// AWS_REGION.
#[derive(Debug, Parser)]
#[command(name = "large_payload", version)]
pub(crate) struct Options {
    /// How much to send, generated as it is read
    #[arg(long, default_value = "2GiB", conflicts_with = "file")]
    pub(crate) size: ByteSize,

    /// A file to send instead
    #[arg(long)]
    pub(crate) file: Option<PathBuf>,

    /// Where to put what is received; it is only verified otherwise
    #[arg(long)]
    pub(crate) output: Option<PathBuf>,

    /// The SQS server's URL; an embedded server otherwise
    #[arg(long)]
    pub(crate) endpoint: Option<String>,

    /// The S3 server's URL; a temporary folder is the store otherwise, or AWS's S3 where there is a --bucket
    #[arg(long)]
    pub s3_endpoint: Option<String>,

    /// The bucket, which must exist; `large-payload` with --s3-endpoint
    #[arg(long)]
    pub(crate) bucket: Option<String>,

    /// The queue's name, created if need be; a queue of its own otherwise, deleted afterwards
    #[arg(long)]
    pub(crate) queue: Option<String>,

    /// The size of an uploaded part
    #[arg(long, default_value = "8MiB")]
    pub(crate) part_size: ByteSize,

    /// How many parts are uploaded at the same time
    #[arg(long)]
    pub(crate) concurrency: Option<usize>,
}

impl Options {
    /// The options; `None` where help was asked for and given.
    pub(crate) fn parse() -> Result<Option<Self>, Wrong> {
        match Self::try_parse() {
            Ok(options) => options.checked().map(Some),
            Err(help) if matches!(help.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
                help.print()?;
                Ok(None)
            }
            Err(error) => {
                let text = error.to_string();
                let line = text.lines().next().unwrap_or_default();
                Err(Wrong(line.trim_start_matches("error: ").to_owned()))
            }
        }
    }

    /// Finds out before gigabytes have been sent that they cannot be put there.
    fn checked(self) -> Result<Self, Wrong> {
        let refuse = |why: String| Err(Wrong(why));
        if self.size.as_u64() > MAX_SIZE {
            return refuse(format!(
                "--size is more than {}, the most that S3 stores",
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
            return refuse("--s3-endpoint begins with neither http:// nor https://".to_owned());
        }
        if self.s3_endpoint.is_some() && std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
            return refuse("--s3-endpoint needs keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned());
        }
        let of_a_queue = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if let Some(queue) = &self.queue
            && (queue.is_empty() || queue.len() > 80 || !queue.chars().all(of_a_queue))
        {
            return refuse(format!(
                "{queue:?} is no queue's name: up to 80 letters, digits, hyphens and underscores"
            ));
        }
        if self.queue.as_ref().is_some_and(|queue| queue.ends_with(".fifo")) {
            return refuse(
                "--queue is of a FIFO queue, which takes messages in groups only; name a standard one".to_owned(),
            );
        }
        Ok(self)
    }
}
