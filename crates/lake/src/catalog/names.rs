//! What clients' tables and views are called. A namespace has no table and view of one name.
//!
//! Invariant: a name changes in one commit of the log, which takes what stands at the old key and puts it at the new one:
//! at every moment, and after every crash, a table has one name. Its files stay where they are.

use bytes::Bytes;
use headwater_base::Problem;
use headwater_kernel::port::Catalog as _;
use headwater_kernel::port::catalog::{DATASETS, Identifier};
use headwater_log::{Delta, View};

use super::{LakeCatalog, SPACE, Thing, check_name, views, writable};

impl LakeCatalog {
    /// Moves a table or view to another name.
    pub(super) async fn rename(&self, thing: Thing, from: Identifier, to: Identifier) -> Result<(), Problem> {
        if from.namespace == DATASETS {
            let fact = format!("the tables of `{DATASETS}` are fed by streams, and have the names of their Datasets");
            let help = "apply a Dataset of another name over the same stream, and delete this one";
            return Err(Problem::new("HW-LAKE-033", fact).help(help));
        }
        writable(&to.namespace)?;
        check_name(&to.name)?;
        let _turn = self.0.turn.lock().await;
        let here = thing.key(&from.namespace, &from.name);
        let value = self.lake().log().get(SPACE, &here, View::Appended);
        let value = value.ok_or_else(|| thing.missing(&from.namespace, &from.name))?;
        self.namespace(&to.namespace)?;
        self.free(&to.namespace, &to.name)?;
        let there = thing.key(&to.namespace, &to.name);
        let mut deltas =
            vec![Delta { key: Bytes::from(here), value: None }, Delta { key: Bytes::from(there), value: Some(value) }];
        deltas.extend(match thing {
            Thing::Table => None,
            Thing::View => Some(views::mark()),
        });
        self.write(deltas).await
    }

    /// Refuses a name that is taken; for who holds the turn.
    pub(super) fn free(&self, namespace: &str, name: &str) -> Result<(), Problem> {
        let is_there =
            |thing: &Thing| self.lake().log().get(SPACE, &thing.key(namespace, name), View::Appended).is_some();
        match Thing::ALL.into_iter().find(is_there) {
            None => Ok(()),
            Some(thing) => {
                let fact = format!("there is a {} `{name}` in `{namespace}` already", thing.word());
                Err(Problem::new("HW-LAKE-031", fact))
            }
        }
    }
}
