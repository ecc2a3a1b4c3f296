//! RecordBatch v2: the unit in which records travel and are kept.
//!
//! A batch is a header of 61 bytes ([`Header`]) and a payload of records, which may be compressed as a whole. The log
//! never takes a batch apart: it patches base offset, leader epoch and (where a stream says so) the time of arrival in
//! place. Only readers inside the house decode records ([`records`]), and only writers inside it build them
//! ([`Builder`]).
//!
//! What it is NOT: message sets of magic 0 and 1 are refused, as Kafka 4 does.
//!
//! # Source
//! Apache Kafka, "Message Format", section "Record Batch"; `DefaultRecordBatch.java`, `DefaultRecord.java`.

mod builder;
mod compression;
mod header;
mod records;
mod varint;

pub use builder::Builder;
pub use compression::Compression;
pub use header::{HEADER_BYTES, Header, Split, set_append_time, set_base_offset, set_leader_epoch, split};
pub use records::{Record, Records, check_shape, records, retain};

/// Why bytes are not a record batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end too early.
    #[error("`{needed}` bytes are needed, `{have}` are there")]
    Truncated {
        /// Bytes that the batch says it has.
        needed: usize,
        /// Bytes there are.
        have: usize,
    },
    /// Another format version; only 2 is understood.
    #[error("magic is `{0}`, only `2` is supported")]
    Magic(i8),
    /// A length field that cannot be.
    #[error("a batch length of `{0}` cannot be, the least is `49`")]
    Length(i32),
    /// A record count or last offset that cannot be.
    #[error("`{count}` records with a last offset delta of `{last_offset_delta}` cannot be")]
    Count {
        /// As stated.
        count: i32,
        /// As stated.
        last_offset_delta: i32,
    },
    /// The checksum says that bytes have changed.
    #[error("the checksum is `{stated:08x}`, the bytes give `{computed:08x}`")]
    Checksum {
        /// In the header.
        stated: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// A compression number that is not assigned.
    #[error("compression `{0}` is unknown")]
    Compression(u8),
    /// The payload is not what its compression says.
    #[error("{codec}: {fault}")]
    Decompress {
        /// The compression's name.
        codec: &'static str,
        /// What the decoder said.
        fault: String,
    },
    /// The payload is larger than the reader allows.
    #[error("decompressed, the batch is over the limit of `{limit}` bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A record inside the payload is malformed.
    #[error("record `{index}`: {fault}")]
    Record {
        /// From 0.
        index: i32,
        /// What is wrong.
        fault: &'static str,
    },
}

#[cfg(test)]
mod tests;
