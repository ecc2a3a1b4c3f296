//! The buckets of a node: Bucket resources, opened when files of theirs are first asked for, and again after a change.
//!
//! What it is NOT: a connection. Opening asks nobody; the first request for a file does.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use headwater_base::Problem;
use headwater_kernel::resource::Resource;
use headwater_kernel::{Kernel, kind};
use object_store::ObjectStore;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::bucket::{Bucket, Unanswered};
use super::hushed::Hushed;
use super::s3;
use crate::kinds::bucket::BucketSpec;

/// Lists the Bucket resources.
pub type List = Arc<dyn Fn() -> Vec<Arc<Resource>> + Send + Sync>;

/// Makes the objects of a bucket out of its spec.
pub type Open = Arc<dyn Fn(&BucketSpec) -> Result<Arc<dyn ObjectStore>, Problem> + Send + Sync>;

/// The buckets of a node. Cheap to clone.
#[derive(Clone, Default)]
pub struct Buckets(Option<Arc<Inner>>);

struct Inner {
    list: List,
    open: Open,
    home: Option<Handle>,
    opened: Mutex<HashMap<String, Opened>>,
}

struct Opened {
    uid: String,
    generation: u64,
    bucket: Arc<Bucket>,
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Buckets")
    }
}

impl Buckets {
    /// Of a process that has no resources.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Those of a node. Requests run on `home`; keys are read from their secrets for each of them.
    pub fn of_node(kernel: &Arc<Kernel>, home: Handle) -> Self {
        let (node, secrets) = (Arc::downgrade(kernel), Arc::clone(kernel.secrets()));
        let list = move || node.upgrade().map(|kernel| kernel.list(Some("Bucket"))).unwrap_or_default();
        let requests = home.clone();
        let open = move |spec: &BucketSpec| s3::open(spec, &secrets, requests.clone());
        Self::new(Arc::new(list), Arc::new(open), Some(home))
    }

    /// Those that `list` tells of, as `open` makes them.
    pub fn new(list: List, open: Open, home: Option<Handle>) -> Self {
        Self(Some(Arc::new(Inner { list, open, home, opened: Mutex::default() })))
    }

    /// The bucket of a resource.
    ///
    /// # Errors
    /// `HW-LAKE-062` when there is none, or it cannot be opened.
    pub fn named(&self, name: &str) -> Result<Arc<Bucket>, Problem> {
        let mut resources = self.0.iter().flat_map(|inner| (inner.list)());
        let resource = resources.find(|resource| resource.metadata.name.as_str() == name);
        match (&self.0, resource) {
            (Some(inner), Some(resource)) => inner.bucket(&resource),
            _ => Err(Problem::new("HW-LAKE-062", format!("there is no bucket `{name}`"))
                .help("`headwater get buckets` lists them")),
        }
    }

    /// The bucket that a location is in.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn of(&self, location: &str) -> io::Result<Arc<Bucket>> {
        let unanswered = |fact: String| io::Error::other(Unanswered(fact));
        let none = || unanswered("no Bucket resource is the one of it".to_owned());
        let inner = self.0.as_ref().ok_or_else(none)?;
        let (mut found, mut fault): (Option<Arc<Bucket>>, Option<String>) = (None, None);
        for resource in (inner.list)() {
            match inner.bucket(&resource) {
                Ok(bucket) if !bucket.has(location) => {}
                Ok(bucket) => match found.take() {
                    Some(other) if other.root == bucket.root => {
                        return Err(unanswered(format!(
                            "`{}` and `{}` are both the bucket of it",
                            other.name, bucket.name
                        )));
                    }
                    Some(other) if other.root.len() > bucket.root.len() => found = Some(other),
                    _ => found = Some(bucket),
                },
                Err(problem) => fault = Some(problem.title),
            }
        }
        found.ok_or_else(|| fault.map_or_else(none, unanswered))
    }
}

impl Inner {
    fn bucket(&self, resource: &Resource) -> Result<Arc<Bucket>, Problem> {
        let metadata = &resource.metadata;
        let mut opened = self.opened.lock();
        if let Some(known) = opened.get(metadata.name.as_str())
            && (&known.uid, known.generation) == (&metadata.uid, metadata.generation)
        {
            return Ok(Arc::clone(&known.bucket));
        }
        let spec: BucketSpec = kind::decode(resource.effective(), "/spec", &resource.draft().origin)?;
        let bucket = Arc::new(Bucket {
            name: metadata.name.to_string(),
            root: spec.root(),
            settings: spec.reader_settings(),
            store: Arc::new(Hushed((self.open)(&spec)?)),
            home: self.home.clone(),
        });
        let (uid, generation) = (metadata.uid.clone(), metadata.generation);
        opened.insert(bucket.name.clone(), Opened { uid, generation, bucket: Arc::clone(&bucket) });
        Ok(bucket)
    }
}
