//! An S3-compatible store behind a link of a chosen speed, for loopback only.
//!
//! It stores no content. Every object consists of the same [pattern](Pattern), and an upload of anything else is refused.
//! It needs neither a disk nor memory, and little CPU time beside the contenders.
//!
//! It listens twice: behind the [`Link`], and without limits for preparations. Its counters and its objects are the
//! same. Over the second one, `GET /-/counts` returns [`Counts`] as JSON, and `POST /-/reset?seed=1` clears them.

mod body;
mod connection;
mod control;
mod objects;
mod pace;
mod pattern;
mod reply;
mod request;
mod respond;
mod tls;
mod wire;
mod xml;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;

pub use control::{Control, Counts};
pub use pace::Link;
pub use pattern::{MAX_PIECE, Pattern};

use self::objects::Objects;
use self::pace::Shared;
use self::wire::Content;

/// The region of the store. It accepts any signature.
pub const REGION: &str = "us-east-1";
pub const ACCESS_KEY_ID: &str = "AKIDEXAMPLE";
pub const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// The store's settings, as arguments of its process.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    #[command(flatten)]
    pub link: Link,
    /// Listens with TLS behind the link, and writes the certificate to trust to this file
    #[arg(long)]
    pub certificate: Option<PathBuf>,
}

struct Store {
    content: Content,
    objects: Objects,
    counts: Mutex<Counts>,
}

impl Store {
    fn count(&self, change: impl FnOnce(&mut Counts)) {
        if let Ok(mut counts) = self.counts.lock() {
            change(&mut counts);
        }
    }
}

/// Serves until the parent process ends. Announces the URL behind the link and the one without limits, separated by a
/// space.
///
/// # Errors
///
/// Returns an error if no port can be bound, or the certificate cannot be made.
pub async fn serve(settings: &Settings) -> anyhow::Result<()> {
    let acceptor = settings.certificate.as_deref().map(tls::acceptor).transpose()?;
    let (scheme, listener) = (acceptor.as_ref().map_or("http", |_| "https"), listener().await?);
    let (open, shared) = (self::listener().await?, Arc::new(Shared::new(settings.link)));
    crate::child::announce(&format!(
        "{scheme}://{} http://{}",
        listener.local_addr()?,
        open.local_addr()?
    ));
    let store = Arc::new(Store {
        content: Content::new()?,
        objects: Objects::default(),
        counts: Mutex::default(),
    });
    let unlimited = Arc::new(Shared::new(Link::default()));
    tokio::try_join!(
        connection::accept(&store, listener, acceptor, &shared, &shared),
        connection::accept(&store, open, None, &unlimited, &shared),
    )?;
    Ok(())
}

async fn listener() -> anyhow::Result<TcpListener> {
    Ok(TcpListener::bind("127.0.0.1:0").await?)
}

/// The store's process, as the benchmark sees it. Dropping it ends the process.
pub struct ShapedStore {
    _process: tokio::process::Child,
    /// The URL behind the link.
    pub url: String,
    /// The URL without limits and without TLS.
    pub open_url: String,
    /// The file with the certificate to trust, if the store has TLS.
    pub certificate: Option<PathBuf>,
}

impl ShapedStore {
    /// Starts this program with `arguments` and those of the settings, which make it [`serve`]. A certificate is written to
    /// `folder`.
    ///
    /// # Errors
    ///
    /// Returns an error if the process cannot be started or announces nothing.
    pub async fn start(arguments: &[&str], link: Link, has_tls: bool, folder: &Path) -> anyhow::Result<Self> {
        use anyhow::Context as _;

        let certificate = has_tls.then(|| folder.join("certificate.pem"));
        let mut command = crate::child::command()?;
        command.args(arguments).args(link.arguments());
        if let Some(certificate) = &certificate {
            command.arg("--certificate").arg(certificate);
        }
        let (process, announced) = crate::child::serve(command).await?;
        let (url, open_url) = announced.split_once(' ').context("the store announced one URL")?;
        Ok(Self {
            _process: process,
            url: url.to_owned(),
            open_url: open_url.to_owned(),
            certificate,
        })
    }

    /// Returns access to the store's counters.
    ///
    /// # Errors
    ///
    /// Returns an error if the HTTP client cannot be built.
    pub fn control(&self) -> anyhow::Result<Control> {
        Control::new(&self.open_url)
    }
}
