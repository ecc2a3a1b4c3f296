//! Tables of which nothing is asked but transactions, and those the test makes.

use std::sync::Arc;

use futures::future::BoxFuture;
use headwater_base::{Name, Problem};
use headwater_kernel::port::tables::{Page, Query, Tell, TransactError, Transacted, Write, Written};
use headwater_kernel::port::{Document, Json, Tables};
use headwater_log::Commit;

struct Made<F>(F);

/// Tables whose transactions `transact` makes.
pub(super) fn made_by<F>(transact: F) -> Arc<dyn Tables>
where
    F: Fn(&[Write], &mut Commit, &mut Tell<'_>) -> Result<Transacted, TransactError> + Send + Sync + 'static,
{
    Arc::new(Made(transact))
}

impl<F> Tables for Made<F>
where
    F: Fn(&[Write], &mut Commit, &mut Tell<'_>) -> Result<Transacted, TransactError> + Send + Sync,
{
    fn get(&self, _: &str, _: &str) -> Result<Option<Document>, Problem> {
        Ok(None)
    }

    fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<Document>, Problem> {
        Ok(Vec::new())
    }

    fn put<'a>(
        &'a self,
        _: &'a Name,
        _: &'a str,
        _: Option<Json>,
        _: Option<u64>,
    ) -> BoxFuture<'a, Result<u64, Problem>> {
        Box::pin(async { Ok(1) })
    }

    fn generation(&self, _: &str) -> u64 {
        0
    }

    fn key_field(&self, _: &str) -> Result<Option<String>, Problem> {
        Ok(None)
    }

    fn transact_telling(
        &self,
        writes: &[Write],
        also: &mut Commit,
        tell: &mut Tell<'_>,
    ) -> Result<Transacted, TransactError> {
        (self.0)(writes, also, tell)
    }

    fn write<'a>(&'a self, _: &'a [Write]) -> BoxFuture<'a, Result<Vec<Written>, TransactError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn query(&self, _: &str, _: &Query) -> Result<Page, Problem> {
        Ok(Page { documents: Vec::new(), next: None, scanned: 0 })
    }
}
