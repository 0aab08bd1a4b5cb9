//! The key by which a server shows who it is, and the comparison with the one that was expected.
//! Not here: the connection on which it is shown (`connect`).
//! Called while a connection is made, and when settings are looked at.

use std::sync::Arc;

use parking_lot::Mutex;
use russh::client::Handler;
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};

/// What a server's key is expected to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostKey {
    /// `SHA256:…` of any of its keys.
    Fingerprint(String),
    /// The key itself.
    Key(Box<PublicKey>),
}

impl HostKey {
    /// Reads a fingerprint, a public key, or a line of `known_hosts`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(digits) = text.strip_prefix("SHA256:") {
            let digits = digits.trim_end_matches('=');
            let whole =
                digits.len() == 43 && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte));
            return if whole {
                Ok(Self::Fingerprint(format!("SHA256:{digits}")))
            } else {
                Err("a fingerprint has 43 characters after SHA256:".to_owned())
            };
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let key = words.windows(2).find_map(|pair| PublicKey::from_openssh(&pair.join(" ")).ok());
        key.map(|key| Self::Key(Box::new(key))).ok_or_else(|| {
            "write a fingerprint, SHA256:…, or a line of `ssh-keyscan HOST`, once you know that it is the server's"
                .to_owned()
        })
    }

    fn is(&self, key: &PublicKey) -> bool {
        match self {
            Self::Fingerprint(fingerprint) => *fingerprint == fingerprint_of(key),
            Self::Key(expected) => expected.key_data() == key.key_data(),
        }
    }

    /// The kinds of key that the server is to show, the likeliest first.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        match self {
            Self::Key(key) => kinds(&key.algorithm()),
            Self::Fingerprint(_) => Vec::new(),
        }
    }
}

/// A key of RSA is shown with a hash.
fn kinds(algorithm: &Algorithm) -> Vec<Algorithm> {
    match algorithm {
        Algorithm::Rsa { .. } => {
            [HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) }).to_vec()
        }
        algorithm => vec![algorithm.clone()],
    }
}

fn fingerprint_of(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Looks at the key that a server shows, and remembers it.
#[derive(Debug)]
pub(super) struct Guard {
    expected: HostKey,
    refused: Arc<Mutex<Option<String>>>,
}

impl Guard {
    pub(super) fn new(expected: HostKey) -> Self {
        Self { expected, refused: Arc::default() }
    }

    /// The fingerprint of a key that was refused.
    pub(super) fn refused(&self) -> Arc<Mutex<Option<String>>> {
        Arc::clone(&self.refused)
    }
}

impl Handler for Guard {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let known = self.expected.is(key);
        if !known {
            *self.refused.lock() = Some(fingerprint_of(key));
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn every_spelling_of_a_key_is_that_key() {
        let key = PublicKey::from_openssh(KEY).unwrap();
        let spellings =
            [KEY.to_owned(), format!("{KEY} me@home"), format!("[127.0.0.1]:2222 {KEY}"), fingerprint_of(&key)];
        for spelling in spellings {
            assert!(HostKey::parse(&spelling).unwrap().is(&key), "{spelling}");
        }
        let other = format!("SHA256:{}", "A".repeat(43));
        assert!(!HostKey::parse(&other).unwrap().is(&key));
        for text in ["", "SHA256:", "SHA256:short", "MD5:00", "ssh-ed25519", "ssh-ed25519 AAAA"] {
            assert!(HostKey::parse(text).is_err(), "{text}");
        }
    }
}
