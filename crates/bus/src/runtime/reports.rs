//! A report as it runs: what is due becomes an event, and events go to destinations. Two subscriptions, one unit.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::BoxFuture;
use headwater_base::{Micros, Problem};
use headwater_kernel::resource::Status;
use headwater_kernel::unit::Unit;

use crate::runtime::buses::Handed;
use crate::runtime::figures::Figures;

/// A running report.
pub(super) struct Report {
    /// Makes reports when they are due.
    pub(super) draw: Arc<Handed>,
    /// Sends them.
    pub(super) post: Arc<Handed>,
}

impl Unit for Report {
    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.draw.stop().await;
            self.post.stop().await;
        })
    }

    fn finished(&self) -> BoxFuture<'_, Result<(), Problem>> {
        Box::pin(async {
            tokio::select! {
                result = self.draw.finished() => result,
                result = self.post.finished() => result,
            }
        })
    }

    fn status(&self) -> Status {
        let (draw, post) = (self.draw.figures(), self.post.figures());
        let time = |time: i64, never: &str| if time == 0 { never.to_owned() } else { Micros(time).to_string() };
        let next = draw.next.load(Ordering::Relaxed);
        let last = time(draw.last.load(Ordering::Relaxed), "never");
        let waiting = Figures::read(&draw.pending) + Figures::read(&post.pending);
        let dead = Figures::read(&draw.dead) + Figures::read(&post.dead);
        let sent = Figures::read(&post.delivered);
        let told = format!(
            "next {}, last {last}; {sent} sent, {waiting} wait, {dead} dead letters",
            time(next, "never again")
        );
        let fault = draw.fault.lock().clone().or_else(|| post.fault.lock().clone());
        match fault {
            Some(fault) => Status::failed("Failing", format!("{told}; last error: {fault}")),
            None => Status::ready(if next == 0 { "Over" } else { "Running" }, told),
        }
    }
}
