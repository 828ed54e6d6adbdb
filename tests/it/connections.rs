//! Tests which server the client calls, over which connection, and in which protocol.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use libtest_mimic::Trial;
use sqs_client::client::RetryPolicy;
use sqs_client::{Client, ClientBuilder, Credentials, ErrorKind, Protocol};
use sqs_local::{Action, Fault, FaultKind, LocalSqs, Protocol as Spoken, Reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;

use crate::fake_http::FakeHttp;
use crate::harness::{Harness, Outcome, client_of, name_of, unique};

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    vec![
        harness.test(auto_detects_the_servers_protocol),
        harness.test(auto_never_repeats_a_request_that_may_have_been_sent),
        harness.trial(name_of(&auto_detects_an_old_elasticmq), |harness| {
            let server = harness.servers.elasticmq_query_only().map_err(Clone::clone)?;
            Ok(Box::pin(auto_detects_an_old_elasticmq(client_of(server))))
        }),
        harness.test(a_queue_url_is_followed_only_where_allowed),
        harness.test(requests_go_through_the_proxy),
        harness.test(a_private_certificate_authority_is_trusted),
        harness.test(the_callers_http_client_is_used),
        harness.test(redirects_are_not_followed),
        harness.test(the_error_names_a_client_that_follows_redirects),
    ]
}

async fn there_and_back(client: &Client) -> Outcome {
    let queue = client.create_queue(unique("connections")).await?.queue_url;
    client.send_message(&queue, "hello").message_attribute("a", "b").await?;
    let received = client.receive_message(&queue).message_attribute_names(["All"]).await?;
    let message = received.messages.into_iter().next().context("a message")?;
    ensure!(message.body == "hello" && message.message_attributes.len() == 1);
    client.delete_message(&queue, message.receipt_handle).await?;
    Ok(())
}

fn spoken(server: &LocalSqs) -> Vec<Spoken> {
    let requests = server.requests();
    requests
        .iter()
        .map(|request| {
            let content_type = request
                .headers
                .get("content-type")
                .and_then(|value| value.to_str().ok());
            match content_type.is_some_and(|value| value.contains("json")) {
                true => Spoken::Json,
                false => Spoken::Query,
            }
        })
        .collect()
}

async fn auto_detects_the_servers_protocol() -> Outcome {
    for (only, expected) in [
        (
            Some(Spoken::Query),
            vec![Spoken::Json, Spoken::Query, Spoken::Query, Spoken::Query, Spoken::Query],
        ),
        (Some(Spoken::Json), vec![Spoken::Json; 4]),
        (None, vec![Spoken::Json; 4]),
    ] {
        let builder = sqs_tests::strict();
        let builder = match only {
            Some(protocol) => builder.only(protocol),
            None => builder,
        };
        let server = builder.start().await?;
        let client = server.client_builder().protocol(Protocol::Auto).build()?;
        there_and_back(&client).await.with_context(|| format!("{only:?}"))?;
        assert_eq!(spoken(&server), expected, "{only:?}");
    }
    Ok(())
}

async fn auto_detects_an_old_elasticmq(client: ClientBuilder) -> Outcome {
    let client = client.protocol(Protocol::Auto).retry(RetryPolicy::never()).build()?;
    there_and_back(&client).await
}

async fn auto_never_repeats_a_request_that_may_have_been_sent() -> Outcome {
    let unclear = [
        FaultKind::status(500),
        FaultKind::DropBefore,
        FaultKind::Reply(Reply::new(403).body("<html>Forbidden</html>")),
    ];
    for fault in unclear {
        let server = sqs_tests::strict().start().await?;
        let builder = server.client_builder().protocol(Protocol::Auto);
        let client = builder.retry(RetryPolicy::never()).build()?;
        server.faults().add(Fault::any(fault.clone()).times(1));
        ensure!(client.create_queue("q").await.is_err(), "{fault:?}");
        assert_eq!(spoken(&server), [Spoken::Json], "{fault:?}");
    }
    // A broken request may have taken effect, whatever the response to its repetition.
    let server = sqs_tests::strict().start().await?;
    let client = server.client_builder().protocol(Protocol::Auto).build()?;
    server.faults().add(Fault::any(FaultKind::DropBefore).times(1));
    let refusal = FaultKind::Reply(Reply::new(415));
    server.faults().add(Fault::any(refusal).after(1));
    let error = client
        .create_queue("q")
        .await
        .err()
        .context("the request was repeated in the other protocol")?;
    ensure!(error.status() == Some(415) && error.may_have_been_sent(), "{error:?}");
    assert_eq!(spoken(&server), [Spoken::Json; 2]);
    Ok(())
}

async fn a_queue_url_is_followed_only_where_allowed() -> Outcome {
    let (own, other) = (sqs_tests::strict().start().await?, sqs_tests::strict().start().await?);
    let queue = other.client()?.create_queue("there").await?.queue_url;
    for protocol in [Protocol::Json, Protocol::Query] {
        let builder = own.client_builder().protocol(protocol);
        let following = builder.clone().follow_queue_urls([other.endpoint()]).build()?;
        following.send_message(&queue, "x").await?;
        let foreign = "http://127.0.0.1:9/000000000000/there";
        let error = following.send_message(foreign, "x").await.err().context("sent")?;
        ensure!(error.kind() == ErrorKind::InvalidInput, "{error:?}");
        // By default the same URL means a queue of the endpoint.
        ensure!(builder.build()?.send_message(&queue, "x").await.is_err());
    }
    assert_eq!(other.count(Action::SendMessage), 2);
    assert_eq!(own.count(Action::SendMessage), 2);
    Ok(())
}

