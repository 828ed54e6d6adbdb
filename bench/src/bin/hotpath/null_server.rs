//! A server that reads whole requests and answers each with the same bytes at once, so that what a run costs is the
//! client's. Connections stay open.

use anyhow::Context as _;
use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::workload::Workload;

/// Prints the address and serves until the process is ended.
pub(crate) async fn serve(workload: Workload) -> anyhow::Result<()> {
    let body = workload.answer().to_string();
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
