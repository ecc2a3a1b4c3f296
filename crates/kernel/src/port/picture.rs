//! The port of pictures: a page of this node's console goes in, a PNG of it comes out.

use bytes::Bytes;
use futures::future::BoxFuture;
use headwater_base::Problem;

/// A page, and how much of it is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// The page's path and query: `/console/dashboards/sales?view=print`.
    pub path: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// Draws pages as a browser does.
pub trait Pictures: Send + Sync {
    /// The page as a PNG.
    ///
    /// # Errors
    /// `HW-CONNECT-120` without a browser, `HW-CONNECT-121` when it draws nothing in time.
    fn take<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Result<Bytes, Problem>>;
}
