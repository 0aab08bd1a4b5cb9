//! The bytes of an object: memory or files, in one or several segments, read by range.
//! Not here: which key and version they belong to (`store`).
//! Called by the operations of `s3` and by the in-process methods of `Endpoint`.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, TryStreamExt};
use s3s::Body;
use s3s::crypto::{Checksum, Md5};
use s3s::dto::StreamingBlob;
use tempfile::{NamedTempFile, TempPath};

use crate::EndpointError;

/// How much of a file one read takes.
const CHUNK: u64 = 1 << 20;

/// Immutable bytes; cloning is cheap.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    /// A finished multipart upload keeps its parts as they came.
    segments: Vec<Segment>,
    length: u64,
}

#[derive(Debug, Clone)]
enum Segment {
    Memory(Bytes),
    File { path: PathBuf, length: u64, _spooled: Option<Arc<TempPath>> },
}

impl Segment {
    fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self { length: bytes.len() as u64, segments: vec![Segment::Memory(bytes)] }
    }
}

impl Content {
    /// A file that stays where it is and is read by range; it must not change while it is served.
    pub fn file(path: PathBuf, length: u64) -> Self {
        Self { segments: vec![Segment::File { path, length, _spooled: None }], length }
    }

    /// A file of our own, removed once no version and no reader needs it.
    fn spooled(path: TempPath, length: u64) -> Self {
        let segment = Segment::File { path: path.to_path_buf(), length, _spooled: Some(Arc::new(path)) };
        Self { segments: vec![segment], length }
    }

    /// The parts of a multipart upload, one after the other.
    pub fn concat(parts: impl IntoIterator<Item = Content>) -> Self {
        let segments: Vec<_> = parts.into_iter().flat_map(|part| part.segments).collect();
        Self { length: segments.iter().map(Segment::length).sum(), segments }
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// The bytes of `range`, which must lie inside the content, as a response body.
    ///
    /// # Errors
    /// Where a file that holds them cannot be opened.
    pub fn read(&self, range: Range<u64>) -> io::Result<Body> {
        let mut pieces = self.pieces(range)?;
        match pieces.pop_front() {
            None => Ok(Body::empty()),
            // One piece of memory goes to the socket as it is: no copy, and a known length.
            Some(Piece::Memory(bytes)) if pieces.is_empty() => Ok(Body::from(bytes)),
            Some(first) => {
                pieces.push_front(first);
                Ok(StreamingBlob::wrap(stream(pieces)).into())
            }
        }
    }

    /// Everything, in memory.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn read_all(&self) -> io::Result<Bytes> {
        let mut pieces = self.pieces(0..self.length)?;
        if let [Piece::Memory(bytes)] = pieces.make_contiguous() {
            return Ok(bytes.clone());
        }
        let mut all = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Memory(bytes) => all.extend_from_slice(&bytes),
                Piece::File(file, length) => {
                    file.take(length).read_to_end(&mut all)?;
                }
            }
        }
        Ok(all.into())
    }

    fn pieces(&self, range: Range<u64>) -> io::Result<VecDeque<Piece>> {
        let mut pieces = VecDeque::new();
        let mut offset = 0;
        for segment in &self.segments {
            let length = segment.length();
            let start = range.start.clamp(offset, offset + length) - offset;
            let end = range.end.clamp(offset, offset + length) - offset;
            offset += length;
            if start == end {
                continue;
            }
            pieces.push_back(match segment {
                Segment::Memory(bytes) => Piece::Memory(bytes.slice(start as usize..end as usize)),
                Segment::File { path, .. } => {
                    let mut file = File::open(path)?;
                    file.seek(SeekFrom::Start(start))?;
                    Piece::File(file, end - start)
                }
            });
        }
        Ok(pieces)
    }
}

/// What is left to send: bytes, or a number of bytes of a file from its position on.
enum Piece {
    Memory(Bytes),
    File(File, u64),
}

fn stream(pieces: VecDeque<Piece>) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync {
    futures::stream::try_unfold(pieces, |mut pieces| async move {
        match pieces.pop_front() {
            None => Ok(None),
            Some(Piece::Memory(bytes)) => Ok(Some((bytes, pieces))),
            Some(Piece::File(file, left)) => {
                let read = tokio::task::spawn_blocking(move || read_chunk(file, left.min(CHUNK)));
                let (file, bytes) = read.await.map_err(io::Error::other)??;
                let left = left - bytes.len() as u64;
                if left > 0 {
                    pieces.push_front(Piece::File(file, left));
                }
                Ok(Some((bytes, pieces)))
            }
        }
    })
}

