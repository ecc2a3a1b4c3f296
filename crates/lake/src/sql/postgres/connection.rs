//! A connection of a client of PostgreSQL: its messages, one after the other.
//!
//! The codec that reads messages waits for up to 1 GiB of one before it hands anything on. Here the length that a message
//! says it has is looked at first, and only then the message is read: nobody makes the node hold more than it allows. Large
//! ones of all connections have one budget (`budget.rs`); one that has no room there is passed over, and its client told.
//! A client may be silent between messages for as long as it likes; within one it holds what others wait for, and is
//! dismissed if it pauses, or sends so little at a time that its message would never end.
//!
//! # Source
//! PostgreSQL 17, "Message Flow"; `ProcessStartupPacket` in `src/backend/tcop/backend_startup.c`, `SocketBackend` in
//! `src/backend/tcop/postgres.c`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, BytesMut};
use datafusion_postgres::pgwire::api::{
    ClientInfo as _, DefaultClient, ErrorHandler as _, NoopHandler, PgWireConnectionState,
};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::response::{GssEncResponse, SslResponse};
use datafusion_postgres::pgwire::messages::{
    PgWireBackendMessage, PgWireFrontendMessage as Message, SslNegotiationMetaMessage as Negotiation,
};
use datafusion_postgres::pgwire::tokio::server::{PgWireMessageServerCodec, process_error, process_message};
use futures::SinkExt as _;
use headwater_base::{Limits, Problem};
use headwater_kernel::unit::contained;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::codec::{Decoder as _, Framed};

use super::budget::{Budget, Share};
use super::open::Open;
use super::words::Words;
use super::{Handlers, Prepared, told};
use crate::sql::fault;

/// How long a client may take to say who it is, and before that nothing at all.
const START_MAX: Duration = Duration::from_secs(60);
/// The same of a client that has no place here.
const REFUSAL_MAX: Duration = Duration::from_secs(5);
/// How long a client that has been dismissed may take: it reads why only behind what it has begun to send.
const DISMISSAL_MAX: Duration = Duration::from_secs(5);
/// The longest message of a client that has not said yet who it is, and of one that has no statement and no values in it.
const SMALL_BYTES_MAX: usize = 10_000;
/// What is read of a connection at a time, and the room that it keeps between messages.
const READ_BYTES: usize = 16 * 1_024;
/// The room for what is sent that a connection does not keep: a large row's.
const SENT_BYTES: usize = 64 * 1_024;
/// How TLS begins where nobody has asked for it; a message of that length is none.
const TLS: u8 = 0x16;

type Client = Framed<TcpStream, PgWireMessageServerCodec<Prepared>>;

/// How a message has to come once it has begun.
pub(super) struct Pace {
    pause_ms: u64,
    bytes_per_s: u64,
}

impl Pace {
    /// As a node allows it.
    pub(super) const fn of(limits: &Limits) -> Self {
        Self { pause_ms: limits.sql_stalled_ms, bytes_per_s: limits.sql_message_bytes_per_s }
    }
}

/// A message of which some has come.
struct Coming {
    begun: Instant,
    bytes: usize,
}

impl Coming {
    /// Until when more of it has to come: a pause is short, and many of them do not add up.
    fn until(&self, now: Instant, pace: &Pace) -> Instant {
        let pause = Duration::from_millis(pace.pause_ms);
        let share = Duration::from_secs(self.bytes as u64 / pace.bytes_per_s.max(1));
        (now + pause).min(self.begun + pause + share)
    }
}

