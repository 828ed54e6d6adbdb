//! An HTTP server that sends the same response to every request and records the request heads.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub struct FakeHttp {
    pub endpoint: String,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl FakeHttp {
    /// Starts a server. `head` is the end of the status line and the headers, such as `403 Forbidden\r\nx: y`.
    pub async fn start(head: &str, body: &str) -> anyhow::Result<Self> {
        let response = format!(
            "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                // Record the head before responding, because a test reads the heads as soon as it has the response.
                let head = request_head(&mut connection).await.unwrap_or_default();
                seen.lock().expect("no panic").push(head);
                // The client may have gone.
                let _ = connection.write_all(response.as_bytes()).await;
            }
        });
        Ok(Self { endpoint, heads, task })
    }

    /// Returns the heads of the requests so far, in lower case.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }
}

impl Drop for FakeHttp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a request and returns its head in lower case.
async fn request_head(connection: &mut TcpStream) -> std::io::Result<String> {
    let mut read = Vec::new();
    let head = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break String::from_utf8_lossy(&read[..end]).to_lowercase();
        }
        if connection.read_buf(&mut read).await? == 0 {
            break String::from_utf8_lossy(&read).to_lowercase();
        }
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let expected = head.len() + 4 + length.unwrap_or(0);
    while read.len() < expected && connection.read_buf(&mut read).await? > 0 {}
    Ok(head)
}