fn read_chunk(mut file: File, length: u64) -> io::Result<(File, Bytes)> {
    let mut buffer = BytesMut::zeroed(length as usize);
    file.read_exact(&mut buffer)?;
    Ok((file, buffer.freeze()))
}

/// Where uploaded bytes are kept: memory, or one file per upload in a folder.
#[derive(Debug, Clone)]
pub(crate) enum Spool {
    Memory,
    Folder(PathBuf),
}

/// An upload that has been received in full.
pub(crate) struct Received {
    pub content: Content,
    /// MD5 of the bytes: the ETag of an object put in one piece.
    pub md5: [u8; 16],
}

impl Spool {
    /// Keeps the bytes of one upload.
    ///
    /// # Errors
    /// Where the client stops early, a checksum of the request does not fit, or the folder cannot be written.
    pub async fn receive(&self, body: Option<StreamingBlob>) -> Result<Received, s3s::StdError> {
        let mut body = body.map_or_else(|| futures::stream::empty().left_stream(), StreamExt::right_stream);
        let mut md5 = Md5::new();
        let content = match self {
            Self::Memory => {
                let mut buffer = BytesMut::new();
                while let Some(bytes) = body.try_next().await? {
                    md5.update(&bytes);
                    buffer.extend_from_slice(&bytes);
                }
                Content::from(buffer.freeze())
            }
            Self::Folder(folder) => {
                let (mut file, path) = NamedTempFile::new_in(folder)?.into_parts();
                let mut length = 0;
                while let Some(bytes) = body.try_next().await? {
                    md5.update(&bytes);
                    length += bytes.len() as u64;
                    file = tokio::task::spawn_blocking(move || file.write_all(&bytes).map(|()| file)).await??;
                }
                Content::spooled(path, length)
            }
        };
        Ok(Received { content, md5: md5.finalize() })
    }

    /// Keeps bytes that are already in memory.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn keep(&self, bytes: Bytes) -> Result<Received, EndpointError> {
        let md5 = Md5::checksum(&bytes);
        let content = match self {
            Self::Memory => Content::from(bytes),
            Self::Folder(folder) => {
                let length = bytes.len() as u64;
                let written = write_file(folder, &bytes);
                let path = written.map_err(|source| EndpointError::File { path: folder.clone(), source })?;
                Content::spooled(path, length)
            }
        };
        Ok(Received { content, md5 })
    }
}

fn write_file(folder: &Path, bytes: &[u8]) -> io::Result<TempPath> {
    let (mut file, path) = NamedTempFile::new_in(folder)?.into_parts();
    file.write_all(bytes)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(content: &Content, range: Range<u64>) -> Vec<u8> {
        let mut body = content.read(range).unwrap();
        body.store_all_limited(usize::MAX).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn ranges_across_memory_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("middle");
        std::fs::write(&path, b"defg").unwrap();
        let content = Content::concat([
            Content::from(Bytes::from_static(b"abc")),
            Content::file(path, 4),
            Content::from(Bytes::from_static(b"hi")),
        ]);
        assert_eq!(content.length(), 9);
        assert_eq!(content.read_all().unwrap(), "abcdefghi");
        for start in 0..=9 {
            for end in start..=9 {
                let expected = &b"abcdefghi"[start as usize..end as usize];
                assert_eq!(read(&content, start..end).await, expected, "{start}..{end}");
            }
        }
    }

    #[tokio::test]
    async fn a_spooled_file_lives_as_long_as_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let files = || std::fs::read_dir(folder.path()).unwrap().count();
        let received = Spool::Folder(folder.path().to_path_buf()).keep(Bytes::from(vec![7; 3 << 20])).unwrap();
        let copy = received.content.clone();
        drop(received);
        assert_eq!(files(), 1);
        assert_eq!(read(&copy, 5..(2 << 20) + 5).await, vec![7; 2 << 20]);
        drop(copy);
        assert_eq!(files(), 0);
    }
}
