//! A gate that a child's steps pass one by one: the operations of its store and, through a proxy, its requests to the
//! queue.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// A step of a child, a request or a response. The child waits until the step [passes](Self::pass). Until then a request is
/// not forwarded to the queue, and a response is not returned.
pub struct Step {
    pub name: String,
    permit: oneshot::Sender<()>,
}

impl Step {
    pub fn pass(self) {
        // The child may have gone already.
        let _ = self.permit.send(());
    }
}

pub struct Gate {
    /// The address for the child's store.
    pub address: String,
    /// The endpoint of the child's queue.
    pub endpoint: String,
    steps: mpsc::UnboundedReceiver<Step>,
    received: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

type Steps = mpsc::UnboundedSender<Step>;

impl Gate {
    /// Starts a gate in front of the server at this endpoint.
    pub async fn before(server: String) -> anyhow::Result<Self> {
        let (passing, steps) = mpsc::unbounded_channel();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let proxied = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, endpoint) = (listener.local_addr()?.to_string(), proxied.local_addr()?);
        let received = Arc::default();
        let proxy = Proxy {
            server: server.into(),
            http: sqs_client::client::http_client_builder()?.build()?,
            steps: passing.clone(),
            received: Arc::clone(&received),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(each_connection(listener, move |step| store_step(step, passing.clone())));
        tasks.spawn(each_connection(proxied, move |requests| proxy.clone().serve(requests)));
        Ok(Self {
            address,
            endpoint: format!("http://{endpoint}"),
            steps,
            received,
            _tasks: tasks,
        })
    }

    pub async fn step(&mut self) -> anyhow::Result<Step> {
        let step = tokio::time::timeout(Duration::from_secs(60), self.steps.recv());
        step.await.context("no step within 60 s")?.context("the gate is closed")
    }

    /// Clears the waiting steps after a kill, and returns the receipt handles of received messages.
    pub fn clear(&mut self) -> Vec<String> {
        while self.steps.try_recv().is_ok() {}
        std::mem::take(&mut *self.received.lock().expect("nobody panics here"))
    }
}

async fn each_connection<F>(listener: TcpListener, handle: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        connections.spawn(handle(connection));
        while connections.try_join_next().is_some() {}
    }
}

/// Waits until this step passes. Returns `None` if it never does.
async fn passed(steps: &Steps, name: String) -> Option<()> {
    let (permit, permitted) = oneshot::channel();
    steps.send(Step { name, permit }).ok()?;
    permitted.await.ok()
}

async fn store_step(connection: TcpStream, steps: Steps) {
    let mut connection = BufReader::new(connection);
    let mut name = String::new();
    let read = connection.read_line(&mut name).await;
    if read.is_ok() && passed(&steps, name.trim_end().to_owned()).await.is_some() {
        // The child may have been killed meanwhile.
        let _ = connection.write_all(b".").await;
    }
}

#[derive(Clone)]
struct Proxy {
    server: Arc<str>,
    http: reqwest::Client,
    steps: Steps,
    received: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn serve(self, connection: TcpStream) {
        let service = service_fn(|request| {
            let this = self.clone();
            // An error closes the connection without a response.
            async move {
                this.request(request)
                    .await
                    .ok_or(std::io::ErrorKind::ConnectionAborted)
                    .map_err(std::io::Error::from)
            }
        });
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(connection), service)
            .await;
    }

    async fn request(self, request: Request<Incoming>) -> Option<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let action = head
            .headers
            .get("x-amz-target")?
            .to_str()
            .ok()?
            .split('.')
            .next_back()?
            .to_owned();
        passed(&self.steps, format!("before {action}")).await?;
        let url = format!("{}{}", self.server, head.uri.path());
        let sent = self.http.post(url).headers(head.headers).body(body).send().await.ok()?;
        let mut response = Response::builder().status(sent.status());
        response.headers_mut()?.clone_from(sent.headers());
        let body = sent.bytes().await.ok()?;
        self.note_handles(&body);
        passed(&self.steps, format!("after {action}")).await?;
        response.body(Full::new(body)).ok()
    }

    fn note_handles(&self, body: &[u8]) {
        let response: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let messages = response["Messages"].as_array().into_iter().flatten();
        let handles = messages.filter_map(|message| Some(message["ReceiptHandle"].as_str()?.to_owned()));
        self.received.lock().expect("nobody panics here").extend(handles);
    }
}
