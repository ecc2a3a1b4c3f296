use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use headwater_base::Problem;
use headwater_kernel::resource::Resource;
use headwater_store::disk::MemoryDisk;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as Stored,
};
use serde_json::json;

use super::*;
use crate::kinds::bucket::BucketSpec;
use crate::testing::now;

/// A Bucket resource.
pub(crate) fn resource(name: &str, bucket: &str, prefix: &str) -> Arc<Resource> {
    let spec = json!({"bucket": bucket, "prefix": prefix, "endpoint": "http://127.0.0.1:1",
        "accessKeyId": {"secret": "id"}, "secretAccessKey": {"secret": "key"}});
    let resource =
        json!({"apiVersion": "headwater.dev/v1", "kind": "Bucket", "metadata": {"name": name}, "spec": spec});
    Arc::new(serde_json::from_value(resource).unwrap())
}

/// Files on a disk and in buckets that are all the same store.
pub(crate) fn files_in(store: &Arc<dyn ObjectStore>, resources: Vec<Arc<Resource>>) -> Files {
    let store = Arc::clone(store);
    let open = move |_: &BucketSpec| -> std::result::Result<Arc<dyn ObjectStore>, Problem> { Ok(Arc::clone(&store)) };
    let buckets = Buckets::new(Arc::new(move || resources.clone()), Arc::new(open), None);
    Files::with_buckets(Arc::new(MemoryDisk::default()), buckets)
}

fn one() -> (Arc<dyn ObjectStore>, Files) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let files = files_in(&store, vec![resource("lake", "acme", "p")]);
    (store, files)
}

const AT: &str = "s3://acme/p/orders/1";

#[test]
fn objects_are_written_read_listed_and_removed_beside_files() {
    let (store, files) = one();
    files.create_folders("file:///d/t", std::path::Path::new("/")).unwrap();
    for place in [AT, "file:///d/t"] {
        let (data, metadata) = (format!("{place}/data/a"), format!("{place}/metadata/b"));
        now(files.write(&data, Bytes::from_static(b"rows"))).unwrap();
        now(files.write(&metadata, Bytes::from_static(b"more"))).unwrap();
        assert_eq!(now(files.read(&data)).unwrap(), "rows");
        let input = files.io().new_input(&data).unwrap();
        assert!(now(input.exists()).unwrap());
        assert_eq!(now(input.metadata()).unwrap().size, 4);
        assert_eq!(now(now(input.reader()).unwrap().read(1..3)).unwrap(), "ow");
        let mut there = now(files.list(place)).unwrap();
        there.sort();
        assert_eq!(there, [data.clone(), metadata.clone()]);
        files.discard(vec![data.clone(), format!("{place}/data/never")]);
        assert!(!now(files.io().new_input(&data).unwrap().exists()).unwrap());
        assert_eq!(now(files.list(place)).unwrap(), [metadata]);
        let (done, is_done) = std::sync::mpsc::channel();
        files.discard_folder(place.to_owned(), move |is_gone| done.send(is_gone).unwrap());
        assert_eq!(is_done.try_recv(), Ok(true));
        assert!(now(files.list(place)).unwrap().is_empty());
    }
    assert!(now(store.head(&Path::from("p/orders/1/metadata/b"))).is_err());
}

#[test]
fn what_is_large_goes_in_parts_and_comes_back_whole() {
    let (store, files) = one();
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[2]).collect();
    let mut writer = now(files.io().new_output(format!("{AT}/data/large")).unwrap().writer()).unwrap();
    for chunk in bytes.chunks(3_000_000) {
        assert!(now(store.head(&Path::from("p/orders/1/data/large"))).is_err(), "nothing is there before the end");
        now(writer.write(Bytes::copy_from_slice(chunk))).unwrap();
    }
    now(writer.close()).unwrap();
    assert!(now(files.read(&format!("{AT}/data/large"))).unwrap() == bytes);
}

