//! The node's own resources, as the operations read and write them.
//!
//! What a resource of ours has no field for (tags, roles, logging) stands as one JSON object in its annotation
//! [`ANNOTATION`]: it travels with the resource, shows in `headwater describe`, and no other part looks at it.

use std::sync::Arc;
use std::time::Duration;

use headwater_base::Problem;
use headwater_kernel::{ApplyOptions, DeleteOptions, Draft, Resource};
use serde_json::{Map, Value, json};

use super::Aws;

/// The annotation that holds what has no field.
pub const ANNOTATION: &str = "headwater.dev/aws";

/// How long a change is waited for to have taken effect, so that the client's next request finds it.
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// What a resource has no field for.
pub fn held(resource: &Resource) -> Map<String, Value> {
    let text = resource.metadata.annotations.get(ANNOTATION);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// A text of what a resource has no field for.
pub fn held_text(resource: &Resource, member: &str) -> Option<String> {
    held(resource).get(member).and_then(Value::as_str).map(str::to_owned)
}

/// A field of the spec with its defaults.
pub fn field<'a>(resource: &'a Resource, pointer: &str) -> Option<&'a Value> {
    resource.effective().pointer(pointer).filter(|value| !value.is_null())
}

/// A text of the spec.
pub fn text<'a>(resource: &'a Resource, pointer: &str) -> Option<&'a str> {
    field(resource, pointer)?.as_str()
}

impl Aws {
    /// A resource that is there and is not on its way out.
    pub fn find(&self, kind: &str, name: &str) -> Option<Arc<Resource>> {
        self.kernel.get(kind, name).filter(|resource| resource.metadata.deleting.is_none())
    }

    /// All resources of a kind that are not on their way out, by name.
    pub fn all(&self, kind: &str) -> Vec<Arc<Resource>> {
        let mut all = self.kernel.list(Some(kind));
        all.retain(|resource| resource.metadata.deleting.is_none());
        all
    }

    /// A resource as it shall be: `old` with another spec and another annotation, or a new one.
    ///
    /// # Errors
    /// What the kind says about the spec.
    pub fn draft(
        &self,
        kind: &str,
        name: &str,
        spec: &Value,
        held: &Map<String, Value>,
        old: Option<&Resource>,
    ) -> Result<Draft, Vec<Problem>> {
        // What exists without a resource (a stream that a client made) is adopted as it is.
        let old = old.filter(|old| old.metadata.version > 0);
        let mut annotations = old.map(|old| old.metadata.annotations.clone()).unwrap_or_default();
        if held.is_empty() {
            annotations.remove(ANNOTATION);
        } else {
            annotations.insert(ANNOTATION.to_owned(), Value::Object(held.clone()).to_string());
        }
        let labels = old.map(|old| old.metadata.labels.clone()).unwrap_or_default();
        let mut metadata = json!({ "name": name, "labels": labels, "annotations": annotations });
        // A change somebody else made since this one was read must not be undone, be it of a label alone.
        if let (Some(old), Some(metadata)) = (old, metadata.as_object_mut()) {
            metadata.insert("resourceVersion".to_owned(), json!(old.metadata.version));
        }
        let api_version = headwater_kernel::resource::API_VERSION;
        let resource = json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec });
        self.kernel.registry().read_value(resource)
    }

    /// Writes resources, all or none, and waits a while for them to be ready.
    ///
    /// # Errors
    /// What [`headwater_kernel::Kernel::apply`] says.
    pub async fn write(&self, drafts: Vec<Draft>) -> Result<(), Vec<Problem>> {
        let ids: Vec<String> = drafts.iter().map(Draft::id).collect();
        self.kernel.apply(drafts, &ApplyOptions::default()).await?;
        self.kernel.settled(&ids, SETTLE_MAX).await;
        Ok(())
    }

    /// Writes a resource with another annotation and nothing else changed.
    ///
    /// # Errors
    /// What [`Aws::write`] says.
    pub async fn hold(&self, resource: &Resource, held: &Map<String, Value>) -> Result<(), Vec<Problem>> {
        let name = resource.metadata.name.as_str();
        let draft = self.draft(&resource.kind, name, &resource.spec, held, Some(resource))?;
        self.kernel.apply(vec![draft], &ApplyOptions::default()).await.map(drop)
    }

    /// Deletes a resource, whatever names it; one that is not there is gone already.
    ///
    /// # Errors
    /// What [`headwater_kernel::Kernel::delete`] says.
    pub async fn remove(&self, kind: &str, name: &str) -> Result<(), Problem> {
        let options = DeleteOptions { force: true, ..DeleteOptions::default() };
        match self.kernel.delete(kind, name, &options).await {
            Err(problem) if problem.code == "HW-KERNEL-012" => Ok(()),
            other => other.map(drop),
        }
    }
}
