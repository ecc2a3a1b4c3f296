//! What clients' tables are called.
//!
//! Invariant: a name changes in one commit of the log, which takes the pointer from the old key and puts it at the new
//! one: at every moment, and after every crash, the table has one name. Its files stay where they are.

use bytes::Bytes;
use headwater_base::Problem;
use headwater_kernel::port::Catalog as _;
use headwater_kernel::port::catalog::Identifier;
use headwater_log::{Delta, View};

use super::{LakeCatalog, SPACE, check_name, no_table, table_key, writable};

impl LakeCatalog {
    /// Moves a table's pointer to another name.
    pub(super) async fn rename(&self, from: Identifier, to: Identifier) -> Result<(), Problem> {
        writable(&from.namespace)?;
        writable(&to.namespace)?;
        check_name(&to.name)?;
        let _turn = self.0.turn.lock().await;
        self.namespace(&from.namespace)?;
        self.namespace(&to.namespace)?;
        let key = table_key(&from.namespace, &from.name);
        let pointer = self.lake().log().get(SPACE, &key, View::Appended);
        let pointer = pointer.ok_or_else(|| no_table(&from.namespace, &from.name))?;
        self.free(&to.namespace, &to.name)?;
        let there = Bytes::from(table_key(&to.namespace, &to.name));
        let moved = vec![Delta { key: Bytes::from(key), value: None }, Delta { key: there, value: Some(pointer) }];
        self.write(moved).await
    }

    /// Refuses a name that is taken; for who holds the turn.
    pub(super) fn free(&self, namespace: &str, name: &str) -> Result<(), Problem> {
        if self.lake().log().get(SPACE, &table_key(namespace, name), View::Appended).is_none() {
            return Ok(());
        }
        Err(Problem::new("HW-LAKE-031", format!("there is a table `{name}` in `{namespace}` already")))
    }
}
