//! The request to download a payload to a file.

use std::future::IntoFuture;
use std::path::PathBuf;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::error::Error;
use crate::payload::Progress;
use crate::payload::progress::OnProgress;
use crate::receive::delivery::ExtendedDelivery;

/// A download of a payload to a file, which begins when it is awaited. It returns the payload's length in bytes.
///
/// [`ExtendedDelivery::download_to`] creates it, and documents its errors.
///
/// # Cancel safety
///
/// Dropping the future leaves the target unchanged. It deletes the temporary file, unless
/// [`keep_partial_downloads`](crate::store::PayloadStoreBuilder::keep_partial_downloads) is set and the payload can be
/// continued. If the download was about to
/// end, the complete file may still replace the target.
///
/// ```no_run
/// # async fn example(delivery: sqs_extended::ExtendedDelivery) -> Result<(), sqs_extended::Error> {
/// let len = delivery
///     .download_to("restored.tar")
///     .on_progress(|progress| eprintln!("{} of {:?} bytes", progress.done, progress.total))
///     .await?;
/// # let _ = len;
/// # Ok(()) }
/// ```
#[must_use = "nothing is downloaded before it is awaited"]
#[derive(Debug)]
pub struct DownloadRequest<'a> {
    delivery: &'a ExtendedDelivery,
    path: PathBuf,
    on_progress: OnProgress,
}

impl<'a> DownloadRequest<'a> {
    pub(super) fn new(delivery: &'a ExtendedDelivery, path: PathBuf) -> Self {
        Self {
            delivery,
            path,
            on_progress: OnProgress::default(),
        }
    }

    /// Sets the function that receives the progress of the download. Default: none.
    ///
    /// It is called while bytes arrive, at most 10 times a second, and once more when the payload is complete and verified.
    /// The file is synced and renamed after that, which can still fail. Only `Ok` means that the file is complete. The
    /// function runs within the download, so it must not block. Calls never overlap, and no lock is held meanwhile. If it
    /// panics, the download continues, a warning is logged, and it is not called again.
    pub fn on_progress(mut self, report: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = OnProgress::new(report);
        self
    }
}

impl<'a> IntoFuture for DownloadRequest<'a> {
    type Output = Result<u64, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.delivery.write_to(self.path, self.on_progress).boxed()
    }
}
