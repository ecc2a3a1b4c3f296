//! The HTTP listener's connections: how many, how slow they may be, and how they end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn_with_state;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use headwater_base::Limits;

use crate::http::patience::Patient;
use crate::http::routes;
use crate::http::{Api, observe};

/// How long open requests may go on after the stop signal.
const DRAIN: Duration = Duration::from_secs(5);

/// How long to wait after the system refused to accept a connection, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Headers of one request, at most.
const HEADERS_MAX: usize = 100;

/// Answers requests until `stop` turns true, then lets those under way finish.
pub async fn serve(listener: TcpListener, api: Arc<Api>, stop: watch::Receiver<bool>) {
    let limits = api.limits.clone();
    serve_router(listener, router(api), limits, stop).await;
}

/// The router over all rows.
fn router(api: Arc<Api>) -> Router {
    let mut router = Router::new();
    for route in routes::all() {
        router = router.route(route.path, (route.handler)());
    }
    router.layer(from_fn_with_state(api.clone(), observe::around)).with_state(api)
}

/// The same for any router: connections are bounded and end in one way for all of HTTP.
pub async fn serve_router(listener: TcpListener, router: Router, limits: Arc<Limits>, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(limits.http_connections));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => match places.clone().try_acquire_owned() {
                    Ok(place) => {
                        connections.spawn(connection(socket, peer, router.clone(), limits.clone(), place, stop.clone()));
                    }
                    Err(_) => {
                        connections.spawn(refuse(socket, limits.http_connections));
                    }
                },
                Err(error) => {
                    warn!(%error, "HTTP connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        warn!(connections = connections.len(), "HTTP connections cut off after {DRAIN:?}");
    }
}

async fn connection(
    socket: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: Arc<Limits>,
    _place: OwnedSemaphorePermit,
    mut stop: watch::Receiver<bool>,
) {
    // Without it small answers wait for the client's delayed acknowledgement.
    if let Err(error) = socket.set_nodelay(true) {
        debug!(%error, "no TCP_NODELAY");
    }
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = router.call(request.map(Body::new));
        async move {
            let response: Response<Body> = match answer.await {
                Ok(response) => response,
                Err(impossible) => match impossible {},
            };
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.http_head_ms))
        .max_headers(HEADERS_MAX)
        .max_buf_size(limits.http_head_bytes.max(8 * 1024))
        .serve_connection(TokioIo::new(Patient::new(socket, Duration::from_millis(limits.http_answer_ms))), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%peer, %error, "HTTP connection ended early");
    }
}

/// Resolves once the signal is set, or its other side is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Tells a client beyond the limit why it is turned away.
async fn refuse(mut socket: TcpStream, limit: usize) {
    let body = format!(
        "{{\"type\":\"{}HW-API-016\",\"status\":503,\"code\":\"HW-API-016\",\"title\":\"{limit} HTTP connections are open, which is the limit\"}}",
        crate::http::fault::ERRORS_URL
    );
    let text = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let _ = tokio::time::timeout(Duration::from_secs(1), socket.write_all(text.as_bytes())).await;
}
