//! Frames are compressed here, and opened within the length that their pack declares.
//!
//! Contexts are reused, one per thread. A large frame whose samples do not shrink is stored as it
//! is, and so is any that compression does not make shorter. One frame in 32 is opened again and
//! compared before it is published; all are with [`Paranoia::EveryFrame`]. DESIGN §7.

use chunker::compressibility::{Probe, looks_compressible};
use format::Codec;

use crate::{Error, Result};

/// How hard a backup compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    None,
    /// zstd level 1.
    Fast,
    /// zstd level 3.
    #[default]
    Default,
    /// zstd level 19.
    Max,
}

/// How many frames are opened again and compared before they are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Paranoia {
    /// One in 32.
    #[default]
    Samples,
    /// Every one.
    EveryFrame,
}

/// Compresses frames, for one thread.
pub(crate) struct Compressor {
    context: Option<zstd::bulk::Compressor<'static>>,
    probe: Probe,
    paranoia: Paranoia,
    frames: u64,
    output: Vec<u8>,
    check: Decompressor,
}

impl Compressor {
    pub(crate) fn new(compression: Compression, paranoia: Paranoia) -> Self {
        let level = match compression {
            Compression::None => None,
            Compression::Fast => Some(1),
            Compression::Default => Some(3),
            Compression::Max => Some(19),
        };
        let context = level.map(|level| {
            zstd::bulk::Compressor::new(level).expect("levels 1, 3 and 19 are zstd's")
        });
        Self {
            context,
            probe: Probe::new(),
            paranoia,
            frames: 0,
            output: Vec::new(),
            check: Decompressor::new(),
        }
    }

    /// What is to be stored for a frame: compressed when that is shorter.
    pub(crate) fn compress<'a>(&'a mut self, plain: &'a [u8]) -> Result<(Codec, &'a [u8])> {
        let Some(context) = &mut self.context else { return Ok((Codec::None, plain)) };
        if !looks_compressible(plain, &mut self.probe) {
            return Ok((Codec::None, plain));
        }
        self.output.clear();
        self.output.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        let length = context
            .compress_to_buffer(plain, &mut self.output)
            .map_err(|error| Error::object("a frame", error))?;
        if length >= plain.len() {
            return Ok((Codec::None, plain));
        }
        self.frames += 1;
        if self.paranoia == Paranoia::EveryFrame || self.frames.is_multiple_of(32) {
            let opened = self.check.decompress(Codec::Zstd, &self.output, plain.len())?;
            if opened != plain {
                return Err(Error::object("a frame", "compressing and opening it changed it"));
            }
        }
        Ok((Codec::Zstd, &self.output))
    }
}

/// Opens frames, for one thread at a time.
pub(crate) struct Decompressor {
    context: zstd::bulk::Decompressor<'static>,
}

impl Decompressor {
    pub(crate) fn new() -> Self {
        let context = zstd::bulk::Decompressor::new();
        Self { context: context.expect("without a dictionary there is nothing to refuse") }
    }

    /// The frame's bytes, exactly `plain_length` of them.
    pub(crate) fn decompress(
        &mut self,
        codec: Codec,
        stored: &[u8],
        plain_length: usize,
    ) -> Result<Vec<u8>> {
        let plain = match codec {
            Codec::None => stored.to_vec(),
            Codec::Zstd => self
                .context
                .decompress(stored, plain_length)
                .map_err(|error| Error::object("a frame", error))?,
        };
        if plain.len() != plain_length {
            let reason = format!("it opens to {} bytes, not {plain_length}", plain.len());
            return Err(Error::object("a frame", reason));
        }
        Ok(plain)
    }
}
