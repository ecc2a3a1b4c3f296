//! What units that run tell of themselves, by name: for metrics and for whoever asks after one.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

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

#[cfg(test)]
mod tests {
    use super::*;

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
