//! Files in a folder or in S3: the rows of a stream as Parquet, CSV or NDJSON.
//! Not here: sets of files wherever they stand (`fileset`).
//! Called through [`tapline_core::Connector`].

mod bucket;
mod config;
mod fault;
mod folder;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tapline_core::{Capabilities, ConnectContext, Connector, Destination, Maturity, Result};

use self::bucket::Bucket;
pub use self::config::Config;
use self::folder::Folder;
use crate::fileset::{CAPABILITIES, FileSet, Place};

/// Bytes of a file in S3 at most, which is what one request can copy.
const LARGEST_COPY: u64 = 5_000_000_000;

/// The kind `files`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Files;

#[async_trait]
impl Connector for Files {
    const NAME: &'static str = "files";
    const SUMMARY: &'static str = "Parquet, CSV or NDJSON files in a folder or in S3";
    const MATURITY: Maturity = Maturity::Alpha;
    const TESTED_AGAINST: &'static str = "local folders, and the S3 endpoint of the tests";

    type Config = Config;

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn lint(&self, config: &Config) -> Vec<String> {
        config.lint()
    }

    fn local_paths(&self, config: &Config) -> Vec<PathBuf> {
        config.folder().map(PathBuf::from).into_iter().collect()
    }

    fn connect(&self, config: Config, context: &ConnectContext) -> Result<Arc<dyn Destination>> {
        let mut layout = config.layout().settle();
        let place: Arc<dyn Place> = match config.folder() {
            Some(folder) => {
                let path = context.folder.join(folder);
                let path: PathBuf = std::path::absolute(&path).unwrap_or(path);
                Arc::new(Folder::new(path))
            }
            None => {
                layout.max_file_size = Some(layout.max_file_size.unwrap_or(LARGEST_COPY).min(LARGEST_COPY));
                Arc::new(Bucket::new(config.source()?)?)
            }
        };
        Ok(Arc::new(FileSet::new(place, layout)))
    }
}
