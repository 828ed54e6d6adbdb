//! The options in a store's URL.

use std::collections::BTreeMap;
#[cfg(feature = "_http")]
use std::str::FromStr;
#[cfg(feature = "_http")]
use std::time::Duration;

#[cfg(feature = "_http")]
use object_store::ClientConfigKey;
use url::Url;

use crate::error::Error;
#[cfg(feature = "_http")]
use crate::stores::connector::StoreConnector;

/// The treatment of an option.
#[cfg(feature = "_http")]
pub(super) enum Use {
    Taken,
    /// Another part of the URL names it.
    NamedByUrl,
    /// [`StoreConnector`] has no such setting.
    Ineffective,
}

/// The treatment of an option of object_store's own connections.
#[cfg(feature = "_http")]
pub(super) fn client_use(key: &ClientConfigKey) -> Use {
    match key {
        ClientConfigKey::AllowHttp | ClientConfigKey::DefaultContentType => Use::Taken,
        _ => Use::Ineffective,
    }
}

/// The query of a URL.
pub(super) struct Options(BTreeMap<String, String>);

impl Options {
    pub(super) fn from_url(url: &Url) -> Result<Self, Error> {
        let names_container = matches!(url.scheme(), "az" | "abfs" | "abfss");
        if url.password().is_some() || !(names_container || url.username().is_empty()) {
            return Err(Error::invalid(
                "the store's URL contains a user or a password; set credentials in the environment",
            ));
        }
        if url.port().is_some() || url.fragment().is_some() {
            return Err(Error::invalid(
                "the store's URL has a port or a fragment; set another server's address with `?endpoint=`",
            ));
        }
        let mut options = BTreeMap::new();
        for (name, value) in url.query_pairs() {
            let name = name.to_ascii_lowercase();
            if options.contains_key(&name) {
                return Err(Error::invalid(format!(
                    "the store's URL contains the option `{name}` twice; remove one"
                )));
            }
            options.insert(name, value.into_owned());
        }
        Ok(Self(options))
    }

    /// Returns the option `bucket` for a store without buckets, which has no other options.
    pub(super) fn bucket(&mut self, default: &str) -> Result<String, Error> {
        let bucket = self.0.remove("bucket").unwrap_or_else(|| default.to_owned());
        match self.0.keys().next() {
            Some(name) => Err(unknown(name)),
            None => Ok(bucket),
        }
    }
}

#[cfg(feature = "_http")]
impl Options {
    pub(super) fn connector(&mut self) -> Result<StoreConnector, Error> {
        let mut connector = StoreConnector::new();
        if let Some(timeout) = self.duration("connect_timeout")? {
            connector = connector.connect_timeout(timeout);
        }
        if let Some(timeout) = self.duration("read_timeout")? {
            connector = connector.read_timeout(timeout);
        }
        Ok(connector)
    }

    fn duration(&mut self, name: &str) -> Result<Option<Duration>, Error> {
        let Some(value) = self.0.remove(name) else {
            return Ok(None);
        };
        let parsed = humantime::parse_duration(&value);
        parsed.map(Some).map_err(|_| {
            Error::invalid(format!(
                "the store's option `{name}` is not a time; write one such as 30s"
            ))
        })
    }

    /// Parses the options as configuration keys of the store's builder.
    pub(super) fn parsed<K: FromStr>(&self, used: impl Fn(&K) -> Use) -> Result<Vec<(K, String)>, Error> {
        let parse = |(name, value): (&String, &String)| {
            let key = name.parse().map_err(|_| unknown(name))?;
            match used(&key) {
                Use::Taken => Ok((key, value.clone())),
                Use::NamedByUrl => Err(Error::invalid(format!(
                    "the store's URL already names the value of the option `{name}`; remove the option"
                ))),
                Use::Ineffective => Err(Error::invalid(format!(
                    "the store's option `{name}` has no effect with StoreConnector; remove it"
                ))),
            }
        };
        self.0.iter().map(parse).collect()
    }

    /// The error of the builder. Its text is left out if an option is a secret, because the text may quote it.
    pub(super) fn unusable(&self, error: object_store::Error) -> Error {
        const SECRET: [&str; 4] = ["key", "secret", "token", "sas"];
        let is_secret = |name: &String| SECRET.iter().any(|word| name.contains(word));
        if self.0.keys().any(is_secret) {
            return Error::invalid(
                "the store's settings cannot work together or one of them is malformed; check the options of its URL",
            );
        }
        Error::invalid(format!("the store's settings cannot work: {error}"))
    }
}

fn unknown(name: &str) -> Error {
    Error::invalid(format!(
        "the store has no option `{name:.40}`; check the options of its URL"
    ))
}
