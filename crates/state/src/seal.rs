//! Seals what must not lie in a state store in clear: keys and payloads of rejected rows, and secrets of definitions.
//! Not here: where sealed bytes are kept.
//! Called by every store of this crate.
//!
//! A sealed value is a version byte (1), a random nonce of 24 bytes, and XChaCha20-Poly1305 ciphertext with its tag
//! ([draft-irtf-cfrg-xchacha](https://datatracker.ietf.org/doc/html/draft-irtf-cfrg-xchacha)).

use std::io::Write;
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, Generate, Key, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use tapline_core::{Error, Result, codes};
use tokio::sync::OnceCell;

/// The environment variable that holds the key of a project; its value is any text of high entropy.
const KEY_VARIABLE: &str = "TAPLINE_SECRET_KEY";

/// What is sealed in every store that has another key to fear, to find out whether the key is the same.
pub(crate) const CHECK_WORD: &[u8] = b"tapline";
/// What the word is sealed for.
pub(crate) const CHECK_CONTEXT: &str = "meta";

const VERSION: u8 = 1;
const NONCE_LENGTH: usize = 24;

/// Seals and opens. The key is read, or made, when it is first needed.
pub(crate) struct Sealer {
    key_file: Option<PathBuf>,
    cipher: OnceCell<XChaCha20Poly1305>,
}

/// Whether the key comes from [`KEY_VARIABLE`].
pub(crate) fn is_in_environment() -> bool {
    std::env::var(KEY_VARIABLE).is_ok_and(|text| !text.trim().is_empty())
}

impl Sealer {
    /// A sealer with the key of [`KEY_VARIABLE`], else of `key_file`, which is made with mode 0600 where it is absent.
    pub(crate) fn new(key_file: PathBuf) -> Self {
        Self { key_file: Some(key_file), cipher: OnceCell::new() }
    }

    /// A sealer with the key of [`KEY_VARIABLE`] alone, for a store that several machines share.
    ///
    /// # Errors
    /// `STATE-001` where the variable is not set.
    pub(crate) fn of_environment() -> Result<Self> {
        if is_in_environment() {
            return Ok(Self { key_file: None, cipher: OnceCell::new() });
        }
        Err(Error::new(codes::STATE_001, format!("opening the state: {KEY_VARIABLE} is not set"))
            .hint("a state in PostgreSQL is shared, and so is the key that seals secrets and rejected rows in it")
            .hint(format!("make one, and give it to every machine: export {KEY_VARIABLE}=$(openssl rand -hex 32)")))
    }

    /// A sealer with the key that `text` is.
    pub(crate) fn of_text(text: &str) -> Self {
        Self { key_file: None, cipher: OnceCell::new_with(Some(XChaCha20Poly1305::new(&derived(text)))) }
    }

    /// A sealer with a new key, in a file beside the key file; [`settle_next_key`](Self::settle_next_key) makes it count.
    pub(crate) fn make_next_key(&self) -> Result<Self> {
        let Some(file) = &self.key_file else { return Err(Error::internal("a key without a file cannot be replaced")) };
        let next = next_to(file);
        read_or_make(&next).map(|text| Self::of_text(&text)).map_err(|error| unusable(&next, error))
    }

