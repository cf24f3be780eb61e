//! TLS as libpq's `sslmode` has it, by rustls with the ring provider and the system's roots or a
//! given file. `connect.rs` is the only caller.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_postgres::config::SslMode;

use super::DbError;

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Never TLS.
    Disable,
    /// TLS if the server has it; nothing is verified. Also stands for `allow`.
    Prefer,
    /// TLS, without verification unless a root file is given.
    Require,
    /// TLS, and the certificate's chain is verified.
    VerifyCa,
    /// TLS, and chain and host name are verified.
    VerifyFull,
}

impl Mode {
    pub(super) fn parse(text: &str) -> Result<Self, DbError> {
        Ok(match text {
            "disable" => Mode::Disable,
            "allow" | "prefer" => Mode::Prefer,
            "require" => Mode::Require,
            "verify-ca" => Mode::VerifyCa,
            "verify-full" => Mode::VerifyFull,
            _ => {
                return Err(DbError::Config(format!(
                    "sslmode {text:?} is none of disable, allow, prefer, require, verify-ca, \
                     verify-full"
                )));
            }
        })
    }

    pub(super) fn client_mode(self) -> SslMode {
        match self {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            _ => SslMode::Require,
        }
    }
}

/// Certificate files, as the connection parameters name them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Files<'a> {
    /// Roots: a PEM file, or `system`.
    pub(super) root: Option<&'a str>,
    /// The client's certificate and key, PEM.
    pub(super) client: Option<(&'a str, &'a str)>,
}

/// The client's TLS configuration for a mode, or `None` if it never uses TLS.
pub(super) fn client_config(mode: Mode, files: Files<'_>) -> Result<Option<ClientConfig>, DbError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match mode {
        Mode::Disable => return Ok(None),
        Mode::Prefer => Arc::new(Unverified(Arc::clone(&provider))),
        // A given root file makes libpq verify the chain under `require` too.
        Mode::Require if files.root.is_none() => Arc::new(Unverified(Arc::clone(&provider))),
        Mode::Require | Mode::VerifyCa => {
            Arc::new(ChainOnly(webpki(read_roots(files.root)?, &provider)?))
        }
        Mode::VerifyFull => webpki(read_roots(files.root)?, &provider)?,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| config(format!("TLS cannot be set up: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut built = match files.client {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(read_certs(Path::new(cert))?, read_key(key)?)
            .map_err(|error| config(format!("sslcert and sslkey cannot be used: {error}")))?,
    };
    built.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(Some(built))
}

fn config(message: String) -> DbError {
    DbError::Config(message)
}

fn webpki(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, DbError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| config(format!("no usable root certificates: {error}")))
}

fn read_certs(file: &Path) -> Result<Vec<CertificateDer<'static>>, DbError> {
    let bad = |error| config(format!("{}: not a PEM certificate: {error}", file.display()));
    CertificateDer::pem_file_iter(file).map_err(bad)?.collect::<Result<_, _>>().map_err(bad)
}

fn read_key(file: &str) -> Result<PrivateKeyDer<'static>, DbError> {
    PrivateKeyDer::from_pem_file(file)
        .map_err(|error| config(format!("{file}: not a PEM private key: {error}")))
}

fn read_roots(root: Option<&str>) -> Result<RootCertStore, DbError> {
    let mut store = RootCertStore::empty();
    match root {
        Some(file) if file != "system" => {
            for cert in read_certs(Path::new(file))? {
                store
                    .add(cert)
                    .map_err(|error| config(format!("{file}: not a root certificate: {error}")))?;
            }
        }
        _ => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err(config(
            "no root certificates: install ca-certificates, or give sslrootcert=FILE".to_owned(),
        ));
    }
    Ok(store)
}

/// Encrypts and believes whoever answers, as `sslmode=require` does.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    // A signature proves the possession of a certificate that nobody looks at; checking it would
    // only refuse servers with old-fashioned certificates.
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Verifies the chain and lets any host name pass, as `sslmode=verify-ca` does.
#[derive(Debug)]
struct ChainOnly(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for ChainOnly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // The name is checked last, so this error says that the chain holds.
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
