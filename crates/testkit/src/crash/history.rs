//! What one client asked for, in its order, and how far that was promised: after a crash any state from the promised
//! one on is right, and no other.

/// The states of something that one client changes.
#[derive(Clone, Debug)]
pub(super) struct History<S> {
    /// The promised state, and those that later steps would make of it.
    states: Vec<S>,
}

impl<S: Clone + PartialEq> History<S> {
    pub fn new(state: S) -> Self {
        Self { states: vec![state] }
    }

    /// The state after everything that was asked for.
    pub fn latest(&self) -> Option<&S> {
        self.states.last()
    }

    /// Another step is on its way.
    pub fn sent(&mut self, state: S) {
        self.states.push(state);
    }

    /// Everything sent is durable.
    pub fn promised(&mut self) {
        self.states.drain(..self.states.len().saturating_sub(1));
    }

    /// Whether this is what a crash may leave; from now on it is the state.
    pub fn found(&mut self, state: S) -> bool {
        let right = self.states.contains(&state);
        self.states = vec![state];
        right
    }
}
