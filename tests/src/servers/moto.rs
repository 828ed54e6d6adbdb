//! moto, in a Python virtual environment.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::http::Request;
use super::install::{on_path, run};
use super::process::Process;
use super::python;
use super::server::{Kind, Server};

const VERSION: &str = "5.2.5";

const MOTO: Kind = Kind {
    name: "moto",
    variable: "SQS_TEST_MOTO",
    ready: "/moto-api/data.json",
    ready_status: 200,
    access_key: "test",
    secret_key: "test",
};

pub(super) fn start() -> Result<Server> {
    match Server::given(&MOTO)? {
        Some(given) => Ok(given),
        None => start_here(u32::MAX),
    }
}

/// Starts a moto that checks signatures after a user was created whose keys it accepts.
pub(super) fn start_with_auth() -> Result<Server> {
    const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let policy = utf8_percent_encode(POLICY, NON_ALPHANUMERIC);
    let policy = format!("&PolicyName=all&PolicyDocument={policy}");
    let actions = [("CreateUser", ""), ("PutUserPolicy", &policy), ("CreateAccessKey", "")];

    let mut server = start_here(u32::try_from(actions.len())?)?;
    let mut responses = String::new();
    for (action, more) in actions {
        // The signature is not checked yet, but its scope tells moto the service.
        let body = format!("Version=2010-05-08&UserName=tests&Action={action}{more}");
        let headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
        let response = server.signed(
            "iam",
            Request {
                method: "POST",
                path: "/",
                headers,
                body: &body,
            },
        )?;
        ensure!(response.is_success(), "moto refused {action}: {response}");
        responses += &response.body;
    }
    server.access_key = element(&responses, "AccessKeyId")
        .context("moto created no access key")?
        .to_owned();
    server.secret_key = element(&responses, "SecretAccessKey")
        .context("moto created no secret key")?
        .to_owned();
    server.origin += ", checks signatures";
    Ok(server)
}

/// Starts moto, which does not check the signatures of the first `unchecked` requests.
fn start_here(unchecked: u32) -> Result<Server> {
    let (python, version) = interpreter()?;
    let process = Process::start(&MOTO, |port, data| {
        let mut command = Command::new(&python);
        command
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .current_dir(data);
        command
            .env("INITIAL_NO_AUTH_ACTION_COUNT", unchecked.to_string())
            .env_remove("MOTO_PORT");
        Ok(command)
    })?;
    Ok(Server::started(&MOTO, version, process))
}

/// Returns a Python with moto, and moto's version. It is the Python of a `moto_server` on `PATH`, or our own.
fn interpreter() -> Result<(PathBuf, String)> {
    let beside = on_path("moto_server").map(|script| script.with_file_name("python3"));
    let why_not = match beside.map(|python| version(&python).map(|version| (python, version))) {
        Some(Ok(found)) => return Ok(found),
        Some(Err(error)) => format!("the moto_server on PATH cannot be used ({error:#})"),
        None => "there is no moto_server on PATH".to_owned(),
    };
    let packages = [format!("moto[server,s3,sqs,dynamodb]=={VERSION}")];
    let ours = python::venv(&format!("moto-{VERSION}"), &packages)
        .and_then(|python| version(&python).map(|version| (python, version)));
    ours.with_context(|| format!("SQS_TEST_MOTO is not set, {why_not}"))
}

fn version(python: &Path) -> Result<String> {
    const SCRIPT: &str = "import moto.server, importlib.metadata as m; print(m.version('moto'))";
    Ok(run(Command::new(python).args(["-c", SCRIPT]))?.trim().to_owned())
}

/// Returns the text of the first element with this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once("</")?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_elements_text_is_found() {
        let xml = "<K><AccessKeyId>AKIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey></K>";
        assert_eq!(element(xml, "AccessKeyId"), Some("AKIA"));
        assert_eq!(element(xml, "SecretAccessKey"), Some("s"));
        assert_eq!(element(xml, "SessionToken"), None);
    }
}
