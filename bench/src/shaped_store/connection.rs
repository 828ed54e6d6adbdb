//! The connections of clients.

use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;

use super::body::{READ, Reader};
use super::objects::Refusal;
use super::pace::{Pace, Shared};
use super::reply::{Body, Reply};
use super::request::Request;
use super::respond::{Operation, Received};
use super::wire::Wire;
use super::{Counts, Store};

/// Accepts connections behind the link of `shared`. Resets concern the link of `reset`.
pub(super) async fn accept(
    store: &Arc<Store>,
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    shared: &Arc<Shared>,
    reset: &Arc<Shared>,
) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let (store, shared, reset, acceptor) = (store.clone(), shared.clone(), reset.clone(), acceptor.clone());
        tokio::spawn(async move {
            let rate = shared.next_rate();
            let served = async {
                let mut connection = Connection {
                    wire: wire(stream, acceptor).await?,
                    received: BytesMut::new(),
                    buffer: vec![0; READ],
                    rate,
                    store,
                    shared,
                    reset,
                };
                connection.store.count(|counts| counts.connections += 1);
                connection.serve().await
            };
            if let Err(error) = served.await
                && !is_disconnect(&error)
            {
                eprintln!("shaped store: {error:#}");
            }
        });
    }
}

/// Returns `true` if the client has closed its connection, which it may do at any time.
fn is_disconnect(error: &anyhow::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};

    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof))
}

async fn wire(stream: TcpStream, acceptor: Option<TlsAcceptor>) -> anyhow::Result<Wire> {
    stream.set_nodelay(true)?;
    Ok(match acceptor {
        None => Wire::Plain(stream),
        Some(acceptor) => Wire::Tls(Box::new(acceptor.accept(stream).await?)),
    })
}

struct Connection {
    store: Arc<Store>,
    shared: Arc<Shared>,
    reset: Arc<Shared>,
    wire: Wire,
    received: BytesMut,
    buffer: Vec<u8>,
    rate: u64,
}

impl Connection {
    async fn serve(&mut self) -> anyhow::Result<()> {
        while let Some(request) = self.next_request().await? {
            let mut reply = self.reply_to(&request).await?;
            if request.method == "HEAD" {
                reply = reply.without_body();
            }
            reply.closes |= request.closes;
            sleep(self.shared.link.delay()).await;
            self.send(&reply).await?;
            if reply.closes {
                break;
            }
        }
        Ok(())
    }

    async fn next_request(&mut self) -> anyhow::Result<Option<Request>> {
        loop {
            if let Some((request, length)) = Request::parse(&self.received)? {
                self.received.advance(length);
                return Ok(Some(request));
            }
            self.received.reserve(4096);
            if self.wire.read(&mut self.received).await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn reply_to(&mut self, request: &Request) -> anyhow::Result<Reply> {
        if request.bucket == "-" {
            return self.control(request);
        }
        let resource = format!("/{}/{}", request.bucket, request.key);
        let Some(operation) = Operation::of(request) else {
            let mut reply = Reply::refused(Refusal("NotImplemented"), &resource);
            reply.closes = true;
            return Ok(reply);
        };
        let is_refused = self.shared.refuses_next();
        self.store.count(|counts| {
            *operation.counter(counts) += 1;
            counts.slow_down += u64::from(is_refused);
        });
        let expects = request.header_has("expect", "100-continue");
        let mut received = Received::default();
        if !(is_refused && expects) {
            if expects {
                self.wire.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            let reader = self.reader();
            match operation.uploads() {
                true => received.uploaded = reader.upload(request).await?,
                false => received.text = reader.text(request).await?,
            }
        }
        if is_refused {
            let mut reply = Reply::refused(Refusal("SlowDown"), &resource);
            // The client may or may not send the body that it has announced.
            reply.closes = expects;
            return Ok(reply);
        }
        self.store.respond(operation, request, received)
    }

    fn reader(&mut self) -> Reader<'_> {
        Reader {
            store: &self.store,
            shared: &self.shared,
            wire: &mut self.wire,
            received: &mut self.received,
            buffer: &mut self.buffer,
            rate: self.rate,
        }
    }

    fn control(&self, request: &Request) -> anyhow::Result<Reply> {
        match (request.method.as_str(), request.key.as_str()) {
            ("GET", "counts") => {
                let mut counts = Counts::default();
                self.store.count(|current| counts = current.clone());
                counts.cpu_ms += cpu_ms()?;
                Ok(Reply::new(200, Body::Text(serde_json::to_string(&counts)?)))
            }
            ("POST", "reset") => {
                let counts = Counts {
                    cpu_ms: -cpu_ms()?,
                    ..Counts::default()
                };
                self.store.count(|current| *current = counts);
                self.reset.restart(request.query("seed").unwrap_or("0").parse()?);
                Ok(Reply::empty(204))
            }
            _ => Ok(Reply::empty(404)),
        }
    }

    async fn send(&mut self, reply: &Reply) -> anyhow::Result<()> {
        let head = reply.head();
        match &reply.body {
            Body::Text(text) => self.wire.write(format!("{head}{text}").as_bytes()).await?,
            Body::OnlyLength(_) => self.wire.write(head.as_bytes()).await?,
            Body::Content(range) => {
                self.wire.write(head.as_bytes()).await?;
                let mut pace = Pace::new(self.rate, Instant::now());
                let mut position = range.start;
                while position < range.end {
                    let length = pace.write_length().min(range.end - position);
                    self.shared.transfer(&mut pace, length).await;
                    self.wire.send(&self.store.content, position, length).await?;
                    self.store.count(|counts| counts.bytes_out += length);
                    position += length;
                }
            }
        }
        Ok(())
    }
}

fn cpu_ms() -> anyhow::Result<f64> {
    Ok(crate::measure::cpu_time()?.as_secs_f64() * 1e3)
}
