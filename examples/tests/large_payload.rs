//! Runs the example as a user does: its output, its orphans after an interruption, and its response to invalid input.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and so do its helpers")]

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use sqs_local::LocalSqs;
use sqs_tests::servers::{Server, Servers};

/// The limit of the process's peak memory, for payloads of any size.
const MEMORY_LIMIT_MIB: f64 = 128.0;

static SERVERS: LazyLock<Servers> = LazyLock::new(Servers::new);

/// Locked by a test that uploads to MinIO or inspects its data.
static MINIO: Mutex<()> = Mutex::new(());

fn example() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_large_payload"));
    for variable in [
        "AWS_REGION",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_SQS",
        "AWS_SESSION_TOKEN",
    ] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// Returns the example's command with a queue server and MinIO.
fn on_servers(queue_server: &str, minio: &Server, bucket: &str) -> Command {
    minio.create_bucket(bucket).unwrap();
    let mut command = example();
    command
        .args([
            "--endpoint",
            queue_server,
            "--s3-endpoint",
            minio.endpoint(),
            "--bucket",
            bucket,
        ])
        .env("AWS_ACCESS_KEY_ID", minio.access_key())
        .env("AWS_SECRET_ACCESS_KEY", minio.secret_key())
        .env("AWS_REGION", minio.region());
    command
}

fn succeeded(output: &Output) -> String {
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}");
    assert!(printed.contains("the same at both ends"), "{printed}");
    assert!(printed.contains("queue and store are empty"), "{printed}");
    printed
}

fn peak_mib(printed: &str) -> f64 {
    let peak = printed.split("peak resident memory ").nth(1).unwrap();
    let (number, unit) = peak.trim().split_once(' ').unwrap();
    assert_eq!(unit, "MiB", "{peak}");
    number.parse().unwrap()
}

#[test]
fn the_defaults_make_a_verified_round_trip() {
    let printed = succeeded(&example().args(["--size", "100MiB"]).output().unwrap());
    assert!(peak_mib(&printed) < MEMORY_LIMIT_MIB, "{printed}");
}

#[test]
fn small_and_empty_payloads_make_a_round_trip() {
    for size in ["0", "1", "262144", "262145", "8MiB"] {
        succeeded(&example().args(["--size", size]).output().unwrap());
    }
}

#[test]
fn a_file_makes_a_round_trip_on_elasticmq_and_minio_in_bounded_memory() {
    let (elasticmq, minio) = match (SERVERS.elasticmq(), SERVERS.minio()) {
        (Ok(elasticmq), Ok(minio)) => (elasticmq, minio),
        (Err(unavailable), _) | (_, Err(unavailable)) => return unavailable.skip().unwrap(),
    };
    let _alone = MINIO.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let (file, output) = (folder.path().join("in"), folder.path().join("out"));
    let content: Vec<u8> = (0..=250).cycle().take(256 * 1024 * 1024).collect();
    std::fs::write(&file, &content).unwrap();
    let mut command = on_servers(elasticmq.endpoint(), minio, "files");
    command.arg("--file").arg(&file).arg("--output").arg(&output);
    let printed = succeeded(&command.output().unwrap());
    assert!(
        std::fs::read(&output).unwrap() == content,
        "the received file differs from the sent one"
    );
    assert!(peak_mib(&printed) < MEMORY_LIMIT_MIB, "{printed}");
}

/// Returns the number of unfinished uploads of which MinIO has parts.
fn unfinished_uploads(minio: &Server) -> usize {
    let folder = minio.data().unwrap().join("drive/.minio.sys/multipart");
    let uploads = std::fs::read_dir(folder).into_iter().flatten().flatten();
    uploads
        .map(|key| std::fs::read_dir(key.path()).into_iter().flatten().count())
        .sum()
}

fn objects(minio: &Server, bucket: &str) -> usize {
    fn files(folder: &Path) -> usize {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 })
            .sum()
    }
    files(&minio.data().unwrap().join("drive").join(bucket))
}

/// Starts a large upload, and ends it half-way by `end`. Checks that no message, no object and the given number of
/// unfinished uploads remain.
fn end_half_way(bucket: &str, remaining_uploads: usize, end: impl FnOnce(&mut Child)) {
    let minio = match SERVERS.minio() {
        Ok(minio) if minio.data().is_some() => minio,
        Ok(_) => return eprintln!("skipped: the data of a MinIO that was not started here cannot be inspected"),
        Err(unavailable) => return unavailable.skip().unwrap(),
    };
    let _alone = MINIO.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(LocalSqs::start()).unwrap();
    let before = unfinished_uploads(minio);
    let mut child = on_servers(&server.endpoint(), minio, bucket)
        .args(["--size", "20GiB", "--queue", "interrupted"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    while unfinished_uploads(minio) == before {
        std::thread::sleep(Duration::from_millis(20));
        assert!(
            child.try_wait().unwrap().is_none(),
            "the example ended before the interruption"
        );
    }
    std::thread::sleep(Duration::from_millis(500));
    end(&mut child);

    assert_eq!(objects(minio, bucket), 0, "an object remains");
    assert_eq!(
        unfinished_uploads(minio) - before,
        remaining_uploads,
        "unfinished uploads"
    );
    runtime.block_on(async {
        let client = server.client().unwrap();
        let queue = client.get_queue_url("interrupted").await.unwrap().queue_url;
        assert!(
            client.receive_message(queue).await.unwrap().messages.is_empty(),
            "a message remains"
        );
    });
}

#[test]
fn a_kill_half_way_leaves_no_message_and_no_object() {
    end_half_way("killed", 1, |child| {
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
#[cfg(unix)]
fn an_interrupt_half_way_leaves_no_unfinished_upload() {
    end_half_way("interrupted", 0, |child| {
        let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(interrupt.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130));
    });
}

#[test]
fn invalid_input_is_reported_in_one_line_with_exit_code_2() {
    let missing = [
        "--s3-endpoint",
        "http://127.0.0.1:1",
        "--endpoint",
        "http://127.0.0.1:1",
    ];
    for arguments in [
        &["--size", "much"][..],
        &["--no-such-option"],
        &["--file", "/no/such/file"],
        &["--file", "/"],
        &["--size", "1MiB", "--file", "Cargo.toml"],
        &["--endpoint", "localhost:9324"],
        &["--part-size", "1KiB"],
        &["--concurrency", "0"],
        &["--output", "/no/such/folder/file"],
        &["--output", "/"],
        &["--size", "1EiB"],
        &["--s3-endpoint", "nonsense"],
        &["--queue", "bad name!"],
        &missing,
    ] {
        let mut command = example();
        for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            command.env_remove(variable);
        }
        let mut child = command
            .args(arguments)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(2), "{arguments:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{arguments:?}: {errors}");
    }
}
