//! Where a pipeline's operators put records: the log's outbox on a node, memory in a run over files.

use headwater_base::{Name, Problem};
use headwater_kernel::port::Cause;
use headwater_log::Log;
pub use headwater_log::outbox::{Outbox, Refused, Target};

/// The record header of the letter of a chain that was cut.
pub const CUT_HEADER: &str = "hw_cut";

/// Takes the records that a pipeline writes.
pub trait Sink {
    /// Takes one record; `value` = None deletes the key in a compacted stream. The target is the stream's place in
    /// [`crate::compile::Plan::streams`]; `cause` is what the record carries of the chain it belongs to.
    ///
    /// # Errors
    /// When the stream would refuse the record; nothing has been taken then.
    fn put(
        &mut self,
        target: Target,
        time_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        cause: Option<&Cause>,
    ) -> Result<(), Refused>;

    /// Whether the stream takes a record: for who writes several of which all or none are to be written.
    ///
    /// # Errors
    /// As [`Self::put`].
    fn takes(
        &self,
        _target: Target,
        _key: Option<&[u8]>,
        _value: Option<&[u8]>,
        _cause: Option<&Cause>,
    ) -> Result<(), Refused> {
        Ok(())
    }

    /// Takes the letter of a chain that was cut, and marks it as one where readers see records' headers.
    ///
    /// # Errors
    /// As [`Self::put`].
    fn put_cut(
        &mut self,
        target: Target,
        time_ms: i64,
        key: Option<&[u8]>,
        letter: &[u8],
        cause: &Cause,
    ) -> Result<(), Refused> {
        self.put(target, time_ms, key, Some(letter), Some(cause))
    }
}

impl Sink for Outbox {
    fn put(
        &mut self,
        target: Target,
        time_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        cause: Option<&Cause>,
    ) -> Result<(), Refused> {
        let Some(cause) = cause else { return Self::put(self, target, time_ms, key, value, &[]) };
        let hops = cause.hops.to_string();
        let chain = [(Cause::ID, cause.id.as_bytes()), (Cause::HOPS, hops.as_bytes())];
        Self::put(self, target, time_ms, key, value, &chain)
    }

    fn takes(
        &self,
        target: Target,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        cause: Option<&Cause>,
    ) -> Result<(), Refused> {
        let Some(cause) = cause else { return Self::check(self, target, key, value, &[]) };
        let hops = cause.hops.to_string();
        let chain = [(Cause::ID, cause.id.as_bytes()), (Cause::HOPS, hops.as_bytes())];
        Self::check(self, target, key, value, &chain)
    }

    fn put_cut(
        &mut self,
        target: Target,
        time_ms: i64,
        key: Option<&[u8]>,
        letter: &[u8],
        cause: &Cause,
    ) -> Result<(), Refused> {
        let hops = cause.hops.to_string();
        let chain = [(Cause::ID, cause.id.as_bytes()), (Cause::HOPS, hops.as_bytes()), (CUT_HEADER, b"1".as_slice())];
        Self::put(self, target, time_ms, key, Some(letter), &chain)
    }
}

/// Opens the streams of a plan.
///
/// # Errors
/// `HW-FLOW-030` when one does not exist.
pub fn open(log: &dyn Log, names: &[Name]) -> Result<Outbox, Problem> {
    Outbox::open(log, names).map_err(|_| {
        let missing = names.iter().find(|name| log.stream(name.as_str()).is_none()).map_or("", Name::as_str);
        Problem::new("HW-FLOW-030", format!("there is no stream `{missing}`"))
            .help("apply a Stream resource of that name")
    })
}
