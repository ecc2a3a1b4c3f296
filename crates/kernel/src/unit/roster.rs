//! What units that run tell of themselves, by name: for metrics, for their status and for whoever asks after one.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use headwater_base::Problem;
use parking_lot::RwLock;

use super::Unit;
use crate::resource::Status;

/// The units of one kind that run, each with its figures. Cheap to clone.
pub struct Roster<F>(Arc<RwLock<BTreeMap<String, Arc<F>>>>);

impl<F> Clone for Roster<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F> Default for Roster<F> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<F> Roster<F> {
    /// A unit runs. One of the same name that is still there is forgotten.
    pub fn enter(&self, name: &str, figures: Arc<F>) {
        self.0.write().insert(name.to_owned(), figures);
    }

    /// A unit has been stopped; the one that has taken its place meanwhile stays.
    pub fn leave(&self, name: &str, figures: &Arc<F>) {
        let mut running = self.0.write();
        if running.get(name).is_some_and(|known| Arc::ptr_eq(known, figures)) {
            running.remove(name);
        }
    }

    /// The figures of a unit.
    pub fn get(&self, name: &str) -> Option<Arc<F>> {
        self.0.read().get(name).cloned()
    }

    /// Something of every unit, in the order of names.
    pub fn each<T>(&self, of: impl Fn(&F) -> T) -> Vec<(String, T)> {
        self.0.read().iter().map(|(name, figures)| (name.clone(), of(figures))).collect()
    }
}

impl<F: Send + Sync + 'static> Roster<F> {
    /// Enters a unit that runs, be it a [`Task`](super::Task) or a [`Thread`](super::Thread). The answer is that unit,
    /// which leaves once it has been stopped; `status` is what its figures have to say of it.
    pub fn keep(&self, name: &str, figures: Arc<F>, unit: Arc<dyn Unit>, status: fn(&F) -> Status) -> Arc<dyn Unit> {
        self.enter(name, Arc::clone(&figures));
        Arc::new(Kept { unit, name: name.to_owned(), figures, roster: self.clone(), status })
    }
}

/// A unit that is in a roster while it runs.
struct Kept<F> {
    unit: Arc<dyn Unit>,
    name: String,
    figures: Arc<F>,
    roster: Roster<F>,
    status: fn(&F) -> Status,
}

impl<F: Send + Sync + 'static> Unit for Kept<F> {
    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.unit.stop().await;
            self.roster.leave(&self.name, &self.figures);
        })
    }

    fn finished(&self) -> BoxFuture<'_, Result<(), Problem>> {
        self.unit.finished()
    }

    fn status(&self) -> Status {
        (self.status)(&self.figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Task;

    #[tokio::test]
    async fn a_unit_is_in_it_until_it_has_been_stopped() {
        let roster = Roster::default();
        let task = Task::spawn("a", |mut stop| async move {
            stop.wait().await;
            Ok(())
        });
        let unit = roster.keep("a", Arc::new(3_u64), task, |figures| Status::ready("Running", figures.to_string()));
        assert_eq!(roster.each(|figures| *figures), [("a".to_owned(), 3)]);
        assert_eq!(unit.status(), Status::ready("Running", "3"));
        unit.stop().await;
        assert_eq!(roster.get("a"), None);
        assert_eq!(unit.finished().await, Ok(()));
    }

    #[test]
    fn who_has_been_replaced_leaves_nobody_out() {
        let roster = Roster::default();
        let (first, second) = (Arc::new(1), Arc::new(2));
        roster.enter("a", Arc::clone(&first));
        roster.enter("a", Arc::clone(&second));
        roster.leave("a", &first);
        assert_eq!(roster.each(|figures| *figures), [("a".to_owned(), 2)]);
        roster.leave("a", &second);
        assert_eq!(roster.get("a"), None);
    }
}
