//! What a hostile client of PostgreSQL's protocol may send, over a real connection: whole messages as an answer, up to
//! where the connection is told to be ready or to be over, and the next client is served. A value in the binary format is
//! the value that its text says.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use headwater_base::Limits;
use headwater_kernel::{Kernel, Registry, Setup};
use headwater_lake::sql::{Engine, Sources, postgres};
use headwater_lake::{Datasets, LakeCatalog, Parts};
use headwater_store::disk::MemoryDisk;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Inputs until everything begins anew, so that a finding does not depend on more than these.
const INPUTS_MAX: u32 = 5_000;
/// How long an answer may take: a statement ends after a second.
const PATIENCE: Duration = Duration::from_secs(3);
const SECONDS_MAX: u64 = 1;

/// A client that says who it is: version 3.0 of the protocol, a user.
const START: &[u8] = b"\0\0\0\x13\0\x03\0\0user\0asha\0\0";
const SYNC: u8 = b'S';
const TERMINATE: u8 = b'X';
const ROW: u8 = b'D';
const READY: u8 = b'Z';
const FAULT: u8 = b'E';

/// Types whose values are written as text that says all of them: text, whole numbers, floats, numbers with a point, UUIDs.
const EXACT: [u32; 9] = [25, 21, 23, 20, 26, 700, 701, 1_700, 2_950];
/// Others: truth, bytes, JSON, times, lists, and what is not known.
const OTHERS: [u32; 14] = [16, 17, 114, 3_802, 1_082, 1_083, 1_114, 1_184, 1_186, 1_007, 1_009, 1_231, 705, 869];

struct House {
    runtime: Runtime,
    address: SocketAddr,
    left: u32,
    _stop: watch::Sender<bool>,
    _folder: TempDir,
}

thread_local! {
    static HOUSE: RefCell<Option<House>> = const { RefCell::new(None) };
}

fn open() -> House {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let (log, clock) = headwater_testkit::memory_log();
    let limits = Arc::new(Limits {
        sql_seconds: SECONDS_MAX,
        sql_memory_bytes: 64 << 20,
        sql_message_bytes: 64 << 10,
        ..Limits::default()
    });
    let (stop, stopped) = watch::channel(false);
    let address = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let setup = Setup {
            log,
            folder: folder.path().to_owned(),
            clock: clock.clone(),
            limits: limits.clone(),
            registry: Registry::new(&[]),
            seed: 1,
        };
        let kernel = Kernel::open(setup).await.expect("a kernel over an empty log");
        let datasets = Datasets::new(Parts {
            log: kernel.log().clone(),
            disk: Arc::new(MemoryDisk::default()),
            folder: PathBuf::from("/data"),
            clock,
            limits,
        });
        let catalog = LakeCatalog::new(datasets, Arc::new(Vec::new));
        let sources = Sources::new(kernel, catalog, |_, _| Ok(Vec::new()));
        tokio::spawn(postgres::serve(listener, Engine::new(sources, folder.path().join("sql")), stopped));
        address
    });
    House { runtime, address, left: INPUTS_MAX, _stop: stop, _folder: folder }
}

/// A byte for how: the rest as it is; the rest behind a start; messages behind a start, each a byte for its type and its
/// body behind a length of two bytes; or the value of a parameter, a byte for its type and one for its format before it.
pub fn run(bytes: &[u8]) {
    let Some((how, rest)) = bytes.split_first() else { return };
    // What reads messages, and what carries statements out, is somebody else's and may panic, which is caught.
    crate::quietly(|| match how % 4 {
        0 => raw(rest),
        1 => raw(&[START, rest].concat()),
        2 => framed(rest),
        _ => bound(rest),
    });
}

/// Where lengths are the client's, the node may end the connection before all has been read; what it has said is whole.
fn raw(sent: &[u8]) {
    let Some(Ok(mut told)) = asked(sent) else { return };
    // Encryption is refused at most once of either kind, without a length.
    for _ in 0..2 {
        if told.first() == Some(&b'N') {
            told.remove(0);
        }
    }
    messages(&told);
}

fn framed(mut rest: &[u8]) {
    let mut sent = START.to_vec();
    while let Some(([kind, a, b], behind)) = rest.split_first_chunk::<3>() {
        let (body, behind) = behind.split_at(behind.len().min(usize::from(u16::from_be_bytes([*a, *b]))));
        rest = behind;
        if *kind == TERMINATE {
            break;
        }
        message(&mut sent, *kind, body);
    }
    served(sent);
}

/// What is told that way is told by the text of it as well.
fn bound(bytes: &[u8]) {
    let Some(([kind, format], value)) = bytes.split_first_chunk::<2>() else { return };
    let place = usize::from(*kind) % (EXACT.len() + OTHERS.len());
    let exact = EXACT.get(place);
    let kind = exact.or_else(|| OTHERS.get(place - EXACT.len())).copied().unwrap_or_default();
    let Some(Some(text)) = said(kind, u16::from(format % 2), value) else { return };
    if exact.is_some()
        && let Some(again) = said(kind, 0, &text)
    {
        let shown = String::from_utf8_lossy(&text);
        assert_eq!(again.as_ref(), Some(&text), "type {kind}: `{shown}` is not read as what it is");
    }
}

