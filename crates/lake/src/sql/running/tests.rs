//! What planning leaves to others.

use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::apart;

/// On the only thread that there is.
#[test]
fn what_is_planned_keeps_no_thread_from_others() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let ((begins, begun), (ends, ended)) = (oneshot::channel(), mpsc::channel());
    let planned = runtime.spawn(async move {
        apart(async {
            begins.send(()).unwrap();
            ended.recv_timeout(Duration::from_secs(30)).is_ok()
        })
    });
    runtime.block_on(begun).unwrap();
    runtime.spawn(async move { ends.send(()).unwrap() });
    assert!(runtime.block_on(planned).unwrap(), "another task ends it");
}