    /// A sealer with the key that was to replace the present one, where its file is there.
    pub(crate) fn next_key(&self) -> Result<Option<Self>> {
        let Some(file) = &self.key_file else { return Ok(None) };
        let next = next_to(file);
        match std::fs::read_to_string(&next) {
            Ok(text) => Ok(Some(Self::of_text(&text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(&next, error)),
        }
    }

    /// Puts the next key in the place of the present one, or forgets it.
    pub(crate) fn settle_next_key(&self, counts: bool) -> Result<()> {
        let Some(file) = &self.key_file else { return Ok(()) };
        let next = next_to(file);
        let settled = if counts { std::fs::rename(&next, file) } else { std::fs::remove_file(&next) };
        settled
            .and_then(|()| std::fs::File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all())
            .map_err(|error| unusable(&next, error))
    }

    /// Seals `clear`. Only [`open`](Self::open) with the same `context` gives it back.
    pub(crate) async fn seal(&self, context: &str, clear: &[u8]) -> Result<Vec<u8>> {
        let nonce = XNonce::generate();
        let sealed = self
            .cipher()
            .await?
            .encrypt(&nonce, Payload { msg: clear, aad: context.as_bytes() })
            .map_err(|_| Error::internal("sealing failed"))?;
        Ok([&[VERSION], nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`seal`](Self::seal) made.
    pub(crate) async fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let damaged = || {
            let way = match &self.key_file {
                Some(file) => format!("set {KEY_VARIABLE} as it was, or put {} back", file.display()),
                None => format!("set {KEY_VARIABLE} as it was when the state was made"),
            };
            Error::new(codes::STATE_001, "opening what was sealed: it was sealed with another key, or is damaged").hint(
                format!(
                    "{way}; without it `tapline reset SYNC` forgets sealed rows, and secrets have to be entered again"
                ),
            )
        };
        let Some((&[VERSION], rest)) = sealed.split_first_chunk() else { return Err(damaged()) };
        let Some((nonce, message)) = rest.split_first_chunk::<NONCE_LENGTH>() else { return Err(damaged()) };
        self.cipher()
            .await?
            .decrypt(&XNonce::from(*nonce), Payload { msg: message, aad: context.as_bytes() })
            .map_err(|_| damaged())
    }

    async fn cipher(&self) -> Result<&XChaCha20Poly1305> {
        self.cipher.get_or_try_init(|| async { Ok(XChaCha20Poly1305::new(&self.key()?)) }).await
    }

    fn key(&self) -> Result<Key<XChaCha20Poly1305>> {
        let text = match (std::env::var(KEY_VARIABLE), &self.key_file) {
            (Ok(text), _) if !text.is_empty() => text,
            (_, Some(file)) => read_or_make(file).map_err(|error| unusable(file, error))?,
            (_, None) => return Err(Error::internal("the key of the state is gone")),
        };
        Ok(derived(&text))
    }
}

/// The key that a text stands for.
fn derived(text: &str) -> Key<XChaCha20Poly1305> {
    let digest = Sha256::new().chain_update(b"tapline state key 1\0").chain_update(text.trim()).finalize();
    <[u8; 32]>::from(digest).into()
}

/// Where the key lies that is to replace the one in `file`.
fn next_to(file: &Path) -> PathBuf {
    file.with_extension("key.next")
}

fn unusable(file: &Path, error: std::io::Error) -> Error {
    Error::new(codes::STATE_001, format!("reading the key file {}", file.display()))
        .because(error)
        .hint(format!("make the file readable, or set {KEY_VARIABLE}"))
}

/// Reads the key file; where there is none, makes one under another name first, so that nobody reads half a key.
fn read_or_make(path: &Path) -> std::io::Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        text => return text,
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let random: [u8; 32] = Key::<XChaCha20Poly1305>::generate().into();
    let mut text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    text.push('\n');
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    if let Err(error) = file.persist_noclobber(path)
        && error.error.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(error.error);
    }
    std::fs::File::open(folder)?.sync_all()?;
    std::fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_same_key_and_context_open() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Sealer::new(folder.path().join("one.key"));
        let sealed = sealer.seal("customers", b"secret").await.unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(sealer.open("customers", &sealed).await.unwrap(), b"secret");
        assert!(sealer.open("orders", &sealed).await.is_err());

        let again = Sealer::new(folder.path().join("one.key"));
        assert_eq!(again.open("customers", &sealed).await.unwrap(), b"secret");
        let other = Sealer::new(folder.path().join("other.key"));
        let error = other.open("customers", &sealed).await.unwrap_err();
        assert_eq!(error.code(), codes::STATE_001);
        assert!(error.hints()[0].contains(KEY_VARIABLE));
    }

    #[tokio::test]
    async fn damaged_bytes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Sealer::new(folder.path().join("key"));
        let sealed = sealer.seal("customers", b"secret").await.unwrap();
        for index in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[index] ^= 1;
            assert!(sealer.open("customers", &damaged).await.is_err(), "byte {index}");
            assert!(sealer.open("customers", &sealed[..index]).await.is_err(), "cut at {index}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn the_key_file_belongs_to_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        Sealer::new(path.clone()).seal("customers", b"x").await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