/// The text of a parameter's value, if it is not refused; None where that takes too long.
fn said(kind: u32, format: u16, value: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut sent = START.to_vec();
    let parse = [b"\0SELECT CAST($1 AS varchar) AS it\0\0\x01", &kind.to_be_bytes()[..]].concat();
    message(&mut sent, b'P', &parse);
    let (format, length) = (format.to_be_bytes(), (value.len() as u32).to_be_bytes());
    message(&mut sent, b'B', &[b"\0\0\0\x01", &format[..], b"\0\x01", &length, value, b"\0\0"].concat());
    message(&mut sent, b'E', b"\0\0\0\0\0");
    let told = served(sent)?;
    let row = messages(&told).into_iter().find_map(|(kind, row)| (kind == ROW).then_some(row));
    // How many columns, how long the first one is; one of -1 bytes is null.
    Some(row.and_then(|row| match row.split_first_chunk::<6>() {
        Some(([0, 1, 0..0x80, ..], text)) => Some(text.to_vec()),
        _ => None,
    }))
}

/// The answer to messages and a sync: it ends with the word that the node is ready, or why it is over. None where it
/// takes too long.
fn served(mut sent: Vec<u8>) -> Option<Vec<u8>> {
    message(&mut sent, SYNC, b"");
    message(&mut sent, TERMINATE, b"");
    let told = asked(&sent)?.expect("the node reads to the end");
    let last = messages(&told).last().map(|(kind, _)| *kind);
    assert!(matches!(last, Some(READY | FAULT)), "the answer ends with {last:?}");
    Some(told)
}

/// All that a connection of its own is told; None where that takes too long.
fn asked(sent: &[u8]) -> Option<io::Result<Vec<u8>>> {
    HOUSE.with_borrow_mut(|house| {
        if house.as_ref().is_none_or(|house| house.left == 0) {
            *house = Some(open());
        }
        let house = house.as_mut()?;
        house.left -= 1;
        let answer = async {
            let mut socket = TcpStream::connect(house.address).await?;
            socket.write_all(sent).await?;
            socket.shutdown().await?;
            let mut told = Vec::new();
            socket.read_to_end(&mut told).await?;
            Ok::<Vec<u8>, io::Error>(told)
        };
        house.runtime.block_on(async { tokio::time::timeout(PATIENCE, answer).await.ok() })
    })
}

/// The messages of an answer, each its type and its body.
fn messages(mut told: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    while !told.is_empty() {
        let ([kind, a, b, c, d], behind) = told.split_first_chunk::<5>().expect("a message has a length");
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let body = length.checked_sub(4).and_then(|length| behind.split_at_checked(length));
        let (body, behind) = body.expect("a message is as long as it says");
        found.push((*kind, body));
        told = behind;
    }
    found
}

fn message(sent: &mut Vec<u8>, kind: u8, body: &[u8]) {
    sent.push(kind);
    sent.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    sent.extend_from_slice(body);
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        [&[0][..], START, b"S\0\0\0\x04"].concat(),
        [&[0][..], b"\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x08\x04\xd2\x16\x30", START, b"X\0\0\0\x04"].concat(),
        b"\0\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07\0\0\0\x09".to_vec(),
        b"\0\x16\x03\x01\0\x05".to_vec(),
        [&[1][..], b"Q\0\0\0\x0dSELECT 1\0"].concat(),
        [&[1][..], b"B\x40\0\0\0"].concat(),
    ];
    let short = |messages: &[(u8, &[u8])]| {
        let mut seed = vec![2];
        for (kind, body) in messages {
            seed.push(*kind);
            seed.extend_from_slice(&(body.len() as u16).to_be_bytes());
            seed.extend_from_slice(body);
        }
        seed
    };
    seeds.push(short(&[(b'Q', b"SELECT 1; SELECT 'a'\0"), (b'Q', b"\0"), (b'p', b"secret\0")]));
    seeds.push(short(&[
        (b'P', b"s\0SELECT $1 + 1\0\0\x01\0\0\0\x17"),
        (b'D', b"Ss\0"),
        (b'B', b"p\0s\0\0\x01\0\x01\0\x01\0\0\0\x04\0\0\0\x07\0\x01\0\x01"),
        (b'D', b"Pp\0"),
        (b'E', b"p\0\0\0\0\x01"),
        (b'C', b"Pp\0"),
        (b'H', b""),
        (b'S', b""),
    ]));
    seeds.push(short(&[(b'B', b"\0\0\0\0\0\x05"), (b'd', b"1\t2\n"), (b'f', b"no\0")]));
    let values: [(u8, u8, &[u8]); 16] = [
        (0, 1, "é{a}".as_bytes()),
        (1, 1, &[0x80, 0]),
        (2, 0, b" -70000 "),
        (3, 1, &[0xff; 8]),
        (4, 1, &[0xff; 4]),
        (5, 1, &[0x3d, 0xcc, 0xcc, 0xcd]),
        (6, 1, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
        (6, 0, b"1e-300"),
        (7, 1, &[0, 2, 0, 0, 0, 0, 0, 3, 0, 1, 0x09, 0xf6]),
        (7, 0, b"-0012.50e1"),
        (8, 1, &[7; 16]),
        (9, 0, b"t"),
        (10, 0, b"\\x00ff"),
        (13, 1, &[0x7f, 0xff, 0xff, 0xff]),
        (18, 1, &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0x17, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 9]),
        (19, 0, b"{a,\"b \\\"c\",NULL}"),
    ];
    seeds.extend(values.map(|(kind, format, value)| [&[3, kind, format][..], value].concat()));
    seeds
}