/// Serves a client until it goes, or says what cannot be. One that is `refused` may end what another connection runs, and
/// is told why once it has said who it is.
///
/// # Errors
/// What the system says of the socket.
pub(super) async fn serve(socket: TcpStream, handlers: &Handlers, refused: Option<Problem>) -> io::Result<()> {
    let start_max = if refused.is_some() { REFUSAL_MAX } else { START_MAX };
    let deadline = Instant::now() + start_max;
    let mut first = [0];
    let spoken = timeout_at(deadline, socket.peek(&mut first)).await;
    if !matches!(spoken, Ok(Ok(1..))) || first == [TLS] {
        return Ok(());
    }
    socket.set_nodelay(true)?;
    let said = DefaultClient::new(socket.peer_addr()?, false);
    let mut client = Framed::new(socket, PgWireMessageServerCodec::new(said));
    let mut refusals = 0;
    loop {
        let next = if has_begun(&client) {
            next(&mut client, handlers).await
        } else {
            match timeout_at(deadline, next(&mut client, handlers)).await {
                Ok(next) => next,
                Err(_) => return Ok(()),
            }
        };
        let (message, share) = match next {
            Ok(Some(Said::Message(message, share))) => (message, share),
            Ok(Some(Said::TooMuch(kind, problem))) => {
                refuse(&mut client, kind, &problem).await?;
                continue;
            }
            Ok(None) | Err(PgWireError::IoError(_)) => return Ok(()),
            Err(error) => return dismiss(client, error.into()).await,
        };
        let is_extended = message.is_extended_query();
        let is_cancel = matches!(message, Message::CancelRequest(_));
        match message {
            Message::Terminate(_) => return Ok(()),
            Message::Startup(_) => {
                if let Some(problem) = &refused {
                    return dismiss(client, told(problem).into()).await;
                }
            }
            Message::SslNegotiation(asked) => {
                let refused = match asked {
                    Negotiation::PostgresGss(_) => PgWireBackendMessage::GssEncResponse(GssEncResponse::Refuse),
                    Negotiation::PostgresSsl(_) | Negotiation::None => {
                        PgWireBackendMessage::SslResponse(SslResponse::Refuse)
                    }
                };
                client.send(refused).await?;
                refusals += 1;
                if refusals == 2 {
                    // There are no more than these two to ask for.
                    client.set_state(PgWireConnectionState::AwaitingStartup);
                }
                continue;
            }
            _ => {}
        }
        if let Some(share) = share {
            Open::of(&client).hand(share);
        }
        let carried_out = process_message(
            message,
            &mut client,
            Arc::clone(&handlers.startup),
            Arc::clone(&handlers.queries),
            Arc::clone(&handlers.queries),
            Arc::new(NoopHandler),
            Arc::clone(&handlers.cancel),
        )
        .await;
        // What nobody keeps goes with its message.
        drop(Open::of(&client).handed());
        if let Err(mut error) = carried_out {
            Words.on_error(&client, &mut error);
            let error = ErrorInfo::from(error);
            if error.is_fatal() {
                return dismiss(client, error).await;
            }
            process_error(&mut client, PgWireError::UserError(Box::new(error)), is_extended).await?;
        }
        if is_cancel {
            return Ok(());
        }
        give_back(client.write_buffer_mut());
    }
}

/// Gives back the room of what has been sent, where it was large: a connection may do nothing for days.
fn give_back(sent: &mut BytesMut) {
    if sent.is_empty() && sent.try_reclaim(SENT_BYTES) {
        *sent = BytesMut::new();
    }
}

/// Whether a client has said who it is.
fn has_begun(client: &Client) -> bool {
    !matches!(
        client.state(),
        PgWireConnectionState::AwaitingSslRequest
            | PgWireConnectionState::AwaitingStartup
            | PgWireConnectionState::AuthenticationInProgress
    )
}

/// What a client says next.
enum Said {
    /// A message, and its share of the budget where it is a large one.
    Message(Message, Option<Share>),
    /// Of this type, and more than there is room for: it has been passed over.
    TooMuch(u8, Problem),
}

/// Tells a client that there was no room for what it said, unless that is behind an error and would not be heard either.
async fn refuse(client: &mut Client, kind: u8, problem: &Problem) -> io::Result<()> {
    // Rows to copy mean nothing here.
    if kind == b'd' || matches!(client.state(), PgWireConnectionState::AwaitingSync) {
        return Ok(());
    }
    process_error(client, told(problem), kind != b'Q').await
}

