//! The settings of an S3 source, in its own key names and in AI Squared's.
//! Not here: what is wrong with settings that can be read (`lint`), and the file with their positions (`core::yaml`).
//! Called by the project loader, by `schema` and by everything here that talks to S3.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use tapline_core::duration::HumanDuration;
use tapline_core::{Error, Secret, codes};
use tapline_csv::CsvOptions;

use crate::format::{FileFormat, FileType};
use crate::location::{S3Url, is_within, normalise, one_spelling};
use crate::pattern::FilePattern;

/// The settings of a source of type `s3`; the `type` key is taken out before they are read.
///
/// The schema and the accepted keys are those of [`S3SourceKeys`]; this is what they come down to.
#[derive(Debug, Clone)]
pub struct S3SourceConfig {
    /// The bucket's region; `None` when it is to be asked from the bucket.
    pub region: Option<String>,
    /// The bucket's name.
    pub bucket: String,
    /// Folder or file that the source is limited to, in its one spelling; empty for the whole bucket.
    pub path: String,
    /// Which files are read.
    pub file_type: FileType,
    /// Who asks.
    pub auth: Auth,
    /// Another server than AWS.
    pub endpoint: Option<String>,
    /// Another STS than AWS's.
    pub sts_endpoint: Option<String>,
    /// Whether the bucket stands in the path of an address; `None` for the endpoint's custom.
    pub path_style: Option<bool>,
    /// How CSV files are read.
    pub csv: CsvOptions,
}

impl S3SourceConfig {
    /// The settings that the AWS command line would use for a bucket: default credentials, and region and endpoint by
    /// `AWS_REGION` or `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_STS`.
    pub fn ambient(bucket: &str) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            region: variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")),
            bucket: bucket.to_owned(),
            path: String::new(),
            file_type: FileType::Any,
            auth: Auth::Default,
            endpoint: variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL")),
            sts_endpoint: variable("AWS_ENDPOINT_URL_STS"),
            path_style: None,
            csv: CsvOptions::default(),
        }
    }
}

impl S3SourceConfig {
    /// Where its files are: `s3://bucket/path`.
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.path)
    }

    /// The files that a URL in SQL means; `reader` is the format that a reader function asks for.
    ///
    /// Fails with `S3-009` outside of the source's bucket or path, and with `S3-011` when the reader's format is not the source's.
    pub fn pattern(&self, url: &str, reader: Option<FileFormat>) -> tapline_core::Result<FilePattern> {
        let S3Url { bucket, key } = S3Url::parse(url)?;
        if bucket != self.bucket {
            return Err(Error::new(
                codes::S3_009,
                format!("{url} is in bucket {bucket}, the source in bucket {}", self.bucket),
            )
            .hint("a model reads one source; add a source for the other bucket"));
        }
        for key in [&key, &one_spelling(&key)] {
            let pattern = FilePattern::new(url, key, reader, self.file_type)?.within(&self.path);
            if pattern.prefixes().iter().all(|prefix| is_within(&self.path, prefix)) {
                return Ok(pattern);
            }
        }
        Err(Error::new(codes::S3_009, format!("{url} is outside of the source, which is {}", self.url()))
            .hint("name files below the source's path, or widen `path`"))
    }

    /// Whether the bucket stands in the path of an address, as the settings or the endpoint's custom have it.
    pub(crate) fn is_path_style(&self) -> bool {
        // The certificate of *.s3.amazonaws.com does not cover a bucket with dots in its name.
        self.path_style.unwrap_or(self.endpoint.is_some() || self.bucket.contains('.'))
    }
}

impl<'de> Deserialize<'de> for S3SourceConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        S3SourceKeys::deserialize(deserializer)?.settle().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for S3SourceConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "S3Source".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        S3SourceKeys::json_schema(generator)
    }
}

