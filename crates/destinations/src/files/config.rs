//! The settings of a destination for files.
//! Not here: how files look (`fileset`), and how S3 is reached (`tapline_storage`).
//! Called by the connector, and by everything that generates forms and pages from settings.

use schemars::JsonSchema;
use serde::Deserialize;
use tapline_core::{Error, Result, codes};
use tapline_storage::{Auth, AuthKeys, FileType, S3SourceConfig, S3Url};

use crate::fileset::{Compression, Content, CsvSettings, Format, LayoutKeys, Size};

/// Files: the rows of each stream as Parquet, CSV or NDJSON, in a folder or in S3, published in one step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A folder, relative to the project file's, or `s3://bucket/prefix`. The streams stand below it, and in `_tapline`
    /// what Tapline keeps for itself: `_tapline/STREAM/manifest.json` names the files of the last publication.
    pub url: String,
    /// `parquet`, the default, `csv` or `ndjson`.
    #[serde(default)]
    pub format: Format,
    /// Parquet: `zstd`, the default, `snappy` or `none`. CSV and NDJSON: `none`, the default, `gzip` or `zstd`.
    pub compression: Option<Compression>,
    /// How CSV is written.
    pub csv: Option<CsvSettings>,
    /// CSV: puts an apostrophe before texts that spreadsheets take for formulas, those that begin with `=`, `+`, `-`, `@`,
    /// a tab or a carriage return. This changes the texts; false without it.
    #[serde(default)]
    pub formula_guard: bool,
    /// `all`, the default: after each run the files hold every row. `diff`: each run writes files of the rows that it added,
    /// changed and removed.
    #[serde(default)]
    pub content: Content,
    /// What the files are called: a template of `{stream}`, `{sync}`, `{date}` and `{generation}`, the run's number;
    /// `{stream}/{generation}/rows` without it. A number and the suffix of the format are added. With a name that does not
    /// change from run to run, each file is replaced in one step.
    pub name: Option<String>,
    /// Rows beyond this size go to a further file: `64MB`, `1GiB`; 5 GB in S3 and no limit elsewhere without it.
    pub max_file_size: Option<Size>,
    /// S3: who asks; AWS's default chain without it.
    pub auth: Option<AuthKeys>,
    /// S3: the bucket's region, such as `eu-central-1`; `auto`, the default, asks the bucket.
    pub region: Option<String>,
    /// S3: address of an S3-compatible server, such as `http://127.0.0.1:9000`. It must know conditional writes.
    pub endpoint: Option<String>,
    /// S3: address of the server that gives out credentials for roles; AWS's regional one without it.
    pub sts_endpoint: Option<String>,
    /// S3: whether addresses are `endpoint/bucket` rather than `bucket.endpoint`; true with `endpoint`, false without.
    pub path_style: Option<bool>,
}

impl Config {
    /// What is wrong with the settings, one line per problem.
    pub(super) fn lint(&self) -> Vec<String> {
        let mut problems = self.layout().lint();
        if S3Url::is_s3(&self.url) {
            match self.source() {
                Ok(source) if matches!(source.auth, Auth::Anonymous) => {
                    problems.push("auth: nobody can write to S3 without signing".to_owned());
                }
                Ok(source) => problems.extend(source.lint()),
                Err(error) => problems.push(error.message().to_owned()),
            }
            return problems;
        }
        let only_s3 = [
            ("auth", self.auth.is_some()),
            ("region", self.region.is_some()),
            ("endpoint", self.endpoint.is_some()),
            ("sts_endpoint", self.sts_endpoint.is_some()),
            ("path_style", self.path_style.is_some()),
        ];
        let set = only_s3.into_iter().filter(|(_, set)| *set);
        problems
            .extend(set.map(|(key, _)| format!("{key}: it belongs to a url of S3, and {:?} is a folder", self.url)));
        match self.url.as_str() {
            "" => problems.push("url: name a folder, or s3://bucket/prefix".to_owned()),
            url if url.contains('\0') => problems.push("url: a NUL character cannot be part of a path".to_owned()),
            url if url.contains("://") && !url.starts_with("file://") => {
                problems.push("url: it must be a folder or begin with s3://".to_owned());
            }
            _ => {}
        }
        problems
    }

    /// The folder on this machine; `None` where the files stand in S3.
    pub(super) fn folder(&self) -> Option<&str> {
        (!S3Url::is_s3(&self.url)).then(|| self.url.strip_prefix("file://").unwrap_or(&self.url))
    }

    /// How the files look.
    pub(super) fn layout(&self) -> LayoutKeys<'_> {
        LayoutKeys {
            format: self.format,
            compression: self.compression,
            csv: self.csv.as_ref(),
            formula_guard: self.formula_guard,
            content: self.content,
            name: self.name.as_deref(),
            max_file_size: self.max_file_size,
        }
    }

    /// The bucket as a source would be.
    pub(super) fn source(&self) -> Result<S3SourceConfig> {
        let S3Url { bucket, key } = S3Url::parse(&self.url)?;
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let auth = match self.auth.clone().map(AuthKeys::settle) {
            None => Auth::Default,
            Some(Ok(auth)) => auth,
            Some(Err(problem)) => return Err(Error::new(codes::CONF_005, format!("auth: {problem}"))),
        };
        Ok(S3SourceConfig {
            region: filled(&self.region).filter(|region| region != "auto"),
            path: key.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"),
            file_type: FileType::Any,
            auth,
            endpoint: filled(&self.endpoint).map(|endpoint| endpoint.trim_end_matches('/').to_owned()),
            sts_endpoint: filled(&self.sts_endpoint),
            path_style: self.path_style,
            ..S3SourceConfig::ambient(&bucket)
        })
    }
}
