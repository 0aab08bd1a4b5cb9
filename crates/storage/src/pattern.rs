//! Which files a URL in SQL means: one key, a folder, or a glob; and which of them fit the source.
//! Not here: matching wildcards (`glob`) and asking S3 (`listing`).
//! Called by `S3Source`, which makes patterns from URLs, and by its listing.

use tapline_core::{Error, Result, codes};

use crate::format::{FileFormat, FileType, Suffix, suffix};
use crate::glob::{Glob, is_glob};
use crate::location::{is_within, one_spelling};

/// The files that a query asks for, within one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePattern {
    /// The text as typed, for messages.
    text: String,
    key: String,
    pub(crate) kind: Kind,
    reader: Option<FileFormat>,
    file_type: FileType,
    /// The path that no file may be outside of.
    scope: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One key; the folder of that name where there is no such key.
    Named(String),
    /// Everything below a prefix that ends in a slash or is empty.
    Folder(String),
    Globs(Vec<Glob>),
}

/// What becomes of a file that a listing shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Read it as this format; `None` where neither name nor source tells.
    Read(Option<FileFormat>),
    /// Listed, but of another type or hidden.
    Skip,
    /// Not asked for.
    Outside,
}

impl FilePattern {
    /// A pattern over keys. `text` is how the user wrote it; `reader` the format that a reader function
    /// (`read_csv`, `read_parquet`) asks for.
    ///
    /// Fails with `S3-011` when the reader's format is not one that `file_type` admits.
    pub(crate) fn new(text: &str, key: &str, reader: Option<FileFormat>, file_type: FileType) -> Result<Self> {
        if let Some(reader) = reader.filter(|reader| !file_type.admits(*reader)) {
            return Err(type_error(&format!("{text} is read as {reader}"), file_type));
        }
        let kind = if key.is_empty() || key.ends_with('/') {
            Kind::Folder(key.to_owned())
        } else if is_glob(key) {
            let globs = Glob::parse(key).ok_or_else(|| {
                Error::new(codes::S3_007, format!("the alternatives in braces of {text} multiply beyond 1,000"))
                    .hint("use `*`, or fewer alternatives")
            })?;
            Kind::Globs(globs)
        } else {
            Kind::Named(key.to_owned())
        };
        Ok(Self { kind, reader, ..Self::literal(text, key, file_type) })
    }

    /// One key, or the folder of that name, whatever characters it has.
    pub(crate) fn literal(text: &str, key: &str, file_type: FileType) -> Self {
        let kind = if key.is_empty() { Kind::Folder(String::new()) } else { Kind::Named(key.to_owned()) };
        Self { text: text.to_owned(), key: key.to_owned(), kind, reader: None, file_type, scope: String::new() }
    }

    /// The same pattern, but never a file outside of a path.
    #[must_use]
    pub(crate) fn within(self, path: &str) -> Self {
        Self { scope: path.to_owned(), ..self }
    }

    /// The same pattern without doubled and leading slashes; `None` where it has none.
    pub(crate) fn respelled(&self) -> Option<Self> {
        let key = one_spelling(&self.key);
        let other = Self::new(&self.text, &key, self.reader, self.file_type).ok().filter(|_| key != self.key)?;
        Some(other.within(&self.scope))
    }

    /// The text as the user wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same pattern over the folder that its key may be.
    pub(crate) fn as_folder(&self, key: &str) -> Self {
        Self { kind: Kind::Folder(format!("{key}/")), ..self.clone() }
    }

    /// What has to be listed; every alternative of a glob has its own prefix.
    pub(crate) fn prefixes(&self) -> Vec<&str> {
        let mut prefixes: Vec<&str> = match &self.kind {
            Kind::Named(key) => vec![key],
            Kind::Folder(prefix) => vec![prefix],
            Kind::Globs(globs) => globs.iter().map(Glob::prefix).collect(),
        };
        prefixes.sort_unstable();
        prefixes.dedup_by(|longer, shorter| longer.starts_with(&**shorter));
        prefixes
    }

    /// Decides about a key that a listing shows.
    pub(crate) fn fit(&self, key: &str) -> Fit {
        if !is_within(&self.scope, key) {
            return Fit::Outside;
        }
        let (prefix, spelled_out) = match &self.kind {
            Kind::Named(own) if own == key => return Fit::Read(self.format(key)),
            Kind::Named(_) => return Fit::Outside,
            Kind::Folder(prefix) if key.starts_with(prefix.as_str()) => (prefix.as_str(), false),
            Kind::Folder(_) => return Fit::Outside,
            Kind::Globs(globs) => match globs.iter().find(|glob| glob.matches(key)) {
                Some(glob) => (glob.prefix(), self.spells_out_the_end_of(key)),
                None => return Fit::Outside,
            },
        };
        if is_hidden(prefix, key) {
            return Fit::Skip;
        }
        let fits = match suffix(key) {
            Suffix::None => true,
            Suffix::Known(format) => match self.reader {
                // A reader takes what its pattern spells out, as `read_csv('*.parquet')` would.
                Some(reader) => reader == format || spelled_out,
                None => self.file_type.admits(format),
            },
            Suffix::Unknown => spelled_out,
        };
        if fits { Fit::Read(self.format(key)) } else { Fit::Skip }
    }

