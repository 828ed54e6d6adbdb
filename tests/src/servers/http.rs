//! A minimal HTTP client over a plain socket, to poll whether a server is ready and to prepare it with a bucket or a
//! user. It blocks, so that servers start in the same way inside and outside an async runtime.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// The time limit of a connection, a write or a read.
const LIMIT: Duration = Duration::from_secs(10);

/// A request. Its path must need no escaping.
pub(super) struct Request<'a> {
    pub(super) method: &'static str,
    pub(super) path: &'a str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: &'a str,
}

impl Request<'_> {
    pub(super) fn get(path: &str) -> Request<'_> {
        Request {
            method: "GET",
            path,
            headers: Vec::new(),
            body: "",
        }
    }
}

/// A server's response.
#[derive(Debug, PartialEq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Response {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.body)
    }
}

/// Returns the `host:port` of an endpoint.
pub(super) fn authority(endpoint: &str) -> Result<&str> {
    match endpoint.strip_prefix("http://") {
        Some(authority) if !authority.is_empty() && !authority.contains('/') => Ok(authority),
        _ => bail!("{endpoint:?} is not an endpoint; write it as http://host:port"),
    }
}

/// Sends a request and reads the whole response.
pub(super) fn exchange(endpoint: &str, request: &Request<'_>) -> Result<Response> {
    let authority = authority(endpoint)?;
    let with_port = if authority.contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let address = with_port
        .to_socket_addrs()?
        .next()
        .with_context(|| format!("the host {with_port} has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;

    // In HTTP 1.0 a response is never chunked and ends with the connection.
    let Request {
        method,
        path,
        headers,
        body,
    } = request;
    let length = body.len();
    let mut head = format!("{method} {path} HTTP/1.0\r\nhost: {authority}\r\ncontent-length: {length}\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes())?;

    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    parse(&String::from_utf8_lossy(&response))
}

fn parse(response: &str) -> Result<Response> {
    let status = response
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split_whitespace().nth(1));
    let status = status.and_then(|code| code.parse().ok());
    let body = response.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    match (status, body) {
        (Some(status), Some(body)) => Ok(Response { status, body }),
        _ => bail!("not an HTTP response: {response:.80}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_addresses_are_accepted() {
        assert_eq!(authority("http://127.0.0.1:9000").unwrap(), "127.0.0.1:9000");
        for other in ["https://host:1", "http://", "http://host/path", "host:1", ""] {
            assert!(authority(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_response_is_parsed_into_status_and_body() {
        let response = parse("HTTP/1.1 200 OK\r\nserver: x\r\n\r\na\r\n\r\nb").unwrap();
        assert_eq!(
            response,
            Response {
                status: 200,
                body: "a\r\n\r\nb".to_owned()
            }
        );
        for broken in ["", "HTTP/1.1", "HTTP/1.1 200 OK\r\n", "SSH-2.0-x\r\n\r\n"] {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }
}
