//! A turn's Map Runs: their rows, from the step that begins one to the one that takes its end.

use super::{After, Around, Turn};
use crate::engine::index::run_name;
use crate::engine::map_run::{self, Progress};
use crate::engine::rows::{self, Tag};
use crate::execution::history::Details;
use crate::execution::{Attempt, MapRun};

impl Turn {
    /// Begins a Map Run, or goes on with the one that the state had before it was taken up again.
    pub(super) fn begin_map(&mut self, mut run: MapRun, around: &Around<'_>) {
        let attempt = run.attempt;
        let earlier = run.redrive.then(|| around.inner.earlier(&self.key, &self.head.maps, &attempt)).flatten();
        if let Some((before, progress)) = earlier {
            let drawn = std::mem::replace(&mut run.arn, progress.arn.clone());
            if let Some((_, label)) = run.arn.rsplit_once(':').and_then(|(rest, _)| rest.rsplit_once('/')) {
                run.label = label.to_owned();
            }
            for event in &mut self.history {
                if let Details::MapRun { arn } = &mut event.details
                    && *arn == drawn
                {
                    arn.clone_from(&run.arn);
                }
            }
            self.head.maps.retain(|one| *one != before);
            for tag in [Tag::Progress, Tag::Bounds] {
                self.rows.insert(rows::row(&self.key, tag, &rows::attempt_bytes(&before)), None);
            }
            // Where it was stopped and is not done with that, it need not be.
            self.drop_map(&before);
            self.put_progress(&attempt, &progress.redrive(around.now));
        } else {
            let arn = self.execution.identity.execution_arn.clone();
            self.put_progress(&attempt, &around.inner.begun(&run, arn));
            self.named.push((run_name(&run.arn), attempt));
        }
        self.put_map(&run, false, around);
        self.head.maps.push(attempt);
        self.after.push(After::RunMap(attempt));
    }

    fn put_progress(&mut self, attempt: &Attempt, progress: &Progress) {
        let row = rows::row(&self.key, Tag::Progress, &rows::attempt_bytes(attempt));
        self.rows.insert(row, Some(progress.encode()));
    }

    fn put_map(&mut self, run: &MapRun, stopped: bool, around: &Around<'_>) {
        let row = rows::row(&self.key, Tag::MapRun, &rows::attempt_bytes(&run.attempt));
        let (encoded, mut large) = map_run::encode(run, stopped, around.inner.inline_max());
        self.large.append(&mut large);
        self.rows.insert(row, Some(encoded));
    }

    /// Marks a Map Run that nobody waits for any more: it has to write down what there is before its row goes.
    pub(super) fn stop_map(&mut self, attempt: Attempt, around: &Around<'_>) {
        let row = rows::row(&self.key, Tag::MapRun, &rows::attempt_bytes(&attempt));
        let Some(bytes) = self.row(&row, around) else { return };
        let found = map_run::decode(&bytes, &|hash| self.fetch(hash, around));
        match found {
            Some((run, _)) => self.put_map(&run, true, around),
            None => self.drop_map(&attempt),
        }
        self.after.push(After::StopMap(attempt));
    }

    /// A Map Run has ended. One that has not said so itself met a bug: what it began may run on, with nobody waiting.
    pub(super) fn end_map(&mut self, attempt: Attempt, around: &Around<'_>) {
        let row = rows::row(&self.key, Tag::Progress, &rows::attempt_bytes(&attempt));
        let progress = self.row(&row, around).and_then(|bytes| Progress::decode(&bytes));
        if progress.is_some_and(|progress| progress.is_running()) {
            self.stop_map(attempt, around);
        } else {
            self.drop_map(&attempt);
        }
    }

    /// Removes what a Map Run works from; its figures stay.
    pub(super) fn drop_map(&mut self, attempt: &Attempt) {
        self.rows.insert(rows::row(&self.key, Tag::MapRun, &rows::attempt_bytes(attempt)), None);
    }
}
