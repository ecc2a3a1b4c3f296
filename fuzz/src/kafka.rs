//! What a hostile Kafka client may send, over a real connection: an answer to that very request, or the end of the
//! connection; never a panic, and the next client is served.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_api::kafka::{KafkaService, Settings, serve};
use headwater_base::Limits;
use headwater_log::groups::Groups;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Inputs until everything begins anew, so that a finding does not depend on more than these.
const INPUTS_MAX: u32 = 500;
/// How long an answer may take; what waits longer, such as a fetch of nothing, is left.
const PATIENCE: Duration = Duration::from_millis(4);

struct House {
    runtime: Runtime,
    address: SocketAddr,
    left: u32,
    _stop: watch::Sender<bool>,
}

thread_local! {
    static HOUSE: RefCell<Option<House>> = const { RefCell::new(None) };
}

fn open() -> House {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (log, clock) = headwater_testkit::memory_log();
    let limits = Arc::new(Limits { kafka_request_bytes: 1 << 20, ..Limits::default() });
    let (stop, stopped) = watch::channel(false);
    let address = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let groups = Groups::open(log.clone(), clock.clone(), limits.clone());
        let service = KafkaService::new(log, groups, limits, clock, Settings::local(address.port()));
        tokio::spawn(serve(vec![listener], Arc::new(service), stopped));
        address
    });
    House { runtime, address, left: INPUTS_MAX, _stop: stop }
}

/// A first byte of zero: the rest as it is. Otherwise the rest is one request, and its length is put before it.
pub fn run(bytes: &[u8]) {
    let Some((mode, body)) = bytes.split_first() else { return };
    let framed = *mode != 0;
    let mut sent = Vec::with_capacity(bytes.len() + 4);
    if framed {
        sent.extend_from_slice(&(body.len() as i32).to_be_bytes());
    }
    sent.extend_from_slice(body);
    HOUSE.with_borrow_mut(|house| {
        if house.as_ref().is_none_or(|house| house.left == 0) {
            *house = Some(open());
        }
        let Some(house) = house else { return };
        house.left -= 1;
        house.runtime.block_on(async {
            let mut socket = TcpStream::connect(house.address).await.expect("the listener is there");
            if socket.write_all(&sent).await.is_err() {
                return;
            }
            let mut head = [0; 8];
            let answer = tokio::time::timeout(PATIENCE, socket.read_exact(&mut head)).await;
            if let (Ok(Ok(_)), true) = (answer, framed) {
                assert_eq!(head[4..8], body[4..8], "the answer names another request");
            }
        });
    });
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for key in 0_u8..=61 {
        for version in 0_u8..=12 {
            let mut request = vec![1, 0, key, 0, version, 0, 0, 0, 7, 0, 1, b'c'];
            request.extend_from_slice(&[0; 40]);
            seeds.push(request);
        }
    }
    seeds
}