/// Who asks S3.
#[derive(Debug, Clone, PartialEq)]
pub enum Auth {
    /// The access key of an IAM user.
    IamUser {
        /// Public half of the key.
        access_key_id: String,
        /// Secret half of the key.
        secret_access_key: Secret,
        /// For temporary keys.
        session_token: Option<Secret>,
    },
    /// An IAM role, assumed by another identity.
    IamRole {
        /// `arn:aws:iam::123456789012:role/name`.
        role_arn: String,
        /// What the role's trust policy asks for; `None` is found by `lint`.
        external_id: Option<String>,
        /// Who assumes the role: [`Auth::Default`] or [`Auth::IamUser`].
        base: Box<Auth>,
        /// How long credentials last before they are renewed; one hour when `None`.
        duration: Option<HumanDuration>,
    },
    /// AWS's default chain: environment, profile, web identity, ECS, IMDS.
    Default,
    /// Nobody: requests are not signed.
    Anonymous,
}

/// An S3 bucket, or a part of it, that holds CSV, Parquet or NDJSON files.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3SourceKeys {
    /// The bucket's region, such as `eu-central-1`; `auto`, the default, asks the bucket.
    region: Option<String>,
    /// The bucket's name.
    bucket: String,
    /// Folder or file that the source is limited to; leading, trailing and doubled slashes make no difference.
    path: Option<String>,
    /// The type of the files; `any`, the default, goes by their suffixes.
    file_type: Option<FileType>,
    /// Who asks S3; AWS's default chain without it.
    auth: Option<AuthKeys>,
    /// Address of an S3-compatible server, such as `http://127.0.0.1:9000`.
    endpoint: Option<String>,
    /// Address of the server that gives out credentials for roles; AWS's regional one without it.
    sts_endpoint: Option<String>,
    /// Whether addresses are `endpoint/bucket` rather than `bucket.endpoint`; true with `endpoint`, false without.
    path_style: Option<bool>,
    /// How CSV files are read; what is not set is detected.
    #[serde(default)]
    csv: CsvOptions,
    /// AI Squared's name for `auth.type`.
    auth_type: Option<FlatAuthType>,
    /// AI Squared's name for `auth.access_key_id`.
    access_id: Option<String>,
    /// AI Squared's name for `auth.secret_access_key`.
    secret_access: Option<Secret>,
    /// AI Squared's name for `auth.role_arn`.
    arn: Option<String>,
    /// AI Squared's place for `auth.external_id`.
    external_id: Option<String>,
}

/// Who asks S3, as it is written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthKeys {
    /// The kind of identity.
    r#type: AuthType,
    /// `iam_user`: public half of the access key.
    access_key_id: Option<String>,
    /// `iam_user`: secret half of the access key.
    secret_access_key: Option<Secret>,
    /// `iam_user`: for temporary keys; empty counts as absent.
    session_token: Option<Secret>,
    /// `iam_role`: the role to assume, `arn:aws:iam::123456789012:role/name`.
    role_arn: Option<String>,
    /// `iam_role`: the external id that the role's trust policy asks for.
    external_id: Option<String>,
    /// `iam_role`: who assumes the role, of type `default` (without it) or `iam_user`.
    base: Option<Box<AuthKeys>>,
    /// `iam_role`: how long credentials last before they are renewed, 15m to 12h; 1h without it.
    duration: Option<HumanDuration>,
}

/// The kinds of identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum AuthType {
    /// Access key of an IAM user.
    IamUser,
    /// IAM role with an external id.
    IamRole,
    /// AWS's default chain: environment, profile, web identity, ECS, IMDS.
    Default,
    /// No signature; for public buckets.
    Anonymous,
}

impl AuthType {
    fn name(self) -> &'static str {
        match self {
            Self::IamUser => "iam_user",
            Self::IamRole => "iam_role",
            Self::Default => "default",
            Self::Anonymous => "anonymous",
        }
    }
}

/// AI Squared's kinds of identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum FlatAuthType {
    /// Access key of an IAM user.
    User,
    /// IAM role with an external id.
    Role,
}