    /// The format of a file: what the reader says, else the suffix, else the source.
    pub(crate) fn format(&self, key: &str) -> Option<FileFormat> {
        self.reader.or(FileFormat::from_name(key)).or(self.file_type.format())
    }

    /// Fails with `S3-011` when a file named exactly is of a type that the source does not admit.
    pub(crate) fn require_type(&self, format: FileFormat) -> Result<()> {
        if self.file_type.admits(format) {
            Ok(())
        } else {
            Err(type_error(&format!("{} is a {format} file", self.text), self.file_type))
        }
    }

    /// Whether the glob itself ends in the suffix of the key, as `*.dat` does.
    fn spells_out_the_end_of(&self, key: &str) -> bool {
        let end = |text: &str| text.rsplit(['.', '/']).next().map(str::to_owned);
        end(&self.text).is_some_and(|own| !is_glob(&own) && end(key).is_some_and(|other| own == other))
    }
}

/// Whether a segment that the pattern does not spell out begins with `_` or `.`, as scratch files of Spark and Hive do.
fn is_hidden(prefix: &str, key: &str) -> bool {
    let mut start = 0;
    for segment in key.split('/') {
        if start >= prefix.len() && segment.starts_with(['_', '.']) {
            return true;
        }
        start += segment.len() + 1;
    }
    false
}

fn type_error(what: &str, file_type: FileType) -> Error {
    Error::new(codes::S3_011, format!("{what}, but the source has file_type: {file_type}"))
        .hint("set `file_type: any` on the source to read files of every type")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(pattern: &str, file_type: FileType, key: &str) -> Fit {
        FilePattern::new(pattern, pattern, None, file_type).expect(pattern).fit(key)
    }

    #[test]
    fn folders_take_what_fits() {
        use FileFormat::{Csv, Parquet};
        for (file_type, key, expected) in [
            (FileType::Csv, "a/b/x.csv", Fit::Read(Some(Csv))),
            (FileType::Csv, "a/part-0", Fit::Read(Some(Csv))),
            (FileType::Csv, "a/x.parquet", Fit::Skip),
            (FileType::Any, "a/x.parquet", Fit::Read(Some(Parquet))),
            (FileType::Any, "a/part-0", Fit::Read(None)),
            (FileType::Any, "a/x.pdf", Fit::Skip),
            (FileType::Csv, "a/_SUCCESS", Fit::Skip),
            (FileType::Csv, "a/_tmp/x.csv", Fit::Skip),
            (FileType::Csv, "a/.x.csv.crc", Fit::Skip),
            (FileType::Csv, "b/x.csv", Fit::Outside),
        ] {
            assert_eq!(fit("a/", file_type, key), expected, "{file_type} {key}");
        }
    }

    #[test]
    fn globs_take_what_they_spell_out() {
        use FileFormat::{Csv, Parquet};
        for (pattern, file_type, key, expected) in [
            ("a/*.dat", FileType::Csv, "a/x.dat", Fit::Read(Some(Csv))),
            ("a/*", FileType::Csv, "a/x.dat", Fit::Skip),
            ("a/*.parquet", FileType::Csv, "a/x.parquet", Fit::Skip),
            ("a/*.parquet", FileType::Any, "a/x.parquet", Fit::Read(Some(Parquet))),
            ("a/_x*.csv", FileType::Csv, "a/_x1.csv", Fit::Read(Some(Csv))),
            ("_a/*.csv", FileType::Csv, "_a/x.csv", Fit::Read(Some(Csv))),
            ("**/*.csv", FileType::Csv, "_a/x.csv", Fit::Skip),
            ("a/*.csv", FileType::Csv, "a/b/x.csv", Fit::Outside),
        ] {
            assert_eq!(fit(pattern, file_type, key), expected, "{pattern} {file_type} {key}");
        }
    }

    #[test]
    fn readers_decide_first() {
        let pattern = FilePattern::new("a/*", "a/*", Some(FileFormat::Csv), FileType::Any).expect("a pattern");
        assert_eq!(pattern.fit("a/part-0"), Fit::Read(Some(FileFormat::Csv)));
        assert_eq!(pattern.fit("a/x.parquet"), Fit::Skip);
        let error = FilePattern::new("x", "x", Some(FileFormat::Csv), FileType::Parquet).expect_err("two types");
        assert_eq!(error.code(), codes::S3_011);
        assert!(error.message().contains("csv") && error.message().contains("parquet"), "{error}");
        assert!(error.hints()[0].contains("any"));
    }

    #[test]
    fn prefixes_do_not_overlap() {
        let pattern = FilePattern::new("", "{a,ab,b}/x*", None, FileType::Any).expect("a pattern");
        assert_eq!(pattern.prefixes(), ["a/x", "ab/x", "b/x"]);
        let nested = FilePattern::new("", "{a/*,a/b*}", None, FileType::Any).expect("a pattern");
        assert_eq!(nested.prefixes(), ["a/"]);
    }
}
