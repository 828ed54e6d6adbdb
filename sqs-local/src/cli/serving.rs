//! The server from the arguments, and the signals that end it.

use std::io;
use std::net::SocketAddr;

use sqs_local::LocalSqs;
use tokio::net::lookup_host;

use super::Arguments;

/// Starts the server, and creates its queues and faults.
pub(crate) async fn start(arguments: &Arguments) -> Result<LocalSqs, String> {
    let address = resolve(&arguments.host, arguments.port).await?;
    let mut builder = LocalSqs::builder()
        .address(address)
        .region(&arguments.region)
        .account(&arguments.account)
        .seed(arguments.seed)
        .journal_capacity(0)
        .strict(arguments.strict);
    if let Some(base) = &arguments.queue_url_base {
        builder = builder.queue_url_base(base.trim_end_matches('/'));
    }
    let server = builder.start().await.map_err(|error| refused(address, &error))?;
    let created = server.create_queues(&arguments.queues);
    created.map_err(|error| error.to_string())?;
    for fault in &arguments.faults {
        server.faults().add(fault.clone());
    }
    Ok(server)
}

async fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let unknown = |why: &str| format!("cannot listen on host {host:?}: {why}");
    let addresses: Vec<_> = match lookup_host((host, port)).await {
        Ok(addresses) => addresses.collect(),
        Err(error) => return Err(unknown(&error.to_string())),
    };
    // "localhost" may be both, and the announced address is the one that most programs try.
    let preferred = addresses.iter().find(|address| address.is_ipv4());
    preferred
        .or(addresses.first())
        .copied()
        .ok_or_else(|| unknown("it has no address"))
}

fn refused(address: SocketAddr, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::AddrInUse {
        return format!(
            "port {} is already in use; choose another with --port, or a free one with --port 0",
            address.port()
        );
    }
    format!("cannot listen on {address}: {error}")
}

/// Listens for Ctrl-C and SIGTERM, and returns a future of the first of them.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, String> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        let mut interrupt =
            tokio::signal::windows::ctrl_c().map_err(|error| format!("cannot listen for signals: {error}"))?;
        Ok(async move {
            interrupt.recv().await;
        })
    }
}
