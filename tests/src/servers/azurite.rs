//! Azurite, Microsoft's emulator of Azure Blob Storage, installed by npm.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use time::OffsetDateTime;

use super::http::{self, Request};
use super::install::{on_path, run};
use super::npm;
use super::process::Process;
use super::server::{Kind, Server};

/// The last version that supports Node 20.
const VERSION: &str = "3.35.0";

/// The program that serves blobs only, within the package.
const PROGRAM: &str = "node_modules/azurite/dist/src/blob/main.js";

/// A version of the protocol that all releases since 2023 know.
const PROTOCOL: &str = "2023-11-03";

/// The account and the key of every emulator of Azure. Both are public, see
/// <https://learn.microsoft.com/azure/storage/common/storage-connect-azurite>.
const AZURITE: Kind = Kind {
    name: "Azurite",
    variable: "SQS_TEST_AZURITE",
    // It has no path of its own for that, and refuses an unsigned request once it is ready.
    ready: "/devstoreaccount1?comp=list",
    ready_status: 403,
    access_key: "devstoreaccount1",
    secret_key: "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
};

pub(super) fn start() -> Result<Server> {
    if let Some(given) = Server::given(&AZURITE)? {
        return Ok(given);
    }
    let program = match on_path("azurite-blob") {
        Some(program) => Program::Script(program),
        None => installed().context("SQS_TEST_AZURITE is not set, there is no azurite-blob on PATH")?,
    };
    let version = run(program.command().arg("--version"))?.trim().to_owned();
    let process = Process::start(&AZURITE, |port, data| {
        let mut command = program.command();
        command
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
            .args(["--silent", "--disableTelemetry", "--location"])
            .arg(data.join("blobs"))
            // It would replace the well-known account.
            .env_remove("AZURITE_ACCOUNTS");
        Ok(command)
    })?;
    Ok(Server::started(&AZURITE, version, process))
}

/// The two ways to run it.
enum Program {
    /// The program on `PATH`.
    Script(PathBuf),
    /// Node, and the file that it runs.
    Node(PathBuf, PathBuf),
}

impl Program {
    fn command(&self) -> Command {
        match self {
            Self::Script(script) => Command::new(script),
            Self::Node(node, file) => {
                let mut command = Command::new(node);
                command.arg(file);
                command
            }
        }
    }
}

fn installed() -> Result<Program> {
    let installed = npm::packages(&format!("azurite-{VERSION}"), &[format!("azurite@{VERSION}")])?;
    Ok(Program::Node(installed.node, installed.folder.join(PROGRAM)))
}

/// Creates a container in the account. Does nothing if it already exists.
pub(super) fn create_container(server: &Server, container: &str) -> Result<()> {
    let account = server.access_key();
    let path = format!("/{account}/{container}?restype=container");
    let date = http_date(OffsetDateTime::now_utc());
    let to_sign = format!(
        "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{PROTOCOL}\n/{account}/{account}/{container}\nrestype:container"
    );
    let signature = signature(server.secret_key(), &to_sign)?;
    let request = Request {
        method: "PUT",
        path: &path,
        headers: vec![
            ("x-ms-date", date),
            ("x-ms-version", PROTOCOL.to_owned()),
            ("authorization", format!("SharedKey {account}:{signature}")),
        ],
        body: "",
    };
    let response = http::exchange(server.endpoint(), &request)?;
    let exists = response.status == 409 && response.body.contains("ContainerAlreadyExists");
    ensure!(
        exists || response.is_success(),
        "{} did not create the container {container}: {response}",
        server.name()
    );
    Ok(())
}

/// Signs a request with the account's key, see
/// <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>.
fn signature(key: &str, to_sign: &str) -> Result<String> {
    let key = BASE64_STANDARD
        .decode(key)
        .context("the key of the account is not base64")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC accepts keys of any length");
    mac.update(to_sign.as_bytes());
    Ok(BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

/// Returns the time as HTTP writes it, such as `Thu, 26 Nov 2026 10:00:00 GMT`.
fn http_date(time: OffsetDateTime) -> String {
    let short = |name: String| name.chars().take(3).collect::<String>();
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    let (weekday, month) = (short(time.weekday().to_string()), short(month.to_string()));
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_form_of_http() {
        let time = OffsetDateTime::from_unix_timestamp(1_795_687_205).unwrap();
        assert_eq!(http_date(time), "Thu, 26 Nov 2026 10:00:05 GMT");
    }

    #[test]
    fn a_signature_is_base64_and_depends_on_the_key() {
        let one = signature(AZURITE.secret_key, "PUT").unwrap();
        assert_eq!(BASE64_STANDARD.decode(&one).unwrap().len(), 32);
        assert_ne!(signature("a2V5", "PUT").unwrap(), one);
        assert!(signature("not base64", "PUT").is_err());
    }
}
