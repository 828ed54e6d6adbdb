use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use object_store::client::{HttpRequest, HttpResponse};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A response whose body never ends. It keeps its connection busy.
const UNFINISHED: &str = "200 OK\r\ncontent-length: 9\r\n\r\nok";

/// Accepts connections, counts them, and sends this response to each request.
async fn count_connections(listener: TcpListener, response: &'static str) -> Arc<AtomicUsize> {
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut read = Vec::new();
                while connection.read_buf(&mut read).await.is_ok_and(|bytes| bytes > 0) {
                    while let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                        read.drain(..end + 4);
                        let response = format!("HTTP/1.1 {response}");
                        if connection.write_all(response.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    accepted
}

/// Listens on one port of these addresses. On a system where they do not all exist, the test cannot run.
async fn listeners<const N: usize>() -> [TcpListener; N] {
    let ip = |last: usize| Ipv4Addr::new(127, 0, 0, u8::try_from(last).unwrap());
    for _ in 0..20 {
        let first = TcpListener::bind((ip(1), 0)).await.unwrap();
        let port = first.local_addr().unwrap().port();
        let mut all = vec![first];
        for last in 2..=N {
            // Another program may have the port on this address.
            match TcpListener::bind((ip(last), port)).await {
                Ok(listener) => all.push(listener),
                Err(_) => break,
            }
        }
        if let Ok(all) = all.try_into() {
            return all;
        }
    }
    panic!("no port is free on all of 127.0.0.1 to 127.0.0.{N}");
}

fn client(connector: &StoreConnector) -> HttpClient {
    let options = ClientOptions::new().with_allow_http(true);
    connector.connect(&options).unwrap()
}

async fn get(client: &HttpClient, url: &str) -> HttpResponse {
    let mut request = HttpRequest::new(Bytes::new().into());
    *request.uri_mut() = url.parse().unwrap();
    client.execute(request).await.unwrap()
}

fn finding(addresses: Vec<SocketAddr>) -> StoreConnector {
    let resolver = SpreadingResolver::with_lookup(move |name| {
        assert_eq!(name, "store.example");
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    });
    StoreConnector {
        resolver,
        ..StoreConnector::new()
    }
}

// Only Linux has all of 127.0.0.0/8 without configuration.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn new_connections_go_to_all_addresses_of_the_name() {
    let listeners = listeners::<3>().await;
    let addresses: Vec<_> = listeners
        .iter()
        .map(|listener| listener.local_addr().unwrap())
        .collect();
    let url = format!("http://store.example:{}/k", addresses[0].port());
    let mut accepted = Vec::new();
    for listener in listeners {
        accepted.push(count_connections(listener, UNFINISHED).await);
    }
    let client = client(&finding(addresses));
    let mut open = Vec::new();
    for _ in 0..9 {
        open.push(get(&client, &url).await);
    }
    let counts: Vec<_> = accepted.iter().map(|count| count.load(Ordering::SeqCst)).collect();
    assert_eq!(counts, [3, 3, 3]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_address_that_refuses_connections_is_skipped() {
    let [first, second] = listeners::<2>().await;
    let addresses = vec![first.local_addr().unwrap(), second.local_addr().unwrap()];
    drop(first);
    let url = format!("http://store.example:{}/k", addresses[0].port());
    let accepted = count_connections(second, UNFINISHED).await;
    let client = client(&finding(addresses));
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(get(&client, &url).await);
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_literal_address_is_not_looked_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/k", listener.local_addr().unwrap());
    count_connections(listener, UNFINISHED).await;
    assert!(get(&client(&finding(Vec::new())), &url).await.status().is_success());
}

#[tokio::test]
async fn clones_share_the_count_of_responses_that_ask_to_slow_down() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/k", listener.local_addr().unwrap());
    count_connections(listener, "503 Slow Down\r\ncontent-length: 0\r\n\r\n").await;
    let connector = StoreConnector::new();
    for (count, connector) in [
        (1, connector.clone()),
        (2, connector.clone().read_timeout(READ_TIMEOUT)),
    ] {
        let _ = get(&client(&connector), &url).await;
        assert_eq!(connector.pressure().count(), count);
    }
    assert_eq!(connector.pressure().count(), 2);
    assert_eq!(StoreConnector::new().pressure().count(), 0);
}
