//! The start of queue URLs, as the client of a request reaches the server.

use hyper::HeaderMap;
use hyper::header::HOST;

/// The longest name in DNS, with a port.
const MAX_LENGTH: usize = 253 + ":65535".len();

/// Returns the start of queue URLs from a request's `Host` header, if that is one host with at most a port.
pub(crate) fn base_url(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(HOST)?.to_str().ok()?;
    is_host(host).then(|| format!("http://{host}"))
}

fn is_host(text: &str) -> bool {
    if text.len() > MAX_LENGTH {
        return false;
    }
    let (name, port) = match text.rsplit_once(':') {
        // The last colon of an IPv6 address is in its brackets.
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    is_name(name) && port.is_none_or(is_port)
}

fn is_name(name: &str) -> bool {
    if let Some(address) = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    !name.is_empty() && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_host_with_a_port_begins_urls() {
        for good in [
            "sqs.test:9324",
            "localhost",
            "127.0.0.1:80",
            "[::1]:9324",
            "[::1]",
            "my_host",
        ] {
            assert!(is_host(good), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "a/b",
            "a:b",
            "a:",
            "a:99999",
            "a:+80",
            "user@host",
            "a:1:2",
            "[::1",
            "[x]",
            "a?b",
            "a#b",
            "<a>",
            &"a".repeat(260),
        ] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
