//! The TLS of the crate's features, configured for reqwest. It never installs a crypto provider for the process.

use crate::error::Error;

/// The requirements on TLS.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsConfig {
    /// `true` if any connection uses HTTPS. Otherwise, no certificates are loaded.
    #[cfg_attr(
        feature = "native-tls",
        allow(dead_code, reason = "the platform's library decides when to load them")
    )]
    pub(crate) needed: bool,
    /// The certificates to trust besides the platform's, in PEM.
    pub(crate) extra_roots: Vec<u8>,
}

/// Returns a builder of HTTP clients with this TLS.
pub(crate) fn client_builder(config: &TlsConfig) -> Result<reqwest::ClientBuilder, Error> {
    backend::set_up(reqwest::Client::builder(), config)
}

#[cfg(any(feature = "native-tls", feature = "rustls"))]
fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::configuration("TLS could not be set up").with_source(error)
}

#[cfg(any(feature = "native-tls", feature = "rustls"))]
fn no_certificates() -> Error {
    Error::configuration("ClientBuilder::root_certificates received no PEM certificate")
}

#[cfg(feature = "native-tls")]
mod backend {
    use super::{Error, TlsConfig, no_certificates, unusable};

    pub(super) fn set_up(builder: reqwest::ClientBuilder, config: &TlsConfig) -> Result<reqwest::ClientBuilder, Error> {
        let builder = builder.tls_backend_native();
        if config.extra_roots.is_empty() {
            return Ok(builder);
        }
        let roots = reqwest::Certificate::from_pem_bundle(&config.extra_roots).map_err(unusable)?;
        if roots.is_empty() {
            return Err(no_certificates());
        }
        Ok(builder.tls_certs_merge(roots))
    }
}

#[cfg(all(feature = "rustls", not(feature = "native-tls")))]
mod backend {
    use std::sync::Arc;

    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    use rustls_platform_verifier::Verifier;

    use super::{Error, TlsConfig, no_certificates, unusable};

    pub(super) fn set_up(builder: reqwest::ClientBuilder, config: &TlsConfig) -> Result<reqwest::ClientBuilder, Error> {
        Ok(builder.tls_backend_preconfigured(tls(config)?))
    }

    fn tls(config: &TlsConfig) -> Result<rustls::ClientConfig, Error> {
        let provider = crypto_provider()?;
        let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = if config.needed {
            let verifier = Verifier::new_with_extra_roots(extra_roots(config)?, provider).map_err(unusable)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        } else {
            builder.with_root_certificates(rustls::RootCertStore::empty())
        };
        Ok(builder.with_no_client_auth())
    }

    fn extra_roots(config: &TlsConfig) -> Result<Vec<CertificateDer<'static>>, Error> {
        let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&config.extra_roots).collect();
        let roots = roots.map_err(unusable)?;
        if roots.is_empty() && !config.extra_roots.is_empty() {
            return Err(no_certificates());
        }
        Ok(roots)
    }

    /// Returns the provider of the crate's features, or else the one that the process has installed.
    fn crypto_provider() -> Result<Arc<CryptoProvider>, Error> {
        #[cfg(feature = "aws-lc-rs")]
        return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
        return Ok(Arc::new(rustls::crypto::ring::default_provider()));
        #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
        return CryptoProvider::get_default().cloned().ok_or_else(|| {
            Error::configuration(
                "there is no crypto provider; enable the feature `ring` or `aws-lc-rs`, or install one for the process",
            )
        });
    }
}

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
mod backend {
    use super::{Error, TlsConfig};

    pub(super) fn set_up(builder: reqwest::ClientBuilder, config: &TlsConfig) -> Result<reqwest::ClientBuilder, Error> {
        if config.needed || !config.extra_roots.is_empty() {
            let why =
                "there is no TLS; enable the feature `ring`, `aws-lc-rs` or `native-tls`, or use an http:// endpoint";
            return Err(Error::configuration(why));
        }
        Ok(builder)
    }
}
