//! Files that commands write for the user: they appear when they are complete, or not at all.
//! Not here: files of the state and of destinations.
//! Called by `query`, `plan`, `init` and `demo`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tapline_core::{Error, codes};
use tempfile::NamedTempFile;

/// A file in the making.
pub struct OutputFile {
    path: PathBuf,
    writer: Writer,
}

enum Writer {
    /// Renamed to its place at the end.
    Pending(BufWriter<NamedTempFile>),
    /// A device or a pipe, which must not be replaced by a file.
    Direct(BufWriter<File>),
}

impl OutputFile {
    /// Begins to write what will be `path`; a file that is there stays until [`finish`](Self::finish).
    pub fn create(path: &Path) -> Result<Self, Error> {
        // Of a symbolic link the target is replaced, as by a shell's `>`.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let special = fs::metadata(&path).is_ok_and(|found| !found.is_file());
        let writer = if special {
            File::options().write(true).open(&path).map(|file| Writer::Direct(BufWriter::new(file)))
        } else {
            temporary(&path).map(|file| Writer::Pending(BufWriter::new(file)))
        };
        match writer {
            Ok(writer) => Ok(Self { path, writer }),
            Err(error) => Err(cannot_write(&path).because(error)),
        }
    }

    /// Puts the file in its place.
    pub fn finish(self) -> Result<(), Error> {
        let done = match self.writer {
            Writer::Pending(writer) => writer
                .into_inner()
                .map_err(io::IntoInnerError::into_error)
                .and_then(|file| file.persist(&self.path).map(drop).map_err(|error| error.error)),
            Writer::Direct(mut writer) => writer.flush(),
        };
        done.map_err(|error| cannot_write(&self.path).because(error))
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.writer {
            Writer::Pending(writer) => writer.write(bytes),
            Writer::Direct(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.writer {
            Writer::Pending(writer) => writer.flush(),
            Writer::Direct(writer) => writer.flush(),
        }
    }
}

/// A temporary file beside `path`, with the rights that a new file has.
fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    tempfile::Builder::new().prefix(".tapline-").permissions(fs::Permissions::from_mode(0o666)).tempfile_in(folder)
}

/// Writes a whole file, replacing one that is there.
pub fn write_file(path: &Path, content: &[u8]) -> Result<(), Error> {
    let mut file = OutputFile::create(path)?;
    file.write_all(content).map_err(|error| cannot_write(path).because(error))?;
    file.finish()
}

/// Writes a file that must not be there yet.
pub fn write_new_file(path: &Path, content: &[u8]) -> Result<(), Error> {
    File::create_new(path).and_then(|mut file| file.write_all(content)).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            Error::new(codes::CONF_006, format!("{} is already there", path.display()))
        } else {
            cannot_write(path).because(error)
        }
    })
}

/// Makes a folder and those above it.
pub fn make_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|error| {
        Error::new(codes::FILE_006, format!("cannot make the folder {}", path.display())).because(error)
    })
}

fn cannot_write(path: &Path) -> Error {
    Error::new(codes::FILE_006, format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_finished_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        write_file(&path, b"old").unwrap();
        let mut file = OutputFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_device_is_written_to_and_stays_a_device() {
        use std::os::unix::fs::FileTypeExt;
        write_file(Path::new("/dev/null"), b"gone").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }

    #[test]
    fn a_new_file_refuses_to_replace_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tapline.yaml");
        write_new_file(&path, b"1").unwrap();
        assert_eq!(write_new_file(&path, b"2").unwrap_err().code(), codes::CONF_006);
        assert_eq!(fs::read(&path).unwrap(), b"1");
    }
}
