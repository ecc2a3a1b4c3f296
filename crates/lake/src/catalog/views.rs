//! Views: statements under a name, in the dialects of those who made them.
//!
//! A view is a value of the log: its metadata as a whole, and where the same metadata lies as a file, because the
//! specification gives it a place. What it is NOT: nothing here reads a statement (`sql/views.rs` does).
//!
//! Invariant: the file is durable before the log leads to it. Each change of a view also changes the mark of all views,
//! so that an answer that was computed through a view can be told to be old.
//!
//! # Source
//! Iceberg view specification, version 1.

use std::collections::HashMap;

use bytes::Bytes;
use headwater_base::Problem;
use headwater_kernel::port::Catalog as _;
use headwater_kernel::port::catalog::TableAt;
use headwater_log::{Delta, View};
use iceberg::ViewUpdate;
use iceberg::spec::{Schema, ViewFormatVersion, ViewMetadata, ViewMetadataBuilder, ViewVersion};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{LakeCatalog, SPACE, Thing, check_name, malformed, refused, shown, writable};
use crate::commit::Garbage;

/// The metadata of a view, as JSON.
const BYTES_MAX: usize = 256 << 10;
/// The key of the mark of all views.
const MARK: &[u8] = b"views";

/// What the log has of a view.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    /// Where the metadata lies as a file.
    location: String,
    metadata: ViewMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct CreateView {
    name: String,
    #[serde(default)]
    location: Option<String>,
    schema: Schema,
    view_version: ViewVersion,
    #[serde(default)]
    properties: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
struct CommitView {
    #[serde(default)]
    requirements: Vec<Requirement>,
    #[serde(default)]
    updates: Vec<ViewUpdate>,
}

/// What has to be true of a view before it changes.
#[derive(Deserialize)]
#[serde(tag = "type")]
enum Requirement {
    #[serde(rename = "assert-view-uuid")]
    Uuid { uuid: String },
}

impl LakeCatalog {
    /// Whether a client made that view.
    pub fn has_view(&self, namespace: &str, view: &str) -> bool {
        self.lake().log().get(SPACE, &Thing::View.key(namespace, view), View::Durable).is_some()
    }

    /// The current metadata of a view.
    ///
    /// # Errors
    /// `HW-LAKE-091` when there is none, `HW-LAKE-021` when what is kept of it cannot be read.
    pub fn view(&self, namespace: &str, view: &str) -> Result<ViewMetadata, Problem> {
        self.kept(namespace, view, View::Durable).map(|kept| kept.metadata)
    }

    /// What is another whenever a view has changed.
    pub fn views_mark(&self) -> Option<Bytes> {
        self.lake().log().get(SPACE, MARK, View::Durable)
    }

    pub(super) fn kept(&self, namespace: &str, view: &str, as_of: View) -> Result<Kept, Problem> {
        let bytes = self.lake().log().get(SPACE, &Thing::View.key(namespace, view), as_of);
        let bytes = bytes.ok_or_else(|| Thing::View.missing(namespace, view))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Problem::new("HW-LAKE-021", format!("the view `{}` cannot be read", shown(view))).because(error)
        })
    }

    pub(super) fn view_at(&self, kept: &Kept) -> Result<TableAt, Problem> {
        self.shown_at(Some(kept.location.clone()), &kept.metadata, &kept.location)
    }

    pub(super) async fn make_view(&self, namespace: &str, request: Value) -> Result<TableAt, Problem> {
        writable(namespace)?;
        let request: CreateView = serde_json::from_value(request).map_err(malformed)?;
        let name = request.name;
        check_name(&name)?;
        if request.location.is_some_and(|wanted| !wanted.is_empty()) {
            return Err(malformed("the node chooses where its views lie").help("leave `location` out"));
        }
        let _turn = self.0.turn.lock().await;
        self.namespace(namespace)?;
        self.free(namespace, &name)?;
        self.room(1)?;
        let location = self.place(namespace, &name);
        let (version, properties) = (request.view_version, request.properties.unwrap_or_default());
        let builder = ViewMetadataBuilder::new(location, request.schema, version, ViewFormatVersion::V1, properties);
        let builder = builder.map_err(|error| refused(&name, &error))?;
        self.keep(namespace, &name, builder).await
    }

    pub(super) async fn replace_view(&self, namespace: &str, view: &str, request: Value) -> Result<TableAt, Problem> {
        writable(namespace)?;
        let request: CommitView = serde_json::from_value(request).map_err(malformed)?;
        let _turn = self.0.turn.lock().await;
        let Kept { location: before, metadata } = self.kept(namespace, view, View::Appended)?;
        let uuid = metadata.uuid().to_string();
        for Requirement::Uuid { uuid: wanted } in &request.requirements {
            if !wanted.eq_ignore_ascii_case(&uuid) {
                let fact = format!("`{}` has changed since it was read: it is another view by now", shown(view));
                return Err(Problem::new("HW-LAKE-034", fact).help("read the view again and decide anew"));
            }
        }
        let mut builder = metadata.clone().into_builder();
        for update in request.updates {
            builder = applied(builder, update, view, &metadata)?;
        }
        let answer = self.keep(namespace, view, builder).await?;
        self.lake().leases().retire(Garbage(vec![before]));
        Ok(answer)
    }

    pub(super) async fn remove_view(&self, namespace: &str, view: &str) -> Result<(), Problem> {
        writable(namespace)?;
        let mut turn = self.0.turn.lock().await;
        let place = self.kept(namespace, view, View::Appended)?.metadata.location().to_owned();
        self.take_away(&mut turn, Thing::View.key(namespace, view), place, true, Some(mark())).await
    }

    /// Writes what a view is from now on; for who holds the turn.
    async fn keep(&self, namespace: &str, view: &str, builder: ViewMetadataBuilder) -> Result<TableAt, Problem> {
        let metadata = builder.build().map_err(|error| refused(view, &error))?.metadata;
        let number = metadata.current_version_id();
        let location = format!("{}/metadata/{number:05}-{}.metadata.json", metadata.location(), Uuid::now_v7());
        let answer = self.shown_at(Some(location.clone()), &metadata, &location)?;
        if answer.metadata.len() > BYTES_MAX {
            let bytes = answer.metadata.len();
            return Err(malformed(format!("the view `{}` has {bytes} bytes, more than {BYTES_MAX}", shown(view))));
        }
        let (folder, file, text) = (metadata.location().to_owned(), location.clone(), answer.metadata.clone());
        self.off(async move |catalog| {
            catalog.make_folders(&folder)?;
            let written = catalog.lake().files().write(&file, text).await;
            written.map_err(|error| Problem::new("HW-LAKE-021", "the view's file cannot be written").because(error))
        })
        .await?;
        let value = serde_json::to_vec(&Kept { location, metadata })
            .map_err(|error| Problem::new("HW-LAKE-021", "the view cannot be written").because(error))?;
        let kept = Delta { key: Bytes::from(Thing::View.key(namespace, view)), value: Some(Bytes::from(value)) };
        self.write(vec![kept, mark()]).await?;
        Ok(answer)
    }
}