#[test]
fn a_location_is_in_the_bucket_with_the_longest_prefix_and_in_no_other() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let files =
        files_in(&store, vec![resource("a", "acme", "p"), resource("b", "acme", "p/q"), resource("c", "other", "p")]);
    let of = |location: &str| files.buckets().of(location).map(|bucket| bucket.name.clone());
    assert_eq!(of("s3://acme/p/orders/1/data/x").unwrap(), "a");
    assert_eq!(of("s3://acme/p/q/orders/1/data/x").unwrap(), "b");
    assert_eq!(of("s3://acme/p/quick/1/data/x").unwrap(), "a");
    let none = of("s3://acme/prefix/x").err().unwrap();
    assert_eq!(Unanswered::behind(&none).unwrap().0, "no Bucket resource is the one of it");
    let twice = files_in(&store, vec![resource("a", "acme", "p"), resource("b", "acme", "p")]);
    let both = twice.buckets().of("s3://acme/p/x").err().unwrap();
    assert_eq!(both.to_string(), "`a` and `b` are both the bucket of it");
    assert_eq!(twice.buckets().named("d").err().unwrap().code, "HW-LAKE-062");
}

/// A store that can be told to take nothing more, or to take its time.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    inner: InMemory,
    pub closed: AtomicBool,
    /// Nothing is written or read while somebody has it.
    pub slow: tokio::sync::RwLock<()>,
}

impl std::fmt::Display for Closing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Closing")
    }
}

impl Closing {
    fn open(&self) -> Stored<&InMemory> {
        if self.closed.load(Ordering::SeqCst) {
            let source = "status code: 503 Slow Down: <Error>key id</Error>".into();
            return Err(object_store::Error::Generic { store: "S3", source });
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl ObjectStore for Closing {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Stored<PutResult> {
        let _waited = self.slow.read().await;
        self.open()?.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Stored<Box<dyn MultipartUpload>> {
        self.open()?.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Stored<GetResult> {
        let _waited = self.slow.read().await;
        self.open()?.get_opts(at, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Stored<Path>>) -> BoxStream<'static, Stored<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Stored<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Stored<ListResult> {
        self.open()?.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Stored<()> {
        self.open()?.copy_opts(from, to, options).await
    }
}

#[test]
fn a_bucket_that_does_not_answer_is_told_apart_from_the_disk() {
    let closing = Arc::new(Closing::default());
    let store: Arc<dyn ObjectStore> = closing.clone();
    let files = files_in(&store, vec![resource("lake", "acme", "p")]);
    closing.closed.store(true, Ordering::SeqCst);
    let error = now(files.io().new_input(format!("{AT}/data/a")).unwrap().read()).unwrap_err();
    let problem = crate::tables::unusable("orders", &error);
    assert_eq!(problem.code, "HW-LAKE-063");
    assert!(problem.title.contains("503 Slow Down") && !format!("{problem:?}").contains("key id"), "{problem:?}");
    closing.closed.store(false, Ordering::SeqCst);
    let error = now(files.io().new_input(format!("{AT}/data/a")).unwrap().read()).unwrap_err();
    assert!(crate::tables::unusable("orders", &error).title.contains("there is no such object"));
}

#[test]
fn what_climbs_out_of_a_folder_is_not_in_it() {
    let is_in = |location: &str| is_in_folder(location, "file:///d/t");
    assert!(is_in("file:///d/t/data/a") && is_in("file:///d/t/a.parquet") && is_in("file:/d/t/a"));
    let others = ["/d/t/a", "s3://d/t/a", "file:d/t/a", "file:/d/t/../u/a", "file:////d/t/a", "file://host/d/t/a"];
    for location in
        ["file:///d/t", "file:///d/table/a", "file:///d/t/../u/a", "file:///d/t/.."].into_iter().chain(others)
    {
        assert!(!is_in(location), "{location}");
    }
    // What is on the disk is in no bucket, whatever it is called.
    for location in ["file://s3://d/t/a", "file:s3://d/t/a"] {
        assert!(!is_in_folder(location, "s3://d/t"), "{location}");
    }
}