impl S3SourceKeys {
    /// Brings both spellings to one; the error is for the user.
    fn settle(self) -> Result<S3SourceConfig, String> {
        let flat_keys: Vec<&str> = [
            ("auth_type", self.auth_type.is_some()),
            ("access_id", filled(self.access_id.as_ref())),
            ("secret_access", self.secret_access.as_ref().is_some_and(|secret| !secret.is_empty())),
            ("arn", filled(self.arn.as_ref())),
            ("external_id", filled(self.external_id.as_ref())),
        ]
        .into_iter()
        .filter_map(|(name, present)| present.then_some(name))
        .collect();
        let auth = match (self.auth, flat_keys.as_slice()) {
            (Some(auth), []) => auth.settle()?,
            (Some(_), [first, ..]) => {
                return Err(format!("`auth` and `{first}` both say who asks S3; keep one of the two spellings"));
            }
            (None, []) => Auth::Default,
            (None, _) => FlatAuth {
                kind: self.auth_type,
                access_id: self.access_id,
                secret_access: self.secret_access,
                arn: self.arn,
                external_id: self.external_id,
            }
            .settle()?,
        };
        if self.bucket.is_empty() {
            return Err("`bucket` is empty".to_owned());
        }
        Ok(S3SourceConfig {
            region: present(self.region).filter(|region| region != "auto"),
            bucket: self.bucket,
            path: normalise(self.path.as_deref().unwrap_or_default()),
            file_type: self.file_type.unwrap_or_default(),
            auth,
            endpoint: present(self.endpoint).map(|endpoint| endpoint.trim_end_matches('/').to_owned()),
            sts_endpoint: present(self.sts_endpoint),
            path_style: self.path_style,
            csv: self.csv,
        })
    }
}

/// AI Squared's keys, of which there is at least one.
struct FlatAuth {
    kind: Option<FlatAuthType>,
    access_id: Option<String>,
    secret_access: Option<Secret>,
    arn: Option<String>,
    external_id: Option<String>,
}

impl FlatAuth {
    /// A form may leave the fields of the other kind filled; `auth_type` says which ones count.
    fn settle(self) -> Result<Auth, String> {
        let kind = match self.kind {
            Some(kind) => kind,
            None if filled(self.arn.as_ref()) => FlatAuthType::Role,
            None => FlatAuthType::User,
        };
        match kind {
            FlatAuthType::User => Ok(Auth::IamUser {
                access_key_id: needed(present(self.access_id), "access_id", "auth_type: user")?,
                secret_access_key: needed(present_secret(self.secret_access), "secret_access", "auth_type: user")?,
                session_token: None,
            }),
            FlatAuthType::Role => Ok(Auth::IamRole {
                role_arn: needed(present(self.arn), "arn", "auth_type: role")?,
                external_id: present(self.external_id),
                base: Box::new(Auth::Default),
                duration: None,
            }),
        }
    }
}

impl AuthKeys {
    /// What the keys come down to; the error is for the user.
    pub fn settle(self) -> Result<Auth, String> {
        let kind = self.r#type;
        let belongs = [
            ("access_key_id", self.access_key_id.is_some(), AuthType::IamUser),
            ("secret_access_key", self.secret_access_key.is_some(), AuthType::IamUser),
            ("session_token", self.session_token.is_some(), AuthType::IamUser),
            ("role_arn", self.role_arn.is_some(), AuthType::IamRole),
            ("external_id", self.external_id.is_some(), AuthType::IamRole),
            ("base", self.base.is_some(), AuthType::IamRole),
            ("duration", self.duration.is_some(), AuthType::IamRole),
        ];
        if let Some((key, _, owner)) = belongs.iter().find(|(_, present, owner)| *present && *owner != kind) {
            return Err(format!("`{key}` belongs to `type: {}`, not to `type: {}`", owner.name(), kind.name()));
        }
        match kind {
            AuthType::IamUser => Ok(Auth::IamUser {
                access_key_id: needed(present(self.access_key_id), "access_key_id", "type: iam_user")?,
                secret_access_key: needed(
                    present_secret(self.secret_access_key),
                    "secret_access_key",
                    "type: iam_user",
                )?,
                session_token: present_secret(self.session_token),
            }),
            AuthType::IamRole => {
                let base = self.base.map_or(Ok(Auth::Default), |base| base.settle())?;
                if matches!(base, Auth::IamRole { .. } | Auth::Anonymous) {
                    return Err("`base` must be of `type: default` or `type: iam_user`".to_owned());
                }
                Ok(Auth::IamRole {
                    role_arn: needed(present(self.role_arn), "role_arn", "type: iam_role")?,
                    external_id: present(self.external_id),
                    base: Box::new(base),
                    duration: self.duration,
                })
            }
            AuthType::Default => Ok(Auth::Default),
            AuthType::Anonymous => Ok(Auth::Anonymous),
        }
    }
}