/// The next message; none where the client is gone.
async fn next(client: &mut Client, handlers: &Handlers) -> PgWireResult<Option<Said>> {
    let is_start =
        matches!(client.state(), PgWireConnectionState::AwaitingSslRequest | PgWireConnectionState::AwaitingStartup);
    let (mut share, mut begun) = (None, None);
    loop {
        let length = length(client.read_buffer(), is_start, handlers.message_bytes_max);
        let length = length.map_err(|problem| told(&problem))?;
        let large = length.filter(|length| *length > READ_BYTES);
        if let (Some(length), Some(kind)) = (large, client.read_buffer().first().copied()) {
            // What is there, and what is read next: who sends nothing takes nothing from others.
            let bytes = length.min(client.read_buffer().len() + READ_BYTES);
            if let Err(problem) = grown(&mut share, &handlers.budget, bytes) {
                drop(share);
                let begun = begun.unwrap_or_else(Instant::now);
                let is_there = passed_over(client, length, begun, &handlers.pace).await?;
                return Ok(is_there.then_some(Said::TooMuch(kind, problem)));
            }
        }
        if let Some(length) = length.filter(|length| client.read_buffer().len() >= *length) {
            let message = client.read_buffer_mut().split_to(length);
            if length > READ_BYTES {
                // The room of a large message goes with it.
                let rest = BytesMut::from(&client.read_buffer()[..]);
                *client.read_buffer_mut() = rest;
            }
            return decoded(client, message).map(|message| Some(Said::Message(message, share)));
        }
        let bytes = client.read_buffer().len();
        let coming = (bytes > 0).then(|| Coming { begun: *begun.get_or_insert_with(Instant::now), bytes });
        if read(client, coming, &handlers.pace).await? == 0 {
            return Ok(None);
        }
    }
}

/// Has a share of so many bytes.
fn grown(share: &mut Option<Share>, budget: &Arc<Budget>, bytes: usize) -> Result<(), Problem> {
    match share {
        Some(share) => share.grow_to(bytes),
        None => {
            *share = Some(budget.share(bytes)?);
            Ok(())
        }
    }
}

/// Reads more; nothing where the client is gone. Within a message it waits for as long as that may pause.
///
/// # Errors
/// `HW-LAKE-109`, and what the system says of the socket.
async fn read(client: &mut Client, coming: Option<Coming>, pace: &Pace) -> PgWireResult<usize> {
    let mut buffer = std::mem::take(client.read_buffer_mut());
    buffer.reserve(READ_BYTES);
    let mut room = (&mut buffer).limit(READ_BYTES);
    let reading = client.get_mut().read_buf(&mut room);
    let read = match coming {
        None => reading.await,
        Some(coming) => match timeout_at(coming.until(Instant::now(), pace), reading).await {
            Ok(read) => read,
            Err(_) => return Err(told(&fault::stalled(coming.bytes, pace.pause_ms, pace.bytes_per_s))),
        },
    };
    *client.read_buffer_mut() = buffer;
    Ok(read?)
}

/// Reads a message of so many bytes to its end, and keeps nothing of it; false where the client is gone.
async fn passed_over(client: &mut Client, length: usize, begun: Instant, pace: &Pace) -> PgWireResult<bool> {
    let mut left = length;
    loop {
        let here = left.min(client.read_buffer().len());
        client.read_buffer_mut().advance(here);
        left -= here;
        if left == 0 {
            return Ok(true);
        }
        // The room of what is there already goes as well.
        *client.read_buffer_mut() = BytesMut::new();
        let coming = Coming { begun, bytes: length - left };
        if read(client, Some(coming), pace).await? == 0 {
            return Ok(false);
        }
    }
}

