//! The kernel: kinds and resources, reconcilers and the supervisor, and the ports all features meet through.
//!
//! How a resource lives: text is read with exact places ([`yaml`], [`origin`]), checked against its kind's schema
//! ([`kind`], [`shape`]), stored in the log together with its audit event, reconciled by a pure function into a plan
//! ([`reconcile`]) which the supervisor alone carries out ([`unit`]).
//!
//! What it is NOT: it knows no listener, no pipeline language and no connector; those hand in rows of tables.

pub mod audit;
pub mod clock;
pub mod dedupe;
pub mod expression;
pub mod kernel;
pub mod kind;
pub mod kinds;
pub mod letter;
pub mod made;
pub mod origin;
pub mod packed;
pub mod path;
pub mod port;
pub mod reconcile;
pub mod resource;
pub mod resources;
pub mod schedule;
pub mod schema;
pub mod secrets;
pub mod shape;
pub mod site;
mod supervisor;
pub mod tables;
pub mod text;
pub mod unit;
pub mod yaml;

pub use clock::SystemClock;
pub use kernel::{
    DeleteOptions, DeleteReport, Deletion, DraftChange, KeptDraft, Kernel, Outcome, Refusal, Report, Setup,
};
pub use kind::{ApplyOptions, Kind, Ref, Registry, View};
pub use origin::Origin;
pub use reconcile::{Action, Observed, Plan, StreamObject, UnitSpec, Verb};
pub use resource::{Draft, Metadata, Ready, Resource, Status};
pub use site::Site;
pub use tables::TableViews;
pub use unit::{Stop, Task, Unit, UnitKind};
