//! Opens listeners, on loopback addresses only until there is authentication.

use std::net::SocketAddr;

use headwater_base::Problem;
use tokio::net::TcpListener;

/// Listens on `address` for `what` (`HTTP`, `Kafka`), which the error names.
///
/// # Errors
/// `HW-API-001` for an address that other machines can reach, `HW-API-022` when the system refuses it, most often
/// because another program has the port.
pub async fn listen(address: SocketAddr, what: &str) -> Result<TcpListener, Problem> {
    if !address.ip().is_loopback() {
        return Err(Problem::new(
            "HW-API-001",
            format!("the {what} address `{address}` can be reached from outside this machine"),
        )
        .because("there is no authentication yet, so that anyone who reaches the port could read and change everything")
        .help(format!(
            "use `127.0.0.1:{}` and, from elsewhere, an SSH tunnel or a proxy that authenticates",
            address.port()
        )));
    }
    TcpListener::bind(address).await.map_err(|error| {
        Problem::new("HW-API-022", format!("cannot listen for {what} on `{address}`"))
            .because(error)
            .help("stop the program that has the port, or move all ports with `--port-offset N`")
    })
}

#[cfg(test)]
mod tests;
