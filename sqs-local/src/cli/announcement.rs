//! The output of the program once it is ready.

use std::io::{self, Write as _};

use sqs_local::{ACCESS_KEY_ID, LocalSqs, SECRET_ACCESS_KEY};

use super::Arguments;

/// Prints the address, the settings for clients and the queues to standard output.
///
/// The output is flushed, because a program that starts this one waits for it.
pub(crate) fn print(arguments: &Arguments, server: &LocalSqs) -> Result<(), String> {
    let text = text(arguments, server);
    let mut out = io::stdout().lock();
    let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed.map_err(|error| format!("cannot print the address: {error}"))
}

fn text(arguments: &Arguments, server: &LocalSqs) -> String {
    let (endpoint, region) = (reachable(&server.endpoint()), &arguments.region);
    // boto3 and the AWS CLI read only AWS_DEFAULT_REGION.
    let mut text = format!(
        "sqs-local listens on {endpoint}\n\
         export AWS_ENDPOINT_URL_SQS={endpoint}\n\
         export AWS_ACCESS_KEY_ID={ACCESS_KEY_ID} AWS_SECRET_ACCESS_KEY={SECRET_ACCESS_KEY} AWS_REGION={region} \
         AWS_DEFAULT_REGION={region}\n"
    );
    for queue in &arguments.queues {
        let url = server.queue_url(queue.name());
        text.push_str(&format!("queue {}\n", reachable(&url)));
    }
    text
}

/// Replaces the address that means all interfaces, to which not every system connects.
fn reachable(url: &str) -> String {
    url.replacen("//0.0.0.0:", "//127.0.0.1:", 1)
        .replacen("//[::]:", "//[::1]:", 1)
}
