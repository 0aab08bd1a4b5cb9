//! The steps of testing a source, from its host name to the first bytes of a file.
//! Not here: the words for what fails (`failure`).
//! Called by `tapline check` and by the API.

use bytes::Bytes;
use tapline_core::{CheckStep, CheckSteps, Error, Result, codes};
use tapline_csv::{Compression, Sample, detect};
use url::Url;

use crate::client::{ListPage, Listed};
use crate::failure::{Action, Failure, FailureKind, Network, Stage};
use crate::format::FileFormat;
use crate::manifest::{FileEntry, is_folder_marker};
use crate::pattern::{FilePattern, Fit};
use crate::source::S3Source;

/// Enough to recognise a format and the dialect of a CSV file.
const SAMPLE_BYTES: u64 = 256 * 1024;

/// A Parquet file begins and ends with these, see <https://parquet.apache.org/docs/file-format/>.
const PARQUET_MAGIC: &[u8] = b"PAR1";

impl S3Source {
    /// Tries the source step by step; the first step that fails is the last. At most two list requests, whatever the size
    /// of the bucket.
    pub async fn check(&self) -> Vec<CheckStep> {
        let mut steps = CheckSteps::default();
        self.take_steps(&mut steps).await;
        steps.finish()
    }

    async fn take_steps(&self, steps: &mut CheckSteps) -> Option<()> {
        steps.take("resolve", self.resolve()).await?;
        steps.take("connect", self.reach()).await?;
        steps.take("credentials", self.identify()).await?;
        let file = steps.take("list", self.find_one()).await??;
        let sample = steps.take("read", self.read_sample(&file)).await?;
        steps.take("parse", self.parse_sample(&file, &sample)).await
    }

    async fn resolve(&self) -> Result<((), String)> {
        let target = self.client().target(Action::HeadBucket, "");
        let server = target.server.clone();
        let url = Url::parse(&server).map_err(|_| Error::internal(format!("{server} is not a URL")))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if behind_proxy(&url) {
            return Ok(((), format!("{host} is left to the proxy")));
        }
        match tokio::net::lookup_host((host.as_str(), url.port_or_known_default().unwrap_or(443))).await {
            Ok(addresses) => Ok(((), format!("addresses of {host}: {}", addresses.count()))),
            Err(error) => {
                let network = Network { stage: Stage::Resolve, detail: error.to_string() };
                Err(Failure { target, kind: FailureKind::Network(network) }.into_error())
            }
        }
    }

    /// Connects. That a region is wrong is left for the first signed request to say: some servers take any.
    async fn reach(&self) -> Result<((), String)> {
        let named = self.client().bucket_region().await.map_err(Failure::into_error)?;
        let server = self.client().target(Action::HeadBucket, "").server;
        match named {
            Some(region) => Ok(((), format!("{server} answers; the bucket is in region {region}"))),
            None => Ok(((), format!("{server} answers"))),
        }
    }

    async fn identify(&self) -> Result<((), String)> {
        let credentials = self.client().credentials();
        let Some(credential) = credentials.get().await? else {
            return Ok(((), "anonymous: requests are not signed".to_owned()));
        };
        let found = match credentials.identity().await {
            Some(arn) => format!("we are {arn}"),
            None => format!("access key {}", shortened(&credential.key_id)),
        };
        Ok(((), found))
    }

    /// Finds a file to read; `None` when none of the names seen fits but there are more than were looked at.
    async fn find_one(&self) -> Result<(Option<FileEntry>, String)> {
        let path = &self.config().path;
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let first = self.page(&prefix, None).await?;
        let pattern = self.everything();
        let (pattern, second) = match (&first.next, first.objects.is_empty()) {
            (Some(next), _) => (folder_pattern(&pattern, path), Some(self.page(&prefix, Some(next)).await?)),
            // There may be a file of that very name.
            (None, true) if !path.is_empty() => (pattern, Some(self.page(path, None).await?)),
            (None, _) => (folder_pattern(&pattern, path), None),
        };
        let more = second.as_ref().unwrap_or(&first).next.is_some();
        let mut names = 0;
        let mut fitting = Vec::new();
        for listed in first.objects.iter().chain(second.iter().flat_map(|page| &page.objects)) {
            if is_folder_marker(listed) {
                continue;
            }
            match pattern.fit(&listed.key) {
                Fit::Read(format) => fitting.push((listed, format)),
                Fit::Skip => {}
                Fit::Outside => continue,
            }
            names += 1;
        }
        let at_least = if more { "at least " } else { "" };
        let found = format!("names in {}: {at_least}{names}; to be read: {}", self.url(), fitting.len());
        match fitting.iter().find(|(listed, _)| listed.size > 0).or(fitting.first()) {
            Some((listed, format)) => {
                let Listed { key, size, etag, last_modified } = (*listed).clone();
                let format = format.unwrap_or(FileFormat::Csv);
                pattern.require_type(format)?;
                Ok((Some(FileEntry { key, size, etag, last_modified, format }), found))
            }
            None if more => Ok((None, format!("{found}; none was tried"))),
            None if names == 0 => Err(Error::new(codes::S3_007, format!("there is nothing in {}", self.url()))
                .hint("check `path`; keys are case-sensitive, and a path begins at the bucket")),
            None => Err(Error::new(
                codes::S3_011,
                format!("none of the {names} files in {} is of file_type: {}", self.url(), self.config().file_type),
            )
            .hint("set `file_type: any` on the source to read files of every type")),
        }
    }

