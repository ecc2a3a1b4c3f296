//! The bounds of the pattern language. What it is NOT: the node's limits (`headwater_base::Limits`); these are part
//! of the language, so that a rule accepted by one node is accepted by every other.

/// The longest event pattern.
pub const PATTERN_BYTES_MAX: usize = 64 * 1024;
/// How deep objects of a pattern nest.
pub const PATTERN_DEPTH_MAX: usize = 64;
/// Fields that one branch of a pattern names.
pub const FIELDS_MAX: usize = 256;
/// Alternatives of all fields of a pattern together.
pub const ALTERNATIVES_MAX: usize = 8_192;
/// Branches of a pattern once every `$or` is multiplied out, and fields over all of them.
pub const BRANCHES_MAX: usize = 1_024;
/// Places of one wildcard that a value can have reached at the same time.
pub const WILDCARD_PLACES_MAX: usize = 10;
/// The longest event.
pub const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How deep an event nests along the paths that patterns name.
pub const EVENT_DEPTH_MAX: usize = 128;
/// Values looked at to find elements of an event's arrays that fit each other, for one event over all rules.
pub const ARRAY_STEPS_MAX: usize = 2_000_000;
/// The longest input template, and the most paths of its map.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// Entries of an input path map.
pub const TEMPLATE_PATHS_MAX: usize = 100;
/// The longest text a template may render.
pub const RENDERED_BYTES_MAX: usize = 16 * 1024 * 1024;
