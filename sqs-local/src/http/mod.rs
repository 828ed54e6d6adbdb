//! HTTP: the sockets, and a request's path from its bytes to its response.

pub(crate) mod auth;
mod claim;
pub(crate) mod gateway;
mod host;
mod log;
pub(crate) mod request;
mod response;
mod response_body;
pub(crate) mod sigv4;
mod wire;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use gateway::{Exchange, Gateway};
use response_body::ResponseBody;
use wire::{Line, Wire};

/// The size of a batch of 1 MiB in which every character is escaped.
pub const MAX_BODY: usize = 8 * 1024 * 1024;

/// The approximate maximum size of a request's line and headers together, in bytes.
pub const MAX_HEAD: usize = 1024 * 1024;

/// The maximum number of open connections. Others wait until one closes.
pub const MAX_CONNECTIONS: usize = 4096;

/// The pause after a connection could not be accepted, for example because the process has too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until `stop` ends, and then closes all of them. Aborting the task closes them later.
pub(crate) async fn serve(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    max_connections: usize,
    mut stop: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stop => break,
            accepted = listener.accept(), if connections.len() < max_connections => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, gateway.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, gateway: Arc<Gateway>) {
    let _ = stream.set_nodelay(true);
    let line = Line::default();
    let wire = Wire::new(stream, line.clone());
    let service = service_fn(move |request| {
        let (gateway, line) = (gateway.clone(), line.clone());
        async move { handle(&gateway, request, &line).await }
    });
    let mut http = http1::Builder::new();
    // Idle connections stay open, because closing one would be a fault that no test requested.
    http.header_read_timeout(None).max_buf_size(MAX_HEAD);
    // Returns an error if the client disconnects or a fault breaks the connection.
    let _ = http.serve_connection(TokioIo::new(wire), service).await;
}

/// Handles a request. An `Err` closes the connection without a response.
async fn handle(gateway: &Gateway, request: Request<Incoming>, line: &Line) -> io::Result<Response<ResponseBody>> {
    let (head, body) = request.into_parts();
    let exchange = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => gateway.handle(head, body.to_bytes()).await,
        Err(error) if error.is::<hyper::Error>() => Exchange::default(),
        Err(_) => gateway.refuse_length(&head.headers),
    };
    line.set(exchange.trickle, exchange.reset);
    let response = exchange.response.ok_or(io::ErrorKind::ConnectionReset)?;
    Ok(response.map(|body| match exchange.truncated {
        true => ResponseBody::half(body),
        false => ResponseBody::whole(body),
    }))
}
