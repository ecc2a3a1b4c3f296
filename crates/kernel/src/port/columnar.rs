//! The port of files in columns: a Parquet file goes in, its rows come out as JSON Lines.

use std::io::{self, Read};

use headwater_store::blobs::Reader;

/// Reads a blob that is a Parquet file: an object for each row, in a line of its own, with null for what it lacks. It is
/// read as far as lines are taken, and blocks on the disk meanwhile.
///
/// # Errors
/// What is wrong with the file, as `InvalidData`; so does reading on.
pub type Columnar = fn(file: Reader) -> io::Result<Box<dyn Read + Send>>;
