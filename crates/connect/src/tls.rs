//! Whose cryptography TLS uses, which rustls leaves to whoever opens the first connection of the process.

/// Installs it; call it before a client is built. A second time it changes nothing.
pub(crate) fn install() {
    // An error means that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
