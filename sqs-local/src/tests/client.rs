//! A minimal client that sends one request after another over one connection.

use std::io;

use hyper::HeaderMap;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::LocalSqs;
use crate::clock::{Clock, amz_date};
use crate::http::sigv4::{Scope, Signed, signature};

pub(super) struct Client {
    address: std::net::SocketAddr,
    stream: Option<BufReader<TcpStream>>,
    pub(super) key_id: String,
    pub(super) secret: String,
    pub(super) region: String,
    /// The `Host` header.
    pub(super) host: String,
}

pub(super) struct Response {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map_or("", |(_, value)| value)
    }

    /// Returns the body as JSON, or null if it is empty.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Client {
    pub(super) fn new(server: &LocalSqs) -> Self {
        Self::at(server.address().expect("a socket"))
    }

    pub(super) fn at(address: std::net::SocketAddr) -> Self {
        Self {
            address,
            stream: None,
            key_id: "test".into(),
            secret: "test".into(),
            region: "us-east-1".into(),
            host: address.to_string(),
        }
    }

    /// Sends a request that must succeed, and returns its output.
    pub(super) async fn ok(&mut self, action: &str, input: Value) -> Value {
        let response = self.json(action, input).await;
        assert_eq!(
            response.status,
            200,
            "{action}: {}",
            String::from_utf8_lossy(&response.body)
        );
        response.json()
    }

    pub(super) async fn json(&mut self, action: &str, input: Value) -> Response {
        self.try_json(action, input).await.expect("no response")
    }

    pub(super) async fn try_json(&mut self, action: &str, input: Value) -> io::Result<Response> {
        let target = format!("AmazonSQS.{action}");
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", &target),
        ];
        self.post("/", &headers, input.to_string().as_bytes()).await
    }

    pub(super) async fn query(&mut self, path: &str, form: &str) -> (u16, String) {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let response = self.post(path, &headers, form.as_bytes()).await.expect("no response");
        (response.status, String::from_utf8(response.body).expect("text"))
    }

    pub(super) async fn post(
        &mut self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let head = self.head(path, headers, body);
        self.exchange(&head, body).await
    }

    /// Sends a GET that is not signed.
    pub(super) async fn get(&mut self, path_and_query: &str, headers: &[(&'static str, &str)]) -> Response {
        let response = self.try_get(path_and_query, headers).await;
        response.expect("no response")
    }

    pub(super) async fn try_get(&mut self, path: &str, headers: &[(&'static str, &str)]) -> io::Result<Response> {
        let lines = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let lines: String = lines.collect();
        let head = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{lines}\r\n", self.host);
        self.exchange(&head, b"").await
    }

    async fn exchange(&mut self, head: &str, body: &[u8]) -> io::Result<Response> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(TcpStream::connect(self.address).await?),
        };
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        let response = read(&mut stream).await?;
        self.stream = Some(stream);
        Ok(response)
    }

    /// Returns the signed head of a request.
    fn head(&self, path: &str, headers: &[(&'static str, &str)], body: &[u8]) -> String {
        let date = amz_date(i64::try_from(Clock::new(None).now().wall_ms / 1000).unwrap_or(0));
        let all = [("host", self.host.as_str()), ("x-amz-date", date.as_str())];
        let all: Vec<_> = all.iter().chain(headers).copied().collect();
        let map = all
            .iter()
            .map(|(n, v)| ((*n).parse().expect("a name"), (*v).parse().expect("a value")));
        let map: HeaderMap = map.collect();
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        let scope = Scope {
            date: &date[..8],
            region: &self.region,
            service: "sqs",
        };
        let request = Signed {
            method: "POST",
            path,
            query: "",
            headers: &map,
            body,
        };
        let signature = signature(&self.secret, &request, &names, &scope, &date);
        let lines: String = all.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!(
            "POST {path} HTTP/1.1\r\n{lines}content-length: {}\r\nauthorization: AWS4-HMAC-SHA256 \
             Credential={}/{}/{}/sqs/aws4_request, SignedHeaders={}, Signature={signature}\r\n\r\n",
            body.len(),
            self.key_id,
            &date[..8],
            self.region,
            names.join(";"),
        )
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Response> {
    let status = line(stream).await?;
    let status = status.split(' ').nth(1).and_then(|s| s.parse().ok());
    let mut headers = Vec::new();
    loop {
        let line = line(stream).await?;
        match line.split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let mut response = Response {
        status: status.ok_or(io::ErrorKind::InvalidData)?,
        headers,
        body: Vec::new(),
    };
    let length = response.header("content-length").parse().unwrap_or(0);
    response.body = vec![0; length];
    stream.read_exact(&mut response.body).await?;
    Ok(response)
}

async fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}
