//! JSON Lines: an item on each line; empty lines are none.

use std::io::{BufRead, ErrorKind, Read};

use serde_json::Value;

use super::{failed, parse};
use crate::execution::Failure;

/// The items of `source`.
pub(super) fn lines(
    mut source: impl BufRead + Send + 'static,
    bytes_max: usize,
    depth_max: usize,
) -> impl Iterator<Item = Result<Value, Failure>> + Send {
    let (mut line, mut number) = (Vec::new(), 0_u64);
    std::iter::from_fn(move || {
        loop {
            line.clear();
            number += 1;
            // One byte more than allowed tells a line that is too long from one that just fits.
            let read = source.by_ref().take(bytes_max as u64 + 2).read_until(b'\n', &mut line);
            let item = match read {
                // What is wrong with a file, and not with the disk, says so itself.
                Err(error) if error.kind() == ErrorKind::InvalidData => Err(failed(error.to_string())),
                Err(error) => Err(failed(format!("the disk says: {error}"))),
                Ok(0) => return None,
                Ok(_) => {
                    let text = line.trim_ascii();
                    if text.is_empty() {
                        continue;
                    }
                    if text.len() > bytes_max {
                        Err(failed(format!("an item of more than {bytes_max} bytes")))
                    } else {
                        parse(text, depth_max)
                    }
                }
            };
            return Some(item.map_err(|failure| at_line(failure, number)));
        }
    })
}

fn at_line(failure: Failure, number: u64) -> Failure {
    let cause = failure.cause.unwrap_or_default();
    failed(format!("line {number}: {cause}"))
}
