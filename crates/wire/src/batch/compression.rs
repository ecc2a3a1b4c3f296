//! The five ways in which a batch's records may be packed.

use std::io::{Read, Write};

use bytes::Bytes;

use super::BatchError;

/// A batch's compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Raw blocks, or blocks in the frame of the `xerial` Java library.
    Snappy,
    /// LZ4 frames, blocks independent of each other.
    Lz4,
    /// RFC 8878.
    Zstd,
}

/// How the frame of the `xerial` library begins; two version numbers of 4 bytes follow.
const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const XERIAL_HEADER_BYTES: usize = 16;
/// The block size of the `xerial` library.
const XERIAL_BLOCK_BYTES: usize = 32 * 1024;

impl Compression {
    pub(super) const fn of(number: i16) -> Result<Self, BatchError> {
        match number {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            other => Err(BatchError::Compression(other as u8)),
        }
    }

    /// The number in a batch's attributes.
    pub(super) const fn number(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Kafka's name of it (`compression.type`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The compression of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd].into_iter().find(|codec| codec.name() == name)
    }

    /// The most bytes that one packed byte can become.
    pub(super) const fn growth_max(self) -> usize {
        match self {
            Self::None => 1,
            // RFC 1951: two bits for 258 bytes.
            Self::Gzip => 1_032,
            Self::Snappy => 64,
            // Each byte of a match's length stands for 255 bytes more.
            Self::Lz4 => 256,
            // RFC 8878: a block of one repeated byte has 4 bytes and becomes up to 128 KiB.
            Self::Zstd => 32 << 10,
        }
    }

    /// Unpacks `packed`, never to more than `bytes_max`.
    pub(super) fn unpack(self, packed: Bytes, bytes_max: usize) -> Result<Bytes, BatchError> {
        match self {
            Self::None if packed.len() > bytes_max => Err(BatchError::TooLarge { limit: bytes_max }),
            Self::None => Ok(packed),
            Self::Gzip => self.drain(flate2::bufread::MultiGzDecoder::new(packed.as_ref()), packed.len(), bytes_max),
            Self::Snappy => unpack_snappy(&packed, bytes_max),
            Self::Lz4 => self.drain(lz4_flex::frame::FrameDecoder::new(packed.as_ref()), packed.len(), bytes_max),
            Self::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(packed.as_ref());
                let mut decoder = decoder.map_err(|error| self.fault(error))?;
                // The window is allocated before the first byte comes out. 8 MiB is what every encoder may count on.
                let window_log = bytes_max.max(1).ilog2().saturating_add(1).clamp(23, 27);
                decoder.window_log_max(window_log).map_err(|error| self.fault(error))?;
                self.drain(decoder, packed.len(), bytes_max)
            }
        }
    }

    /// Packs `plain`; None when the codec fails, which leaves the records as they are.
    pub(super) fn pack(self, plain: &[u8]) -> Option<Vec<u8>> {
        let out = Vec::with_capacity(plain.len() / 2 + 64);
        match self {
            Self::None => None,
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
                encoder.write_all(plain).ok()?;
                encoder.finish().ok()
            }
            Self::Snappy => pack_snappy(plain, out),
            Self::Lz4 => {
                // Java's reader demands independent blocks.
                let info = lz4_flex::frame::FrameInfo::new()
                    .block_mode(lz4_flex::frame::BlockMode::Independent)
                    .block_size(lz4_flex::frame::BlockSize::Max64KB);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, out);
                encoder.write_all(plain).ok()?;
                encoder.finish().ok()
            }
            Self::Zstd => zstd::bulk::compress(plain, 3).ok(),
        }
    }

    fn drain(self, source: impl Read, packed_bytes: usize, bytes_max: usize) -> Result<Bytes, BatchError> {
        let mut out = Vec::with_capacity(packed_bytes.saturating_mul(4).min(bytes_max));
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        source.take(limit).read_to_end(&mut out).map_err(|error| self.fault(error))?;
        if out.len() > bytes_max { Err(BatchError::TooLarge { limit: bytes_max }) } else { Ok(out.into()) }
    }

    fn fault(self, error: impl std::fmt::Display) -> BatchError {
        BatchError::Decompress { codec: self.name(), fault: error.to_string() }
    }
}

fn unpack_snappy(packed: &[u8], bytes_max: usize) -> Result<Bytes, BatchError> {
    let mut out = Vec::new();
    if !packed.starts_with(&XERIAL_MAGIC) {
        unpack_snappy_block(packed, &mut out, bytes_max)?;
        return Ok(out.into());
    }
    let truncated = |needed| BatchError::Truncated { needed, have: packed.len() };
    let mut rest = packed.get(XERIAL_HEADER_BYTES..).ok_or(truncated(XERIAL_HEADER_BYTES))?;
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (block, behind) = behind.split_at_checked(length).ok_or(truncated(length))?;
        unpack_snappy_block(block, &mut out, bytes_max)?;
        rest = behind;
    }
    if rest.is_empty() { Ok(out.into()) } else { Err(truncated(packed.len() - rest.len() + 4)) }
}

fn unpack_snappy_block(block: &[u8], out: &mut Vec<u8>, bytes_max: usize) -> Result<(), BatchError> {
    let fault = |error: snap::Error| Compression::Snappy.fault(error);
    let length = snap::raw::decompress_len(block).map_err(fault)?;
    let from = out.len();
    if length > bytes_max.saturating_sub(from) {
        return Err(BatchError::TooLarge { limit: bytes_max });
    }
    // A block says how long it becomes; no element of the format yields more than 64 bytes from 2.
    if length > block.len().saturating_mul(64) {
        return Err(Compression::Snappy.fault(format_args!("a block of {} bytes cannot become {length}", block.len())));
    }
    out.resize(from + length, 0);
    let Some(place) = out.get_mut(from..) else { return Ok(()) };
    let written = snap::raw::Decoder::new().decompress(block, place).map_err(fault)?;
    out.truncate(from + written);
    Ok(())
}

fn pack_snappy(plain: &[u8], mut out: Vec<u8>) -> Option<Vec<u8>> {
    out.extend_from_slice(&XERIAL_MAGIC);
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    let mut encoder = snap::raw::Encoder::new();
    for block in plain.chunks(XERIAL_BLOCK_BYTES) {
        let packed = encoder.compress_vec(block).ok()?;
        out.extend_from_slice(&u32::try_from(packed.len()).ok()?.to_be_bytes());
        out.extend_from_slice(&packed);
    }
    Some(out)
}
