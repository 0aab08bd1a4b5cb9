//! Random texts that open doors: how they are made, kept as hashes, and compared.
//! Not here: passwords, which people choose (`password`).
//! Called by `auth`, the route of tokens, and `tapline token`.
//!
//! The secret half has 256 random bits, so that a fast hash keeps it: there is nothing to guess.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const TOKEN_PREFIX: &str = "tok_";

/// A new credential, whose secret half nobody can tell from what is kept of it.
#[derive(Clone)]
pub struct Minted {
    /// The half by which it is found.
    pub id: String,
    /// The hash of the other half, to be kept.
    pub hash: String,
    secret: String,
}

impl Minted {
    /// A new one.
    pub fn new() -> Self {
        let secret = random();
        Self { id: ulid::Ulid::generate().to_string().to_lowercase(), hash: hash(&secret), secret }
    }

    /// The credential as a program sends it.
    pub fn token(&self) -> String {
        format!("{TOKEN_PREFIX}{}_{}", self.id, self.secret)
    }

    /// The credential as a browser keeps it.
    pub(crate) fn cookie(&self) -> String {
        format!("{}.{}", self.id, self.secret)
    }
}

impl Default for Minted {
    fn default() -> Self {
        Self::new()
    }
}

/// A text of 256 random bits.
pub(crate) fn random() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// The two halves of a token.
pub(crate) fn parts_of_token(token: &str) -> Option<(&str, &str)> {
    token.strip_prefix(TOKEN_PREFIX)?.split_once('_')
}

/// What is kept of a secret.
pub(crate) fn hash(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether `secret` is the one that `kept` is the hash of.
pub(crate) fn fits(secret: &str, kept: &str) -> bool {
    hash(secret).as_bytes().ct_eq(kept.as_bytes()).into()
}

/// Whether two secrets are equal, in a time that tells nothing of where they differ.
pub(crate) fn equal(one: &str, other: &str) -> bool {
    Sha256::digest(one.as_bytes()).as_slice().ct_eq(Sha256::digest(other.as_bytes()).as_slice()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_with_its_own_hash_alone() {
        let (one, other) = (Minted::new(), Minted::new());
        let token = one.token();
        let (id, secret) = parts_of_token(&token).unwrap();
        assert_eq!(id, one.id);
        assert!(fits(secret, &one.hash));
        assert!(!fits(secret, &other.hash));
        assert!(!one.hash.contains(secret));
        assert_eq!(parts_of_token("tok_"), None);
        assert_eq!(parts_of_token("key_a_b"), None);
    }

    #[test]
    fn secrets_are_equal_as_a_whole() {
        assert!(equal("hunter2", "hunter2"));
        for other in ["", "hunter", "hunter22", "Hunter2"] {
            assert!(!equal("hunter2", other));
        }
    }
}
