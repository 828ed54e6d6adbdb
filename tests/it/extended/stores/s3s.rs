//! s3s-fs, an S3 server over a folder, in this process.

use std::net::Ipv4Addr;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::super::store::{BUCKET, Bucket};

const ACCESS_KEY: &str = "s3s";

const SECRET_KEY: &str = "s3s-secret-key";

/// The server, with the [`BUCKET`], at two addresses. It stops on drop.
pub struct S3sFs {
    bucket: Bucket,
    /// An address at which requests need no signature.
    pub unsigned_endpoint: String,
    _data: TempDir,
    _tasks: JoinSet<()>,
}

impl S3sFs {
    pub async fn start() -> anyhow::Result<Self> {
        let data = tempfile::Builder::new().prefix("sqs-tests-s3s-").tempdir()?;
        std::fs::create_dir(data.path().join(BUCKET))?;
        let files = || FileSystem::new(data.path()).map_err(|error| anyhow::anyhow!("{error:?}"));
        let mut signed = S3ServiceBuilder::new(files()?);
        signed.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let unsigned = S3ServiceBuilder::new(files()?);
        let mut tasks = JoinSet::new();
        let endpoint = listen(&mut tasks, signed.build()).await?;
        Ok(Self {
            bucket: Bucket::at(endpoint, (ACCESS_KEY, SECRET_KEY)),
            unsigned_endpoint: listen(&mut tasks, unsigned.build()).await?,
            _data: data,
            _tasks: tasks,
        })
    }

    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }
}

/// Starts to serve at a free port, and returns its address.
async fn listen(tasks: &mut JoinSet<()>, service: S3Service) -> anyhow::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    tasks.spawn(serve(listener, service));
    Ok(endpoint)
}

async fn serve(listener: TcpListener, service: S3Service) {
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        let service = service.clone();
        connections.spawn(async move {
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new());
            // The client may have gone.
            let _ = server.serve_connection(TokioIo::new(connection), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}