/// The test accepts one connection, reads a request's head, and responds like a proxy that refuses it.
async fn requests_go_through_the_proxy() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://user:hidden@{}", listener.local_addr()?);
    let client = Client::builder()
        .endpoint_url("http://queue.invalid:8080")
        .credentials(Credentials::new("test", "test"))
        .retry(RetryPolicy::never())
        .proxy(url)
        .build()?;
    ensure!(!format!("{client:?}").contains("hidden"));
    let request = tokio::spawn(client.list_queues().into_future());
    let (mut connection, _) = listener.accept().await?;
    let mut head = vec![0; 4096];
    let length = connection.read(&mut head).await?;
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    ensure!(
        head.starts_with("POST http://queue.invalid:8080/ HTTP/1.1\r\n"),
        "{head}"
    );
    ensure!(head.to_lowercase().contains("proxy-authorization: basic "), "{head}");
    connection
        .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        .await?;
    let error = request.await?.err().context("the proxy's refusal was ignored")?;
    ensure!(error.status() == Some(407), "{error:?}");

    let bad = Client::builder()
        .region("us-east-1")
        .proxy("http://user:hidden@:99999/");
    let error = bad.build().err().context("built")?;
    ensure!(error.kind() == ErrorKind::Configuration && !format!("{error:?}").contains("hidden"));
    Ok(())
}

/// A TLS server with a certificate of its own authority forwards to sqs-local.
async fn a_private_certificate_authority_is_trusted() -> Outcome {
    let server = sqs_tests::strict().start().await?;
    let generated = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = rustls::pki_types::PrivateKeyDer::try_from(generated.signing_key.serialize_der())
        .map_err(anyhow::Error::msg)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![generated.cert.der().clone()], key)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("https://localhost:{}", listener.local_addr()?.port());
    let (acceptor, behind) = (TlsAcceptor::from(Arc::new(tls)), server.address().context("a socket")?);
    let front = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut inside = TcpStream::connect(behind).await?;
                let mut outside = acceptor.accept(connection).await?;
                tokio::io::copy_bidirectional(&mut outside, &mut inside).await
            });
        }
    });

    let builder = server
        .client_builder()
        .endpoint_url(endpoint)
        .retry(RetryPolicy::never());
    let trusting = builder.clone().root_certificates(generated.cert.pem()).build()?;
    there_and_back(&trusting).await?;
    let error = builder
        .clone()
        .build()?
        .list_queues()
        .await
        .err()
        .context("an unknown authority was trusted")?;
    ensure!(
        error.kind() == ErrorKind::Transport && !error.may_have_been_sent(),
        "{error:?}"
    );
    let error = builder
        .root_certificates("no certificate")
        .build()
        .err()
        .context("built")?;
    ensure!(error.kind() == ErrorKind::Configuration, "{error:?}");
    front.abort();
    Ok(())
}

async fn the_callers_http_client_is_used() -> Outcome {
    let server = sqs_tests::strict().start().await?;
    let http = sqs_client::client::http_client_builder()?
        .user_agent("callers-agent")
        .build()?;
    let client = server.client_builder().http_client(http).build()?;
    there_and_back(&client).await?;
    let agents: Vec<_> = server
        .requests()
        .into_iter()
        .filter_map(|r| r.headers.get("user-agent").cloned())
        .collect();
    ensure!(
        agents.iter().all(|agent| agent == "callers-agent") && agents.len() == 4,
        "{agents:?}"
    );
    Ok(())
}

/// Starts a server that redirects to another, and returns a builder of its client.
async fn redirecting() -> anyhow::Result<(FakeHttp, FakeHttp, ClientBuilder)> {
    let other = FakeHttp::start("200 OK", "{}").await?;
    let server = FakeHttp::start(&format!("307 Temporary Redirect\r\nlocation: {}", other.endpoint), "").await?;
    let builder = Client::builder()
        .endpoint_url(&server.endpoint)
        .credentials(Credentials::new("key", "secret").with_session_token("hush"))
        .retry(RetryPolicy::never());
    Ok((server, other, builder))
}

async fn redirects_are_not_followed() -> Outcome {
    let (server, other, builder) = redirecting().await?;
    let given = builder
        .clone()
        .http_client(sqs_client::client::http_client_builder()?.build()?);
    for builder in [builder, given] {
        let error = builder.build()?.list_queues().await.err().context("passed")?;
        ensure!(error.status() == Some(307), "{error:?}");
    }
    ensure!(
        server.heads().len() == 2 && other.heads().is_empty(),
        "{:?}",
        other.heads()
    );
    Ok(())
}

async fn the_error_names_a_client_that_follows_redirects() -> Outcome {
    let (_server, _other, builder) = redirecting().await?;
    let following = sqs_client::client::http_client_builder()?.redirect(reqwest::redirect::Policy::limited(3));
    let client = builder.http_client(following.build()?).build()?;
    let error = client.list_queues().await.err().context("passed")?;
    ensure!(error.to_string().contains("followed a redirect"), "{error:?}");
    Ok(())
}
