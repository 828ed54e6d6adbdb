//! An HTTP server on loopback with scripted responses, such as those of a faulty store or of a proxy.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::super::store::BUCKET;

/// The protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Service {
    S3,
    Azure,
    Gcs,
}

impl Service {
    pub const ALL: [Self; 3] = [Self::S3, Self::Azure, Self::Gcs];
}

/// A received request.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// The path and query, as sent.
    pub target: String,
    head: String,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.find_map(|(found, value)| found.eq_ignore_ascii_case(name).then(|| value.trim()))
    }

    /// Returns the first and last requested byte.
    pub fn range(&self) -> Option<(usize, usize)> {
        let (first, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    }
}

/// A response: status and reason, headers, body. Each connection carries one.
#[derive(Clone, Debug, Default)]
pub struct Response {
    status: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// The number of body bytes before the connection closes.
    cut: Option<usize>,
    lost: bool,
    never: bool,
}

impl Response {
    pub fn new(status: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: status.to_owned(),
            body: body.into(),
            ..Self::default()
        }
    }

    /// Returns no response. The server closes the connection.
    pub fn lost() -> Self {
        Self {
            lost: true,
            ..Self::default()
        }
    }

    /// Returns no response, and leaves the connection open.
    pub fn never() -> Self {
        Self {
            never: true,
            ..Self::default()
        }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Closes the connection after this number of body bytes.
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    fn bytes(&self, to: &Request) -> Vec<u8> {
        if self.lost {
            return Vec::new();
        }
        let mut bytes = format!("HTTP/1.1 {}\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            bytes += &format!("{name}: {value}\r\n");
        }
        bytes += &format!("Content-Length: {}\r\n\r\n", self.body.len());
        let body = if to.method == "HEAD" { &[][..] } else { &self.body };
        let sent = self.cut.unwrap_or(body.len()).min(body.len());
        [bytes.as_bytes(), &body[..sent]].concat()
    }
}

/// The server. It stops on drop.
pub struct Scripted {
    pub endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    pub async fn start(respond: impl Fn(&Request) -> Response + Send + Sync + 'static) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let requests = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::new(respond), Arc::clone(&requests)));
        Ok(Self {
            endpoint,
            requests,
            _tasks: tasks,
        })
    }

    /// Returns the URL of the prefix `p/` of [`BUCKET`] on this server.
    pub fn url(&self, service: Service) -> String {
        let endpoint = &self.endpoint;
        match service {
            Service::S3 => {
                format!("s3://{BUCKET}/p?endpoint={endpoint}&region=us-east-1&access_key_id=k&secret_access_key=s")
            }
            Service::Azure => format!("az://{BUCKET}/p?endpoint={endpoint}&account_name=account&skip_signature=true"),
            Service::Gcs => format!("gs://{BUCKET}/p?base_url={endpoint}&allow_http=true&bearer_token=t"),
        }
    }

    /// Returns the requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("nobody panics here").clone()
    }
}

async fn serve<R>(listener: TcpListener, respond: Arc<R>, requests: Arc<Mutex<Vec<Request>>>)
where
    R: Fn(&Request) -> Response + Send + Sync + 'static,
{
    let mut connections = JoinSet::new();
    while let Ok((mut connection, _)) = listener.accept().await {
        let (respond, requests) = (Arc::clone(&respond), Arc::clone(&requests));
        connections.spawn(async move {
            if let Some(request) = read(&mut connection).await {
                let response = respond(&request);
                let bytes = response.bytes(&request);
                requests.lock().expect("nobody panics here").push(request);
                if response.never {
                    std::future::pending::<()>().await;
                }
                // The client may have gone.
                let _ = connection.write_all(&bytes).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn read(connection: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let (head, mut body) = loop {
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            break (String::from_utf8(bytes).ok()?, body);
        }
    };
    let mut words = head.split_whitespace();
    let mut request = Request {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        head: head.clone(),
        body: Vec::new(),
    };
    let length = request
        .header("content-length")
        .map_or(Some(0), |length| length.parse().ok())?;
    while body.len() < length {
        if connection.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    request.body = body;
    Some(request)
}
