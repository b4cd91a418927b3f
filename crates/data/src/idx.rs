//! The checked reader of one IDX file, raw or gzip: nothing is believed before it has been compared.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use sha2::{Digest as _, Sha256};

use crate::dataset::ImageShape;
use crate::error::{Error, Problem};
use crate::manifest::{Digest, Entry, Manifest, Part};

/// Deflate codes at most 258 bytes in two bits (RFC 1951, 3.2.5), so no stream expands by more than this.
const MAX_EXPANSION: u64 = 258 * 8 / 2;

const BUFFER: usize = 64 * 1024;

/// What an IDX file must be.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) entry: &'a Entry,
    /// Samples, if known.
    count: Option<usize>,
    /// The shape of the images; `None` for labels.
    shape: Option<ImageShape>,
}

impl<'a> Expected<'a> {
    pub(crate) const fn images(manifest: &'a Manifest, part: &'a Part) -> Self {
        Self { entry: &part.images, count: part.count, shape: Some(manifest.shape) }
    }

    pub(crate) const fn labels(part: &'a Part) -> Self {
        Self { entry: &part.labels, count: part.count, shape: None }
    }

    const fn magic(&self) -> (u32, &'static str) {
        match self.shape {
            Some(ImageShape { channels: 1, .. }) => (0x0803, "unsigned bytes in three dimensions: images"),
            Some(_) => (0x0804, "unsigned bytes in four dimensions: images of several channels"),
            None => (0x0801, "unsigned bytes in one dimension: labels"),
        }
    }

    const fn header_len(&self) -> usize {
        match self.shape {
            Some(ImageShape { channels: 1, .. }) => 16,
            Some(_) => 20,
            None => 8,
        }
    }

    /// The header of a file of `count` samples.
    pub(crate) fn header(&self, count: usize) -> Vec<u8> {
        let shape = self.shape.map(|ImageShape { channels, rows, cols }| [channels, rows, cols]);
        let sides = shape.iter().flatten().skip(usize::from(self.header_len() == 16));
        let words = [self.magic().0 as usize, count].into_iter().chain(sides.copied());
        words.flat_map(|word| (word as u32).to_be_bytes()).collect()
    }
}

enum Source {
    Raw(BufReader<File>),
    Gzip(Box<GzDecoder<BufReader<File>>>),
}

/// An open IDX file whose header has been found right; its samples are still to be read by [`finish`](Self::finish).
pub(crate) struct IdxFile {
    pub(crate) path: PathBuf,
    /// Samples that the header states.
    pub(crate) count: usize,
    /// Bytes of the samples, which the file is long enough to hold.
    pub(crate) body_len: u64,
    /// The header as it stands in the file.
    pub(crate) header: Vec<u8>,
    expected_digest: Option<Digest>,
    source: Source,
    hash: Sha256,
    position: u64,
}

impl IdxFile {
    /// Opens `name.gz` in `dir`, or `name` if there is no such file, and checks its header.
    pub(crate) fn open(dir: &Path, expected: &Expected<'_>) -> Result<Self, Error> {
        let gz = dir.join(format!("{}.gz", expected.entry.name));
        match Self::open_path(&gz, true, expected) {
            Err(Error { problem: Problem::Read(error), .. }) if error.kind() == io::ErrorKind::NotFound => {
                match Self::open_raw(dir, expected) {
                    Err(Error { problem: Problem::Read(error), .. })
                        if error.kind() == io::ErrorKind::NotFound =>
                    {
                        Err(Error::new(&gz, Problem::NoFile { raw: expected.entry.name.clone() }))
                    }
                    raw => raw,
                }
            }
            opened => opened,
        }
    }

    /// Opens the uncompressed `name` in `dir` and checks its header.
    pub(crate) fn open_raw(dir: &Path, expected: &Expected<'_>) -> Result<Self, Error> {
        Self::open_path(&dir.join(&expected.entry.name), false, expected)
    }

