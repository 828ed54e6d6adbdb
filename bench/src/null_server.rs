//! A server that reads whole requests and answers each with the same bytes at once, so that what a run costs is the
//! client's. Connections stay open.

use std::process::Stdio;

use anyhow::Context as _;
use bytes::{Buf as _, Bytes, BytesMut};
use sqs_client::{Client, Credentials};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// Whoever asks it signs with these.
pub const REGION: &str = "us-east-1";
pub const ACCESS_KEY_ID: &str = "AKIDEXAMPLE";
pub const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub const QUEUE_URL: &str = "http://127.0.0.1/000000000000/bench";

/// The id that it gives every message.
pub const MESSAGE_ID: &str = "5fea7756-0ea4-451a-a703-a558b933e274";

/// A client of it, as clients come.
pub fn client(address: &str) -> anyhow::Result<Client> {
    let client = Client::builder()
        .region(REGION)
        .endpoint_url(address)
        .credentials(Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY))
        .build()?;
    Ok(client)
}

/// Prints the address, and answers with this body until the process is ended.
pub async fn serve(body: String) -> anyhow::Result<()> {
    let answer = Bytes::from(format!(
        "HTTP/1.1 200 OK\r\nx-amzn-RequestId: 27daac76-34dd-47df-bd01-1f6e873584a0\r\n\
         Date: Sat, 21 Nov 2026 23:51:13 GMT\r\nContent-Type: application/x-amz-json-1.0\r\n\
         Content-Length: {}\r\nconnection: keep-alive\r\n\r\n{body}",
        body.len()
    ));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (connection, _) = listener.accept().await?;
        let answer = answer.clone();
        tokio::spawn(async move {
            // Clients close their connections in the middle of things when they end.
            let _ = answer_all(connection, &answer).await;
        });
    }
}

async fn answer_all(mut connection: TcpStream, answer: &[u8]) -> anyhow::Result<()> {
    connection.set_nodelay(true)?;
    let mut received = BytesMut::with_capacity(64 * 1024);
    loop {
        while let Some(length) = request_length(&received)? {
            if received.len() < length {
                received.reserve(length - received.len());
                break;
            }
            received.advance(length);
            connection.write_all(answer).await?;
        }
        if connection.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

/// This program as a child of itself that does so, by these arguments: its handle, with which it ends, and its address.
pub async fn start(arguments: &[&str]) -> anyhow::Result<(Child, String)> {
    let mut server = Command::new(std::env::current_exe()?)
        .args(arguments)
        .kill_on_drop(true)
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = server.stdout.take().context("the server's output")?;
    let address = BufReader::new(stdout).lines().next_line().await?;
    Ok((server, address.context("the server's address")?))
}

/// The length of the request that begins here, once its headers are all there.
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
    let length = std::str::from_utf8(length.context("a content length")?.value)?;
    Ok(Some(head + length.parse::<usize>()?))
}
