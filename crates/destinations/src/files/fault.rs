//! What goes wrong with objects of S3 while they are written.
//! Not here: what goes wrong while a source is read (`tapline_storage`).
//! Called by the bucket.

use std::error::Error as _;
use std::time::Duration;

use object_store::Error as StoreError;
use tapline_core::{Error, codes};
use tapline_storage::S3Source;

/// What was asked of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    List,
    Get,
    Put,
    Copy,
    Delete,
}

impl Action {
    fn doing(self) -> &'static str {
        match self {
            Self::List => "listing",
            Self::Get => "reading",
            Self::Put | Self::Copy => "writing",
            Self::Delete => "removing",
        }
    }

    /// The right of AWS that allows it.
    fn right(self) -> &'static str {
        match self {
            Self::List => "s3:ListBucket",
            Self::Get => "s3:GetObject",
            Self::Put => "s3:PutObject",
            Self::Copy => "s3:GetObject or s3:PutObject",
            Self::Delete => "s3:DeleteObject",
        }
    }
}

/// The error for what was being done with an object.
pub(super) fn fault(action: Action, source: &S3Source, shown: &str, error: StoreError) -> Error {
    let doing = format!("{} {shown}", action.doing());
    let words = words(&error);
    match error {
        // A listing that is refused comes without a kind of its own: AWS's code is what tells.
        _ if is_login(&words) => {
            Error::new(codes::DEST_002, format!("{doing}: S3 does not know the key, or its secret is another"))
                .hint("look at `auth` of the destination")
        }
        // Removals are answered for together, so that a right that is missing is no answer of its own there.
        error if is_denied(&error) || words.contains("AccessDenied") => {
            let (bucket, path) = (source.bucket(), &source.config().path);
            let error = Error::new(codes::DEST_003, format!("{doing}: access denied; {} is missing", action.right()));
            let error = match action {
                Action::List => error.hint(format!("allow {} on arn:aws:s3:::{bucket}", action.right())),
                _ => {
                    let below = if path.is_empty() { "*".to_owned() } else { format!("{path}/*") };
                    error.hint(format!("allow {} on arn:aws:s3:::{bucket}/{below}", action.right()))
                }
            };
            match action {
                Action::Get => {
                    error.hint("and s3:ListBucket on the bucket, without which absent objects are forbidden")
                }
                _ => error,
            }
        }
        StoreError::NotFound { .. } => {
            Error::new(codes::DEST_001, format!("{doing}: the bucket {} does not exist", source.bucket()))
                .hint("make the bucket, or look at `url` and `endpoint` of the destination")
        }
        StoreError::NotImplemented { .. } | StoreError::NotSupported { .. } => {
            Error::new(codes::DEST_006, format!("{doing}: the server does not know the request"))
                .because(error)
                .hint("the server must be compatible with S3, conditional writes included")
        }
        error => match carried(&error) {
            Some((code, message)) => Error::new(code, format!("{doing}: {message}")),
            None => Error::new(codes::DEST_006, doing)
                .because(error)
                .hint("look whether the server is reachable, and run the sync again")
                .retry_after(Duration::from_secs(5)),
        },
    }
}

/// An error of ours that came through the client: credentials that cannot be had.
fn carried(error: &StoreError) -> Option<(tapline_core::Code, String)> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(own) = error.downcast_ref::<Error>() {
            return Some((own.code(), own.full_message()));
        }
        cause = error.source();
    }
    None
}

fn words(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn is_denied(error: &StoreError) -> bool {
    matches!(error, StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. })
}

fn is_login(words: &str) -> bool {
    ["InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"].iter().any(|code| words.contains(code))
}