    fn open_path(path: &Path, gzip: bool, expected: &Expected<'_>) -> Result<Self, Error> {
        let fail = |problem| Error::new(path, problem);
        let file = File::open(path).map_err(|error| fail(Problem::Read(error)))?;
        let file_len = file.metadata().map_err(|error| fail(Problem::Read(error)))?.len();
        let reader = BufReader::with_capacity(BUFFER, file);
        let mut this = Self {
            path: path.into(),
            count: 0,
            body_len: 0,
            header: Vec::new(),
            expected_digest: expected.entry.sha256,
            source: if gzip { Source::Gzip(Box::new(GzDecoder::new(reader))) } else { Source::Raw(reader) },
            hash: Sha256::new(),
            position: 0,
        };
        let mut header = vec![0; expected.header_len()];
        this.fill(&mut header, expected.header_len() as u64)?;
        let word = |i: usize| {
            u32::from_be_bytes(header[4 * i..4 * i + 4].try_into().expect("the range is four bytes"))
        };

        let (magic, what) = expected.magic();
        if word(0) != magic {
            return Err(fail(Problem::Magic { expected: magic, what, found: word(0) }));
        }
        this.count = word(1) as usize;
        this.body_len = u64::from(word(1));
        if let Some(shape) = expected.shape {
            let sides = expected.header_len() / 4 - 2;
            let found = ImageShape {
                channels: if sides == 2 { 1 } else { word(2) as usize },
                rows: word(sides) as usize,
                cols: word(sides + 1) as usize,
            };
            if found != shape {
                return Err(fail(Problem::Dimensions { expected: shape, found }));
            }
            this.body_len = this.body_len.saturating_mul(shape.len() as u64);
        }
        if let Some(count) = expected.count
            && this.count != count
        {
            return Err(fail(Problem::Count { expected: count, found: this.count }));
        }
        this.header = header;

        let stated = this.len();
        let most = file_len.saturating_mul(MAX_EXPANSION);
        if gzip && stated > most {
            return Err(fail(Problem::Overclaim { expected: most, found: stated }));
        }
        if !gzip && stated > file_len {
            return Err(fail(Problem::Truncated { expected: stated, found: file_len }));
        }
        Ok(this)
    }

    /// Bytes of the raw file, header included, as the header states them.
    pub(crate) fn len(&self) -> u64 {
        self.body_len.saturating_add(self.header.len() as u64)
    }

    /// Hands the samples to `sink` in pieces, then checks that the file ends there and has the right digest.
    ///
    /// What `sink` received is to be thrown away unless this returns the digest of the raw file.
    pub(crate) fn finish(
        mut self,
        mut sink: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<Digest, Error> {
        let len = self.len();
        let mut buffer = vec![0; BUFFER];
        while self.position < len {
            let piece = (len - self.position).min(BUFFER as u64) as usize;
            self.fill(&mut buffer[..piece], len)?;
            sink(&buffer[..piece])?;
        }
        // Asking for one byte more also makes the decoder compare the checksum.
        if self.read(&mut [0], len)? != 0 {
            return Err(self.fail(Problem::Trailing { expected: len }));
        }
        if let Source::Gzip(decoder) = &mut self.source {
            let rest = decoder.get_mut().fill_buf().map(<[u8]>::len);
            match rest {
                Ok(0) => {}
                Ok(_) => return Err(self.fail(Problem::TrailingGzip)),
                Err(error) => return Err(self.fail(Problem::Read(error))),
            }
        }
        let found = Digest::from(self.hash.finalize_reset());
        match self.expected_digest {
            Some(expected) if expected != found => Err(self.fail(Problem::Digest { expected, found })),
            _ => Ok(found),
        }
    }

    /// Reads all samples into memory; the length was compared with the file's before anything is reserved.
    pub(crate) fn read_body(self) -> Result<Vec<u8>, Error> {
        let mut body = Vec::with_capacity(self.body_len as usize);
        self.finish(|piece| {
            body.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(body)
    }

    /// Reads the whole raw file into memory, header included.
    pub(crate) fn read_raw(self) -> Result<Vec<u8>, Error> {
        let mut raw = self.header.clone();
        raw.reserve_exact(self.body_len as usize);
        self.finish(|piece| {
            raw.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(raw)
    }

    /// Fills `buffer` from a file that should have `wanted` bytes in all.
    fn fill(&mut self, mut buffer: &mut [u8], wanted: u64) -> Result<(), Error> {
        while !buffer.is_empty() {
            match self.read(buffer, wanted)? {
                0 => {
                    return Err(self.fail(Problem::Truncated { expected: wanted, found: self.position }));
                }
                n => buffer = &mut buffer[n..],
            }
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8], wanted: u64) -> Result<usize, Error> {
        let result = loop {
            let result = match &mut self.source {
                Source::Raw(reader) => reader.read(buffer),
                Source::Gzip(decoder) => decoder.read(buffer),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        let found = self.position;
        match result {
            Ok(n) => {
                self.hash.update(&buffer[..n]);
                self.position += n as u64;
                Ok(n)
            }
            Err(error) => Err(self.fail(match (&self.source, error.kind()) {
                (Source::Gzip(_), io::ErrorKind::UnexpectedEof) => {
                    Problem::TruncatedGzip { expected: wanted, found }
                }
                (Source::Gzip(_), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                    Problem::DamagedGzip { found, reason: error.to_string() }
                }
                _ => Problem::Read(error),
            })),
        }
    }

    fn fail(&self, problem: Problem) -> Error {
        Error::new(&self.path, problem)
    }
}