    async fn page(&self, prefix: &str, next: Option<&str>) -> Result<ListPage> {
        self.client().list(prefix, false, None, next).await.map_err(Failure::into_error)
    }

    async fn read_sample(&self, file: &FileEntry) -> Result<(Bytes, String)> {
        let bytes = self.read_range(file, 0..SAMPLE_BYTES).await?;
        let found = format!("{} of {} bytes of {}", bytes.len(), file.size, file.url(self.bucket()));
        Ok((bytes, found))
    }

    async fn parse_sample(&self, file: &FileEntry, sample: &Bytes) -> Result<((), String)> {
        let url = file.url(self.bucket());
        if sample.is_empty() {
            return Ok(((), format!("{url} is empty")));
        }
        match file.format {
            FileFormat::Parquet => {
                let end =
                    self.read_range(file, file.size.saturating_sub(PARQUET_MAGIC.len() as u64)..file.size).await?;
                if !sample.starts_with(PARQUET_MAGIC) || end != PARQUET_MAGIC {
                    return Err(Error::new(
                        codes::FILE_001,
                        format!("{url} is not a Parquet file: it does not begin and end with PAR1"),
                    )
                    .hint("was it cut off while it was written, or is it of another type than its name says?"));
                }
                Ok(((), format!("{url} is a Parquet file")))
            }
            _ if sample.starts_with(PARQUET_MAGIC) => {
                Err(Error::new(codes::S3_011, format!("{url} holds Parquet, not {}", file.format))
                    .hint("set `file_type: parquet`, or `any` with names that end in .parquet"))
            }
            FileFormat::Csv => self.parse_csv(&url, file, sample),
            FileFormat::Ndjson => parse_ndjson(&url, file, sample),
        }
    }

    fn parse_csv(&self, url: &str, file: &FileEntry, sample: &Bytes) -> Result<((), String)> {
        let cannot =
            |error: tapline_csv::CsvError| Error::new(codes::FILE_002, format!("reading {url}")).because(error);
        let options = &self.config().csv;
        let text = Compression::resolve(options, &file.key, sample)
            .decompress_prefix(sample, SAMPLE_BYTES as usize)
            .map_err(cannot)?;
        let complete = sample.len() as u64 == file.size && (text.len() as u64) < SAMPLE_BYTES;
        let sample = Sample { name: url, bytes: &text, complete };
        let format = detect(&[sample], options).map_err(cannot)?.format;
        Ok((
            (),
            format!(
                "{url} is a CSV file of {} columns, delimiter {:?}",
                format.columns.len(),
                format.dialect.delimiter
            ),
        ))
    }
}

fn parse_ndjson(url: &str, file: &FileEntry, sample: &Bytes) -> Result<((), String)> {
    let text = Compression::detect(&file.key, sample)
        .decompress_prefix(sample, SAMPLE_BYTES as usize)
        .map_err(|error| Error::new(codes::FILE_005, format!("reading {url}")).because(error))?;
    let line = text.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    // A first line longer than the sample cannot be judged.
    let whole = line.len() < text.len();
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line) {
        Ok(object) => Ok(((), format!("{url} has JSON objects, the first of {} members", object.len()))),
        Err(_) if !whole => Ok(((), format!("{url} has a first line of more than {SAMPLE_BYTES} bytes"))),
        Err(_) => Err(Error::new(codes::FILE_005, format!("{url} does not begin with a JSON object on one line"))),
    }
}

/// The source's files as those of a folder, which its path mostly is.
fn folder_pattern(pattern: &FilePattern, path: &str) -> FilePattern {
    if path.is_empty() { pattern.clone() } else { pattern.as_folder(path) }
}

fn behind_proxy(url: &Url) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let by_scheme = if url.scheme() == "https" { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    by_scheme.iter().chain(&["ALL_PROXY", "all_proxy"]).any(|name| set(name))
}

/// Enough of an access key id to recognise it.
fn shortened(id: &str) -> String {
    let characters: Vec<char> = id.chars().collect();
    match characters.as_slice() {
        [head @ .., a, b, c, d] if head.len() > 4 => {
            let head: String = head[..4].iter().collect();
            format!("{head}…{a}{b}{c}{d}")
        }
        _ => "…".to_owned(),
    }
}
