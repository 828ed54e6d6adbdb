//! The servers that receive requests, and the region in their signatures.

use std::sync::Arc;

use url::{Host, Position, Url};

use crate::error::{Error, ServerName};
use crate::protocol::Wire;

/// The region to sign for if a custom endpoint is set without one. Compatible servers accept any.
const DEFAULT_SIGNING_REGION: &str = "us-east-1";

/// The settings of an endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndpointConfig {
    pub(crate) region: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) fips: bool,
    pub(crate) dual_stack: bool,
    /// The other servers that queue URLs may lead to.
    pub(crate) followed: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    own: Server,
    followed: Vec<Server>,
    region: String,
}

/// A server that requests may be signed for.
#[derive(Clone, Debug)]
struct Server {
    url: Url,
    /// The `Host` header of requests.
    host: String,
    name: Arc<ServerName>,
}

/// The destination of a request.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) url: Url,
    pub(crate) host: &'a str,
    /// The server's name in errors.
    pub(crate) server: &'a Arc<ServerName>,
}

impl Endpoint {
    /// Resolves the endpoint: the custom URL, or else AWS's own endpoint of the region.
    pub(crate) fn resolve(config: EndpointConfig) -> Result<Self, Error> {
        let own = match (&config.url, &config.region) {
            (Some(_), _) if config.fips || config.dual_stack => {
                return Err(Error::configuration(
                    "FIPS and dual-stack endpoints are AWS's own; remove either that setting or the endpoint URL",
                ));
            }
            (Some(url), _) => Server::at(url)?,
            (None, Some(region)) => Server::of_region(region, config.fips, config.dual_stack)?,
            (None, None) => {
                return Err(Error::configuration(
                    "no region is set; call ClientBuilder::region, or set AWS_REGION",
                ));
            }
        };
        let followed: Result<_, _> = config.followed.iter().map(|url| Server::at(url)).collect();
        Ok(Self {
            own,
            followed: followed?,
            region: config.region.unwrap_or_else(|| DEFAULT_SIGNING_REGION.to_owned()),
        })
    }

    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// Returns `true` if any request uses HTTPS.
    pub(crate) fn uses_https(&self) -> bool {
        self.servers().any(|server| server.url.scheme() == "https")
    }

    /// Returns `true` if all requests stay on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.servers().all(Server::is_loopback)
    }

    fn servers(&self) -> impl Iterator<Item = &Server> {
        std::iter::once(&self.own).chain(&self.followed)
    }

    /// Returns the destination of a request about this queue.
    ///
    /// It is this endpoint, unless queue URLs are followed. The host in a queue URL may be unreachable, or the URL may
    /// come from an untrusted sender. Requests of the Query protocol go to the queue's path there, which servers
    /// expect.
    pub(crate) fn target(&self, wire: Wire, queue_url: Option<&str>) -> Result<Target<'_>, Error> {
        let uses_queue_url = wire == Wire::Query || !self.followed.is_empty();
        let queue = queue_url.filter(|_| uses_queue_url).map(parse_queue_url).transpose()?;
        let server = match &queue {
            Some(queue) if !self.followed.is_empty() => self.server_of(queue)?,
            _ => &self.own,
        };
        let mut url = server.url.clone();
        if let (Wire::Query, Some(queue)) = (wire, queue) {
            url.set_path(&under(server.url.path(), queue.path()));
        }
        Ok(Target {
            url,
            host: &server.host,
            server: &server.name,
        })
    }

    /// Returns the name, for errors, of the server that requests about this queue go to.
    pub(crate) fn server_name(&self, queue_url: &str) -> &Arc<ServerName> {
        let target = self.target(Wire::Json, Some(queue_url));
        target.map_or(&self.own.name, |target| target.server)
    }

    /// Returns the server that a queue's URL names. Fails unless requests may be signed for it.
    fn server_of(&self, queue: &Url) -> Result<&Server, Error> {
        let named = queue.origin();
        self.servers()
            .find(|server| server.url.origin() == named)
            .ok_or_else(|| {
                Error::invalid_input(format!(
                    "the queue's URL names the server {}, which is neither the endpoint nor one that \
                 ClientBuilder::follow_queue_urls allows",
                    named.ascii_serialization()
                ))
            })
    }
}

impl Server {
    fn at(url: &str) -> Result<Self, Error> {
        let url = custom(url)?;
        Ok(Self {
            host: host_header(&url)?,
            name: Arc::new(ServerName::Endpoint(url.as_str().trim_end_matches('/').to_owned())),
            url,
        })
    }

    fn of_region(region: &str, fips: bool, dual_stack: bool) -> Result<Self, Error> {
        let name = Arc::new(ServerName::Region(region.to_owned()));
        let server = Self::at(&url_of_region(region, fips, dual_stack)?)?;
        Ok(Self { name, ..server })
    }

    fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

/// Returns a URL for errors: without user name, password, query and fragment, which may be secret.
pub(crate) fn shown(url: &Url) -> String {
    let path = url.path().trim_end_matches('/');
    format!("{}{path}", url.origin().ascii_serialization())
}

/// Returns the queue's path below the endpoint's base path. Servers that do not know their base path leave it out of queue
/// URLs.
fn under(base: &str, queue: &str) -> String {
    let base = base.trim_end_matches('/');
    match queue.strip_prefix(base) {
        Some(rest) if rest.starts_with('/') => queue.to_owned(),
        _ => format!("{base}{queue}"),
    }
}

fn parse_queue_url(text: &str) -> Result<Url, Error> {
    Url::parse(text).map_err(|error| Error::invalid_input(format!("the queue URL is not a URL: {error}: {text:?}")))
}

fn custom(text: &str) -> Result<Url, Error> {
    if text.contains('@') {
        // The URL is not shown, because it may contain a secret.
        let why = "the endpoint URL has a user name or password; use ClientBuilder::credentials instead";
        return Err(Error::configuration(why));
    }
    let refuse = |why: &str| Error::configuration(format!("the endpoint URL {text:?} {why}"));
    let url = Url::parse(text).map_err(|error| refuse(&format!("is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("begins with neither http:// nor https://"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        // Without the query, which may contain a token.
        let shown = &url[..Position::AfterPath];
        return Err(Error::configuration(format!(
            "the endpoint URL {shown:?} has a query or fragment"
        )));
    }
    Ok(url)
}

/// AWS's partitions: the prefix of their regions, the suffix of their hosts, and the suffix of their dual-stack hosts if
/// there are any. The last is for all other regions.
const PARTITIONS: [(&str, &str, Option<&str>); 7] = [
    ("cn-", "amazonaws.com.cn", Some("api.amazonwebservices.com.cn")),
    ("us-iso-", "c2s.ic.gov", None),
    ("us-isob-", "sc2s.sgov.gov", None),
    ("us-isof-", "csp.hci.ic.gov", None),
    ("eu-isoe-", "cloud.adc-e.uk", None),
    ("eusc-", "amazonaws.eu", Some("api.amazonwebservices.eu")),
    ("", "amazonaws.com", Some("api.aws")),
];

/// Returns AWS's own endpoint of a region, by AWS's endpoint rule set for SQS.
fn url_of_region(region: &str, fips: bool, dual_stack: bool) -> Result<String, Error> {
    let well_formed = !region.is_empty() && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !well_formed {
        return Err(Error::configuration(format!("{region:?} is not an AWS region")));
    }
    let partition = PARTITIONS.iter().find(|(prefix, ..)| region.starts_with(prefix));
    let (plain, dual) = partition.map_or(("amazonaws.com", None), |(_, plain, dual)| (*plain, *dual));
    let suffix = match (dual_stack, dual) {
        (false, _) => plain,
        (true, Some(dual)) => dual,
        (true, None) => {
            return Err(Error::configuration(format!(
                "the region {region} has no dual-stack endpoints"
            )));
        }
    };
    // GovCloud's ordinary endpoints are FIPS 140 validated.
    let ordinary_is_fips = region.starts_with("us-gov-") && !dual_stack;
    let service = if fips && !ordinary_is_fips { "sqs-fips" } else { "sqs" };
    Ok(format!("https://{service}.{region}.{suffix}"))
}

/// Returns the host as an HTTP client sends it: with the port, unless that is the scheme's default.
fn host_header(url: &Url) -> Result<String, Error> {
    let host = url
        .host_str()
        .ok_or_else(|| Error::configuration("the endpoint URL has no host"))?;
    Ok(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::json_vector;

    fn resolve(region: Option<&str>, url: Option<&str>) -> Result<Endpoint, Error> {
        Endpoint::resolve(EndpointConfig {
            region: region.map(str::to_owned),
            url: url.map(str::to_owned),
            ..EndpointConfig::default()
        })
    }

    fn url(region: &str, custom: Option<&str>, wire: Wire, queue: &str) -> String {
        let endpoint = resolve(Some(region), custom).unwrap();
        endpoint.target(wire, Some(queue)).unwrap().url.to_string()
    }

    /// The cases are AWS's own tests of its endpoint rules.
    #[test]
    fn endpoints_follow_the_rules_of_aws() {
        let Some(file) = json_vector("endpoints/endpoint-tests-1.json") else {
            return;
        };
        let cases = file["testCases"].as_array().unwrap();
        assert!(cases.len() >= 48);
        for case in cases {
            let params = &case["params"];
            let text = |name: &str| params[name].as_str().map(str::to_owned);
            let resolved = Endpoint::resolve(EndpointConfig {
                region: text("Region"),
                url: text("Endpoint"),
                fips: params["UseFIPS"] == true,
                dual_stack: params["UseDualStack"] == true,
                followed: Vec::new(),
            });
            match case["expect"]["endpoint"]["url"].as_str() {
                Some(url) => assert_eq!(resolved.unwrap().own.url, Url::parse(url).unwrap(), "{case}"),
                None => assert!(resolved.is_err(), "{case}"),
            }
        }
    }

    #[test]
    fn requests_go_to_the_endpoint_whatever_host_a_queue_url_names() {
        let queue = "http://other:1/000/q";
        assert_eq!(
            url("eu-west-1", None, Wire::Json, queue),
            "https://sqs.eu-west-1.amazonaws.com/"
        );
        assert_eq!(
            url("cn-north-1", None, Wire::Query, queue),
            "https://sqs.cn-north-1.amazonaws.com.cn/000/q"
        );
        assert_eq!(
            url("x", Some("http://127.0.0.1:9324"), Wire::Query, queue),
            "http://127.0.0.1:9324/000/q"
        );
    }

    #[test]
    fn the_query_protocol_keeps_the_endpoints_base_path() {
        for base in ["http://h:1/base/path", "http://h:1/base/path/"] {
            let to = |queue| url("x", Some(base), Wire::Query, queue);
            let expected = "http://h:1/base/path/000/q";
            assert_eq!(
                to("http://h:1/000/q"),
                expected,
                "of a server that does not know its base path"
            );
            assert_eq!(to("http://h:1/base/path/000/q"), expected, "of a server that does");
            assert_eq!(
                to("http://h:1/base/pathology/q"),
                "http://h:1/base/path/base/pathology/q"
            );
        }
    }

    #[test]
    fn a_queue_url_is_followed_to_an_allowed_server_only() {
        let endpoint = Endpoint::resolve(EndpointConfig {
            url: Some("http://127.0.0.1:9324".to_owned()),
            followed: vec!["https://other.example".to_owned()],
            ..EndpointConfig::default()
        })
        .unwrap();
        let to = |queue| {
            endpoint
                .target(Wire::Query, Some(queue))
                .map(|to| (to.url.to_string(), to.host))
        };
        let other = "https://other.example/1/q";
        assert_eq!(to(other).unwrap(), (other.to_owned(), "other.example"));
        let own = "http://127.0.0.1:9324/1/q";
        assert_eq!(to(own).unwrap(), (own.to_owned(), "127.0.0.1:9324"));
        for untrusted in [
            "http://other.example/1/q",
            "https://other.example:444/1/q",
            "https://other.example.evil.com/1/q",
            "https://other.example@evil.com/1/q",
            "http://127.0.0.1/1/q",
            "file:///1/q",
        ] {
            let error = to(untrusted).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput, "{untrusted}");
        }
        let json = endpoint.target(Wire::Json, Some(other)).unwrap();
        assert_eq!(json.url.as_str(), "https://other.example/");
        assert_eq!(endpoint.target(Wire::Json, None).unwrap().host, "127.0.0.1:9324");
    }

    #[test]
    fn an_invalid_endpoint_is_refused_with_a_reason() {
        for bad in [
            "localhost:9324",
            "ftp://h",
            "http://u:secret@h",
            "ftp://u:secret@h",
            "http://u:secret@h:99999",
            "http://h/?q",
            "x",
        ] {
            let error = resolve(None, Some(bad)).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Configuration, "{bad}");
            assert!(!error.to_string().contains("secret"));
        }
        assert!(resolve(Some("evil.com/"), None).is_err());
        assert!(resolve(None, None).unwrap_err().to_string().contains("AWS_REGION"));
    }

    #[test]
    fn loopback_addresses_are_recognized() {
        let loopback = |url| resolve(None, Some(url)).unwrap().is_loopback();
        for url in [
            "http://localhost:1",
            "http://127.0.0.1",
            "http://127.9.9.9:80",
            "http://[::1]",
        ] {
            assert!(loopback(url), "{url}");
        }
        for url in [
            "http://localhost.example",
            "http://10.0.0.1",
            "https://sqs.us-east-1.amazonaws.com",
        ] {
            assert!(!loopback(url), "{url}");
        }
    }

    #[test]
    fn the_host_header_has_a_port_unless_it_is_the_default() {
        let host = |url| resolve(None, Some(url)).unwrap().own.host;
        assert_eq!(host("http://h:80"), "h");
        assert_eq!(host("https://h:8443"), "h:8443");
        assert_eq!(host("http://[::1]:9324"), "[::1]:9324");
    }
}