/// One update of a view.
fn applied(
    builder: ViewMetadataBuilder,
    update: ViewUpdate,
    view: &str,
    before: &ViewMetadata,
) -> Result<ViewMetadataBuilder, Problem> {
    let builder = match update {
        ViewUpdate::AssignUuid { uuid } if uuid != before.uuid() => {
            return Err(malformed(format!("the view `{}` has its UUID for good", shown(view))));
        }
        ViewUpdate::SetLocation { location } if location.trim_end_matches('/') != before.location() => {
            return Err(malformed("the node chooses where its views lie").help("leave `set-location` out"));
        }
        ViewUpdate::AssignUuid { .. } | ViewUpdate::SetLocation { .. } => Ok(builder),
        ViewUpdate::UpgradeFormatVersion { format_version } => builder.upgrade_format_version(format_version),
        ViewUpdate::AddSchema { schema, .. } => Ok(builder.add_schema(schema)),
        ViewUpdate::SetProperties { updates } => builder.set_properties(updates),
        ViewUpdate::RemoveProperties { removals } => Ok(builder.remove_properties(&removals)),
        ViewUpdate::AddViewVersion { view_version } => builder.add_version(view_version),
        ViewUpdate::SetCurrentViewVersion { view_version_id } => builder.set_current_version_id(view_version_id),
    };
    builder.map_err(|error| refused(view, &error))
}

/// The change of state that says that some view is another now.
pub(super) fn mark() -> Delta {
    Delta { key: Bytes::from_static(MARK), value: Some(Bytes::from(Uuid::now_v7().to_string())) }
}
