//! A server that reads whole requests and sends the same response to each at once, so that only the client's cost is
//! measured. Connections stay open.

use anyhow::Context as _;
use bytes::{Buf as _, Bytes, BytesMut};
use sqs_client::{Client, Credentials};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;

use crate::child;

/// The region and keys that all contenders sign with.
pub const REGION: &str = "us-east-1";
pub const ACCESS_KEY_ID: &str = "AKIDEXAMPLE";
pub const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub const QUEUE_URL: &str = "http://127.0.0.1/000000000000/bench";

/// The id that the server gives every message.
pub const MESSAGE_ID: &str = "5fea7756-0ea4-451a-a703-a558b933e274";

/// Builds a client of the server with default settings.
///
/// # Errors
///
/// Returns an error if the client cannot be built.
pub fn client(address: &str) -> anyhow::Result<Client> {
    let client = Client::builder()
        .region(REGION)
        .endpoint_url(address)
        .credentials(Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY))
        .build()?;
    Ok(client)
}

/// Announces the server's address, and responds with `body` until the parent process ends.
///
/// # Errors
///
/// Returns an error if no port can be bound or no connection accepted.
pub async fn serve(body: String) -> anyhow::Result<()> {
    let response = Bytes::from(format!(
        "HTTP/1.1 200 OK\r\nx-amzn-RequestId: 27daac76-34dd-47df-bd01-1f6e873584a0\r\n\
         Date: Sat, 21 Nov 2026 23:51:13 GMT\r\nContent-Type: application/x-amz-json-1.0\r\n\
         Content-Length: {}\r\nconnection: keep-alive\r\n\r\n{body}",
        body.len()
    ));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    child::announce(&format!("http://{}", listener.local_addr()?));
    loop {
        let (connection, _) = listener.accept().await?;
        let response = response.clone();
        tokio::spawn(async move {
            // A client that ends may close its connection in the middle of a request.
            let _ = respond_to_all(connection, &response).await;
        });
    }
}

async fn respond_to_all(mut connection: TcpStream, response: &[u8]) -> anyhow::Result<()> {
    connection.set_nodelay(true)?;
    let mut received = BytesMut::with_capacity(64 * 1024);
    loop {
        while let Some(length) = request_length(&received)? {
            if received.len() < length {
                received.reserve(length - received.len());
                break;
            }
            received.advance(length);
            connection.write_all(response).await?;
        }
        if connection.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

/// Starts this program with arguments that make it [`serve`], and returns its handle and its address. Dropping the
/// handle stops the server.
///
/// # Errors
///
/// Returns an error if the server cannot be started.
pub async fn start(arguments: &[&str]) -> anyhow::Result<(Child, String)> {
    let mut server = child::command()?;
    server.args(arguments);
    child::serve(server).await
}

/// Returns the length of the request at the start of `received`, or `None` until all of its headers have arrived.
fn request_length(received: &[u8]) -> anyhow::Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(received)? else {
        return Ok(None);
    };
    let length = request
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = std::str::from_utf8(length.context("the request has no content length")?.value)?;
    Ok(Some(head + length.parse::<usize>()?))
}