fn filled(text: Option<&String>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}

/// An empty value counts as absent, so that `${VAR:-}` can leave it out.
fn present(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn present_secret(secret: Option<Secret>) -> Option<Secret> {
    secret.filter(|secret| !secret.is_empty())
}

fn needed<T>(value: Option<T>, key: &str, owner: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("`{owner}` needs `{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<S3SourceConfig, String> {
        let node = tapline_core::yaml::parse(text, "test.yaml").map_err(|error| error.to_string())?;
        tapline_core::yaml::from_node(&node).map_err(|error| error.to_string())
    }

    #[test]
    fn both_spellings_of_a_user_are_one() {
        let own = read(
            "bucket: lake\nauth: { type: iam_user, access_key_id: AKIA, secret_access_key: s, session_token: '' }",
        )
        .expect("own");
        let theirs = read("bucket: lake\nauth_type: user\naccess_id: AKIA\nsecret_access: s\narn: ''\nexternal_id: ''")
            .expect("theirs");
        assert_eq!(own.auth, theirs.auth);
        assert!(matches!(own.auth, Auth::IamUser { session_token: None, .. }));
    }

    #[test]
    fn both_spellings_of_a_role_are_one() {
        let arn = "arn:aws:iam::123456789012:role/r";
        let own = read(&format!("bucket: lake\nauth: {{ type: iam_role, role_arn: '{arn}', external_id: 123456 }}"))
            .expect("own");
        let theirs =
            read(&format!("bucket: lake\nauth_type: role\narn: {arn}\nexternal_id: 123456\naccess_id: left over"))
                .expect("theirs");
        assert_eq!(own.auth, theirs.auth);
        assert!(
            matches!(&own.auth, Auth::IamRole { external_id: Some(id), base, .. } if id == "123456" && **base == Auth::Default)
        );
    }

    #[test]
    fn what_is_left_out_has_a_meaning() {
        let config = read("bucket: lake\nregion: auto\npath: /a//b/\nendpoint: ''").expect("settings");
        assert_eq!((config.region, config.path.as_str(), config.endpoint), (None, "a/b", None));
        assert_eq!((config.file_type, config.auth), (FileType::Any, Auth::Default));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (text, word) in [
            ("bucket: lake\nauth: { type: default }\naccess_id: AKIA", "`access_id`"),
            ("bucket: lake\nauth: { type: default, role_arn: x }", "`type: iam_role`"),
            ("bucket: lake\nauth: { type: iam_user, access_key_id: AKIA }", "`secret_access_key`"),
            ("bucket: lake\nauth: { type: iam_role, role_arn: x, base: { type: anonymous } }", "`base`"),
            ("bucket: lake\naccess_id: AKIA", "`secret_access`"),
            ("bucket: lake\nbuckets: x", "buckets"),
            ("bucket: lake\nauth: { type: iam_user, acces_key_id: AKIA }", "acces_key_id"),
            ("bucket: ''", "`bucket`"),
            ("region: auto", "bucket"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn the_schema_knows_all_keys() {
        let schema = schemars::schema_for!(S3SourceConfig);
        let properties = schema.get("properties").and_then(|value| value.as_object()).expect("properties");
        for key in [
            "region",
            "bucket",
            "path",
            "file_type",
            "auth",
            "endpoint",
            "sts_endpoint",
            "path_style",
            "csv",
            "access_id",
            "arn",
        ] {
            assert!(properties.get(key).is_some_and(|property| property.get("description").is_some()), "{key}");
        }
    }
}
