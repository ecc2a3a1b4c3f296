//! What one definition and one execution may cost. Nothing here is a default of the language: a hostile definition
//! or payload meets one of these numbers before it costs memory or time.

/// Bounds of definitions, payloads and evaluation.
///
/// The defaults are the quotas of the recorded service where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of a definition's text.
    pub definition_bytes_max: usize,
    /// States of a definition, those of branches and item processors included.
    pub states_max: usize,
    /// Branches and item processors inside each other.
    pub machine_depth_max: usize,
    /// Containers inside each other in a payload or a payload template.
    pub value_depth_max: usize,
    /// Size of an input, an output or one variable, as JSON text.
    pub payload_bytes_max: usize,
    /// Size above which a stored payload is kept as a blob and only named where it stands.
    pub inline_bytes_max: usize,
    /// Size of all variables of a thread.
    pub variables_bytes_max: usize,
    /// Text of one path, intrinsic function call or JSONata expression.
    pub expression_bytes_max: usize,
    /// Wall-clock time of one JSONata evaluation.
    pub evaluation_ms_max: u64,
    /// Frames inside each other in one JSONata evaluation.
    pub evaluation_depth_max: usize,
    /// Items of a sequence that one JSONata evaluation or intrinsic function makes.
    pub sequence_items_max: usize,
    /// Nodes one path may visit (`$..*` over a large payload, filters inside filters).
    pub path_visits_max: usize,
    /// Items of an inline Map.
    pub map_items_max: usize,
    /// Items that a distributed Map reads from files; `MaxItems` can say fewer.
    pub reader_items_max: u64,
    /// Iterations of an inline Map that run at once when its definition sets no bound.
    pub map_concurrency_max: usize,
    /// Threads (branches and iterations) of an execution that exist at once.
    pub threads_max: usize,
    /// Events of one execution.
    pub history_events_max: u64,
    /// States entered in one step before the caller is asked to journal and come back.
    pub entries_per_step_max: usize,
    /// Stored Express executions that run at once; others wait, and their time begins when they run.
    pub express_at_once_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            definition_bytes_max: 1 << 20,
            states_max: 10_000,
            machine_depth_max: 32,
            value_depth_max: 100,
            payload_bytes_max: 262_144,
            inline_bytes_max: 32_768,
            variables_bytes_max: 10 << 20,
            expression_bytes_max: 65_536,
            evaluation_ms_max: 1_000,
            evaluation_depth_max: 1_000,
            sequence_items_max: 100_000,
            path_visits_max: 1_000_000,
            map_items_max: 40_000,
            reader_items_max: 100_000_000,
            map_concurrency_max: 40,
            threads_max: 50_000,
            history_events_max: 25_000,
            entries_per_step_max: 1_000,
            express_at_once_max: 4_000,
        }
    }
}
