//! TLS for connections to MySQL, with the meanings of its own clients' `--ssl-mode`.
//! Not here: when to try with and without TLS (see `connect`).
//! Called when a session is opened.

use mysql_async::SslOpts;
use rustls::{CertificateError, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tapline_core::{Error, Result, codes};

use super::config::{Server, TlsMode};

/// TLS as the server's settings want it; `None` where there is to be none. `name` is the one that the certificate is
/// made out to, where it is not the host.
pub(super) fn options(server: &Server, name: Option<&str>) -> Result<Option<SslOpts>> {
    // Several libraries bring providers of cryptography along; the driver takes the one that is installed. Where one is
    // already, it stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let verified = match server.tls {
        _ if server.is_local() => return Ok(None),
        TlsMode::Disabled => return Ok(None),
        TlsMode::Preferred | TlsMode::Required => false,
        TlsMode::VerifyCa | TlsMode::VerifyIdentity => true,
    };
    if !verified {
        return Ok(Some(SslOpts::default().with_danger_accept_invalid_certs(true)));
    }
    let roots = roots(server)?.into_iter().map(|certificate| certificate.as_ref().to_vec().into()).collect();
    let options = SslOpts::default().with_disable_built_in_roots(true).with_root_certs(roots);
    Ok(Some(match name {
        Some(name) => options.with_danger_tls_hostname_override(name.to_owned()),
        None => options,
    }))
}

/// A name that the certificate is made out to, where that is all that is wrong with it: the chain is verified before
/// the name, so the certificate of such an error is signed by an authority that is trusted.
pub(super) fn presented_name(error: &mysql_async::Error) -> Option<String> {
    let rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) = cause(error)?
    else {
        return None;
    };
    // Such as `DnsName("db.internal")` or `IpAddress(10.0.0.1)`.
    presented.iter().find_map(|name| {
        let name = name.split_once('(')?.1.trim_end_matches(')').trim_matches('"');
        Some(name.replace('*', "any"))
    })
}

/// What rustls said, if TLS failed.
pub(super) fn cause(error: &mysql_async::Error) -> Option<&rustls::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(error);
        }
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(error) = wrapped.and_then(|error| error.downcast_ref::<rustls::Error>()) {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

/// The certificates that are trusted: those of `ca`, else the system's.
fn roots(server: &Server) -> Result<Vec<CertificateDer<'static>>> {
    let Some(path) = &server.ca else {
        let mut native = rustls_native_certs::load_native_certs().certs;
        native.retain(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
        return Ok(native);
    };
    CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| {
        Error::new(codes::CONF_005, format!("the certificates of ca {} cannot be read", path.display()))
            .because(error)
            .hint("ca names a PEM file that begins with -----BEGIN CERTIFICATE-----")
    })
}
