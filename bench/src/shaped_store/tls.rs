//! A certificate for loopback, made at the start.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Makes an authority, writes its certificate to `path`, and returns TLS with a certificate that it signed. Not all
/// clients accept a server's certificate that signs itself.
pub(super) fn acceptor(path: &Path) -> anyhow::Result<TlsAcceptor> {
    let mut authority = CertificateParams::new(Vec::new())?;
    // OpenSSL takes a certificate whose subject is also its issuer for self-signed.
    authority
        .distinguished_name
        .push(DnType::CommonName, "shaped store authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    std::fs::write(path, authority.pem())?;

    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|why| anyhow::anyhow!(why))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
