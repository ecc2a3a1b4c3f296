//! The writer thread: gathers what has come, writes it as one group, syncs, and tells.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use super::layout::{self, FRAME_HEADER_BYTES, GROUP_HEADER_BYTES, GroupHeader, PAGE_BYTES, SegmentHeader};
use super::slots::Slot;
use super::{Frame, OnDurable, Shared};
use crate::disk;

/// How long to wait before writing again when a copy-on-write file system has no room even for allocated space.
const RETRY: Duration = Duration::from_millis(200);

/// The segment that is written.
struct Current {
    slot: Slot,
    header: SegmentHeader,
    /// Where the next group goes; 0 while the header page is not written.
    at: u64,
}

/// Starts the writer.
pub(super) fn spawn<T: Send + 'static>(shared: Arc<Shared<T>>, on_durable: OnDurable<T>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("hw-wal".into()).spawn(move || run(&shared, on_durable))
}

fn run<T>(shared: &Shared<T>, mut on_durable: OnDurable<T>) {
    let mut number = shared.slots.first_number();
    let mut current: Option<Current> = None;
    let mut frames = Vec::new();
    while let Some(first) = gather(shared, current.as_ref(), &mut frames) {
        let last = first + frames.len() as u64 - 1;
        let bytes: usize = frames.iter().map(Frame::bytes).sum();
        let reserved: u64 = frames.iter().map(|frame| layout::reserved(frame.bytes())).sum();
        let fits = current.as_ref().is_some_and(|now| now.at + group_space(&frames) <= shared.options.segment_bytes);
        if !fits {
            let Some(slot) = shared.slots.rotate(current.take().map(|old| old.slot), first - 1) else {
                // The log closes, and there is no file for what was gathered: it never becomes durable.
                shared.queue.lock().dead = true;
                shared.waiters.fail();
                return;
            };
            number += 1;
            current = Some(Current { slot, header: SegmentHeader { number, first }, at: 0 });
        }
        let Some(now) = current.as_mut() else { break };
        if let Err(error) = write(shared, now, first, &frames) {
            let mut queue = shared.queue.lock();
            queue.dead = true;
            drop(queue);
            (shared.options.fatal)(&format!(
                "cannot sync the write-ahead log `{}`: {error}; what was not synced may be gone from memory too",
                now.slot.path.display()
            ));
            shared.waiters.fail();
            return;
        }
        shared.slots.written(shared.options.segment_bytes.saturating_sub(now.at), shared.options.segment_bytes);
        shared.durable.store(last, Ordering::Release);
        shared.syncs.fetch_add(1, Ordering::Relaxed);
        shared.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let mut done: Vec<T> = frames.drain(..).map(|frame| frame.done).collect();
        on_durable(last, &mut done);
        let mut queue = shared.queue.lock();
        queue.bytes -= bytes;
        queue.reserved -= reserved;
        drop(queue);
        shared.waiters.advance(last);
        shared.waiters.room();
    }
    if shared.queue.lock().dead {
        return;
    }
    if let Some(now) = current.as_mut()
        && let Err(error) = write(shared, now, shared.durable.load(Ordering::Acquire) + 1, &[] as &[Frame<T>])
    {
        tracing::warn!(%error, "cannot mark the write-ahead log as closed; the next start searches its tail");
    }
}

/// Moves what is queued into `frames`, as much as one group takes, and answers the first sequence; waits while
/// nothing is queued. None when the log closes and all is written.
fn gather<T>(shared: &Shared<T>, current: Option<&Current>, frames: &mut Vec<Frame<T>>) -> Option<u64> {
    let mut queue = shared.queue.lock();
    while queue.frames.is_empty() {
        if queue.closing || queue.dead {
            return None;
        }
        shared.filled.wait(&mut queue);
    }
    let first = queue.next - queue.frames.len() as u64;
    let segment = usize::try_from(shared.options.segment_bytes).unwrap_or(usize::MAX);
    let rest = current.map_or(0, |now| segment.saturating_sub(usize::try_from(now.at).unwrap_or(usize::MAX)));
    // What does not fit into this segment any more opens the next one.
    let of_next = segment - PAGE_BYTES;
    let mut total = GROUP_HEADER_BYTES;
    let mut room = shared.options.group_bytes;
    while let Some(frame) = queue.frames.front() {
        let bytes = frame.bytes() + FRAME_HEADER_BYTES;
        if frames.is_empty() {
            room = room.min(if total + bytes <= rest { rest } else { of_next });
        } else if total + bytes > room {
            break;
        }
        total += bytes;
        frames.extend(queue.frames.pop_front());
    }
    Some(first)
}

fn group_space<T>(frames: &[Frame<T>]) -> u64 {
    (GROUP_HEADER_BYTES + frames.iter().map(|frame| FRAME_HEADER_BYTES + frame.bytes()).sum::<usize>()) as u64
}

/// Writes and syncs one group; the first of a segment brings the header page along.
fn write<T>(shared: &Shared<T>, now: &mut Current, first: u64, frames: &[Frame<T>]) -> io::Result<()> {
    let lengths: Vec<[u8; FRAME_HEADER_BYTES]> =
        frames.iter().map(|frame| u32::try_from(frame.bytes()).unwrap_or(u32::MAX).to_le_bytes()).collect();
    let space = group_space(frames);
    let mut header = GroupHeader {
        crc: 0,
        bytes: u32::try_from(space).map_err(io::Error::other)?,
        frames: lengths.len() as u32,
        first,
    };
    let mut crc = crc32c::crc32c_append(layout::salt(now.header.number), header.encode().get(8..).unwrap_or_default());
    let begins = now.at == 0;
    let page = if begins { now.header.encode() } else { Vec::new() };
    let mut slices = Vec::with_capacity(2 + frames.len() * 3);
    for (frame, length) in frames.iter().zip(&lengths) {
        crc = crc32c::crc32c_append(crc, length);
        slices.push(IoSlice::new(length));
        for part in frame.parts.iter().filter(|part| !part.is_empty()) {
            crc = crc32c::crc32c_append(crc, part);
            slices.push(IoSlice::new(part));
        }
    }
    header.crc = crc;
    let header = header.encode();
    let mut all = Vec::with_capacity(slices.len() + 2);
    if begins {
        all.push(IoSlice::new(&page));
    }
    all.push(IoSlice::new(&header));
    all.append(&mut slices);
    let mut waits = false;
    loop {
        match now.slot.file.write_slices_at(&all, now.at) {
            Ok(()) => break,
            // Nothing has been promised: the same bytes go to the same place once there is room.
            Err(error) if disk::is_full(&error) && !shared.queue.lock().closing => {
                if !std::mem::replace(&mut waits, true) {
                    tracing::error!(%error, "no space even for what the write-ahead log has allocated; it waits");
                    shared.slots.set_fault(Some(error.to_string()));
                }
                std::thread::park_timeout(RETRY);
            }
            Err(error) => return Err(error),
        }
    }
    if waits {
        shared.slots.set_fault(None);
    }
    now.slot.file.sync()?;
    let start = if begins { PAGE_BYTES as u64 } else { now.at };
    now.at = layout::page_up(start + space);
    Ok(())
}
