//! A broker and nothing else: a log in a folder behind the Kafka listener, for clients' own test suites.
//! `cargo run -p headwater-api --example broker -- FOLDER PORT`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::sync::Arc;

use headwater_api::kafka::{KafkaService, Settings, serve};
use headwater_base::Limits;
use headwater_kernel::SystemClock;
use headwater_log::{EmbeddedLog, groups::Groups};
use tokio::sync::watch;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("a folder");
    let port: u16 = arguments.next().expect("a port").parse().expect("a port");
    let (limits, clock) = (Arc::new(Limits::default()), Arc::new(SystemClock::default()));
    let log = EmbeddedLog::open(folder, limits.clone(), clock.clone()).expect("the log");
    let groups = Groups::open(log.clone(), clock.clone(), limits.clone());
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(groups.clone().run(stopped.clone()));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port");
    let port = listener.local_addr().unwrap().port();
    println!("ready on {port}");
    let service = Arc::new(KafkaService::new(log.clone(), groups, limits, clock, Settings::local(port)));
    let served = tokio::spawn(serve(vec![listener], service, stopped));
    tokio::signal::ctrl_c().await.unwrap();
    stop.send(true).unwrap();
    served.await.unwrap();
    log.close().unwrap();
}