/// How many bytes the message has that a buffer begins with, once it says so.
fn length(buffer: &[u8], is_start: bool, bytes_max: usize) -> Result<Option<usize>, Problem> {
    let (kind, rest) = match (is_start, buffer.split_first()) {
        (true, _) => (None, buffer),
        (false, Some((kind, rest))) => (Some(*kind), rest),
        (false, None) => return Ok(None),
    };
    let Some(said) = rest.first_chunk() else { return Ok(None) };
    let said = i32::from_be_bytes(*said);
    let (least, most) = match kind {
        // Its length, and what it is.
        None => (8, SMALL_BYTES_MAX),
        // Statements, values, and rows to copy.
        Some(b'Q' | b'P' | b'B' | b'd') => (4, bytes_max),
        Some(_) => (4, SMALL_BYTES_MAX.min(bytes_max)),
    };
    match usize::try_from(said) {
        Ok(length) if (least..=most).contains(&length) => Ok(Some(length + usize::from(kind.is_some()))),
        _ => Err(fault::no_length(kind, said, least, most)),
    }
}

/// What a whole message says.
fn decoded(client: &mut Client, mut message: BytesMut) -> PgWireResult<Message> {
    let kind = message.first().copied().filter(|_| has_begun(client));
    // What reads messages takes their counts for true, and panics where one ends before that.
    let read = contained(|| {
        let read = client.codec_mut().decode(&mut message)?;
        if let Some(Message::SslNegotiation(Negotiation::None)) = read {
            // It asks for no encryption, and is still to be read.
            client.set_state(PgWireConnectionState::AwaitingStartup);
            return client.codec_mut().decode(&mut message);
        }
        Ok(read)
    });
    match read {
        Ok(Ok(Some(message))) => Ok(message),
        Ok(Ok(None)) | Err(_) => Err(told(&fault::no_message(kind, "it ends within one of its fields"))),
        Ok(Err(error)) => Err(told(&fault::no_message(kind, &error.to_string()))),
    }
}

/// Tells a client why it is not served any more, and ends the connection, whether or not the client reads that.
async fn dismiss(mut client: Client, why: ErrorInfo) -> io::Result<()> {
    let dismissal = async {
        client.send(PgWireBackendMessage::ErrorResponse(why.into())).await?;
        client.close().await?;
        // A system that has bytes which nobody read takes back what was sent.
        let (mut socket, mut waste) = (client.into_inner(), vec![0; READ_BYTES]);
        while matches!(socket.read(&mut waste).await, Ok(1..)) {}
        Ok::<_, io::Error>(())
    };
    timeout(DISMISSAL_MAX, dismissal).await.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client on a slow line has time for a large message; one that sends a byte at a time has none.
    #[test]
    fn a_message_has_the_time_that_its_bytes_give_it() {
        let pace = Pace { pause_ms: 30_000, bytes_per_s: 1_000 };
        let begun = Instant::now();
        for (bytes, after_s, until_s) in
            [(0, 0, 30), (1, 29, 30), (5, 1_000, 30), (60_000, 0, 30), (60_000, 45, 75), (60_000, 89, 90)]
        {
            let (now, until) = (begun + Duration::from_secs(after_s), begun + Duration::from_secs(until_s));
            assert_eq!(Coming { begun, bytes }.until(now, &pace), until, "{bytes} bytes after {after_s} s");
        }
    }

    #[test]
    fn a_connection_keeps_no_room_of_a_large_row() {
        for (bytes, is_kept) in [(1_000, true), (SENT_BYTES / 4, true), (SENT_BYTES, false), (8 << 20, false)] {
            let mut sent = BytesMut::with_capacity(bytes);
            sent.put_bytes(b'x', bytes);
            give_back(&mut sent);
            assert_eq!(sent.len(), bytes, "what is to be sent stays");
            // As the system takes it.
            sent.advance(bytes / 2);
            sent.advance(bytes - bytes / 2);
            give_back(&mut sent);
            assert_eq!(sent.try_reclaim(bytes), is_kept, "{bytes}");
        }
    }
}
