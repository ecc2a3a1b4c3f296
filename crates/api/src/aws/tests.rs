//! The listener over a real socket, with ports in memory: what clients send, what they get.

use std::sync::Arc;

use headwater_base::{Limits, ManualClock, Micros};
use headwater_kernel::port::workflows::TaskEnd;
use headwater_kernel::{Kernel, Registry, Setup};
use headwater_log::Log;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::call::Operation;
use super::{Aws, Parts, SERVICES, rest, serve};
use crate::address::listen;
use crate::testing::{exchange, parts};

mod doubles;
mod events;
mod pipes;
mod protocol;
mod scheduler;
mod served;
mod states;

/// Every operation that is served, with its service.
pub(super) fn operations() -> impl Iterator<Item = (&'static str, &'static Operation)> {
    let by_target = SERVICES.iter().flat_map(|service| {
        let operations = service.operations.iter().copied().flatten();
        operations.map(move |operation| (service.name, operation))
    });
    let by_path = rest::SERVICES.iter().flat_map(|service| {
        let rows = service.rows.iter().copied().flatten();
        rows.map(move |row| (service.name, &row.operation))
    });
    by_target.chain(by_path)
}

struct House {
    address: std::net::SocketAddr,
    stop: watch::Sender<bool>,
    served: tokio::task::JoinHandle<()>,
    kernel: Arc<Kernel>,
    aws: Arc<Aws>,
    engine: Arc<doubles::Engine>,
    buses: Arc<doubles::Buses>,
    folder: tempfile::TempDir,
}

async fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let limits = Arc::new(Limits { http_body_bytes: 4 << 20, ..Limits::default() });
    let clock = Arc::new(ManualClock::at(Micros(1_700_000_000_000_000)));
    let log: Arc<dyn Log> = headwater_log::EmbeddedLog::open(folder.path(), limits.clone(), clock.clone()).unwrap();
    let kinds = [
        doubles::open("Workflow", "workflows"),
        doubles::open("Activity", "activities"),
        doubles::open("Rule", "rules"),
        doubles::open("Archive", "archives"),
        doubles::open("Destination", "destinations"),
        doubles::open("Schedule", "schedules"),
        doubles::open("Pipe", "pipes"),
    ];
    let registry = Registry::new(&kinds);
    let setup = Setup { log, folder: folder.path().to_owned(), clock, limits, registry, seed: 7 };
    let kernel = Kernel::open(setup).await.unwrap();
    kernel.start(Vec::new());
    let (stop, stopped) = watch::channel(false);
    let (engine, buses) = (doubles::engine(), Arc::<doubles::Buses>::default());
    let aws = Aws::new(Parts { kernel: kernel.clone(), workflows: engine.clone(), bus: buses.clone(), stop: stopped });
    let listener = listen("127.0.0.1:0".parse().unwrap(), "AWS clients").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(serve(listener, aws.clone()));
    let house = House { address, stop, served, kernel, aws, engine, buses, folder };
    let default = "apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: bus.default}\nspec: {partitions: 1}\n";
    let drafts = house.kernel.registry().read("default.yaml", default.as_bytes(), &Limits::default()).unwrap();
    house.aws.write(drafts).await.unwrap();
    house
}

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261128/eu-west-1/states/aws4_request, \
                      SignedHeaders=host, Signature=00";

impl House {
    async fn raw(&self, text: &str) -> (u16, String, String) {
        let answer = exchange(self.address, text).await;
        let (status, head, body) = parts(&answer);
        (status, head.to_owned(), body.to_owned())
    }

    async fn with(&self, target: &str, headers: &str, body: &str) -> (u16, String, String) {
        self.raw(&format!(
            "POST / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\nx-amz-target: \
             {target}\r\nauthorization: {SIGNED}\r\n{headers}\r\n{body}",
            self.address,
            body.len()
        ))
        .await
    }

    /// An operation's answer.
    async fn ok(&self, target: &str, body: Value) -> Value {
        let (status, _, answer) = self.with(target, "", &body.to_string()).await;
        assert_eq!(status, 200, "{target}: {answer}");
        if answer.is_empty() { Value::Null } else { serde_json::from_str(&answer).unwrap() }
    }

    /// What an operation is refused with.
    async fn no(&self, target: &str, body: Value) -> String {
        let (status, _, answer) = self.with(target, "", &body.to_string()).await;
        assert_ne!(status, 200, "{target}: {answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        format!("{}: {}", answer["__type"].as_str().unwrap(), answer["message"].as_str().unwrap())
    }

    /// The answer of an operation behind a path: status, exception and body.
    async fn at(&self, request: &str, body: Option<Value>) -> (u16, String, Value) {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let service = if request.contains("pipe") { "pipes" } else { "scheduler" };
        let (status, head, answer) = self
            .raw(&format!(
                "{request} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\nauthorization: {}\r\n\r\n\
                 {body}",
                self.address,
                body.len(),
                SIGNED.replace("/states/", &format!("/{service}/"))
            ))
            .await;
        let kind = head.lines().find_map(|line| line.strip_prefix("x-amzn-errortype: ")).unwrap_or_default();
        (status, kind.to_owned(), serde_json::from_str(&answer).unwrap_or_default())
    }

    /// What an operation behind a path answers.
    async fn found(&self, request: &str, body: Option<Value>) -> Value {
        let (status, kind, answer) = self.at(request, body).await;
        assert_eq!((status, kind.as_str()), (200, ""), "{request}: {answer}");
        answer
    }

    /// What an operation behind a path is refused with.
    async fn lost(&self, request: &str, body: Option<Value>) -> String {
        let (status, kind, answer) = self.at(request, body).await;
        assert_ne!(status, 200, "{request}: {answer}");
        assert_eq!(answer["message"], answer["Message"]);
        format!("{status} {kind}: {}", answer["message"].as_str().unwrap())
    }

    async fn stop(self) -> tempfile::TempDir {
        self.stop.send_replace(true);
        self.served.await.unwrap();
        self.kernel.stop().await;
        self.folder
    }
}
