//! What each figure means: the one list of names, from which `# HELP` and the reference page follow.
//!
//! What it is NOT: where figures are counted; that is each crate's own. A test of the command line's holds a running
//! node to this list.

/// Each name with one sentence.
pub const NAMES: &[(&str, &str)] = &[
    ("hw_api_aws_requests_total", "Answers to AWS clients, by operation and status."),
    ("hw_api_events_total", "Events that came over HTTP, by what became of them."),
    ("hw_api_request_seconds", "From a request's head to the answer's, by route."),
    ("hw_api_requests_total", "Answers, by route and status."),
    ("hw_flow_commits_total", "Commits of a pipeline: outputs, state and positions in one record of the log."),
    ("hw_flow_dead_letters_total", "Events that became dead letters."),
    ("hw_flow_dropped_total", "Events that a filter or dedupe step dropped."),
    ("hw_flow_events_total", "Events that a pipeline read."),
    ("hw_flow_lag_events", "Records of the input that the pipeline has not read."),
    ("hw_flow_late_total", "Events too late for their window or session."),
    ("hw_flow_lookup_at_once_total", "Questions that a backend answered from memory."),
    ("hw_flow_lookup_breaker_open", "1 while the backend is left alone after too many failures."),
    ("hw_flow_lookup_breaker_refusals_total", "Questions not asked because the breaker was open."),
    ("hw_flow_lookup_cached", "Answers in the cache."),
    ("hw_flow_lookup_cached_bytes", "Bytes of the answers in the cache."),
    ("hw_flow_lookup_evictions_total", "Answers driven out of the cache."),
    ("hw_flow_lookup_failures_total", "Requests that failed."),
    ("hw_flow_lookup_full_total", "Questions not asked because too many keys were being asked."),
    ("hw_flow_lookup_hits_total", "Questions answered from the cache with a value."),
    ("hw_flow_lookup_in_flight", "Requests under way."),
    ("hw_flow_lookup_joined_total", "Questions that joined a request for the same key."),
    ("hw_flow_lookup_misses_total", "Questions that the cache could not answer."),
    ("hw_flow_lookup_negative_hits_total", "Questions answered from the cache with `unknown` or `refused`."),
    ("hw_flow_lookup_refreshes_total", "Requests made ahead of an answer's expiry."),
    ("hw_flow_lookup_refused_keys_total", "Keys that are too long to be asked."),
    ("hw_flow_lookup_requests_total", "Requests made, further tries included."),
    ("hw_flow_lookup_retries_total", "Further tries of a request."),
    ("hw_flow_lookup_timeouts_total", "Requests that took too long."),
    ("hw_flow_lookups_failed_total", "Events that went on with a failed lookup."),
    ("hw_flow_outputs_total", "Records that a pipeline wrote to its outputs."),
    ("hw_flow_results_total", "Windows and sessions given out, corrections included."),
    ("hw_flow_retries_total", "Copies taken from the retry stream."),
    ("hw_flow_revised_total", "Events given out again after their lookups succeeded."),
    ("hw_flow_skipped_total", "Records that retention had removed before they were read."),
    ("hw_flow_waiting_events", "Events that wait for a lookup or their turn."),
    ("hw_flow_watermark_seconds", "The watermark, in seconds since 1970: before it, results are complete."),
    ("hw_kernel_resources", "Resources by state."),
    ("hw_log_appended_bytes_total", "Bytes of batches appended."),
    ("hw_log_checkpoints_total", "Checkpoints of the log's state."),
    ("hw_log_group_lag_events", "Records behind a consumer group's position."),
    ("hw_log_partitions", "Partitions."),
    ("hw_log_producers", "Idempotent producers remembered."),
    ("hw_log_segment_bytes", "Bytes of all segments on disk."),
    ("hw_log_state_bytes", "Bytes of operator state in memory."),
    ("hw_log_state_entries", "Entries of operator state."),
    ("hw_log_streams", "Streams."),
    ("hw_log_tail_cache_bytes", "Recent batches kept in memory for readers."),
    ("hw_log_unfiled_bytes", "Bytes of the write-ahead log that are not in segments yet."),
    ("hw_log_unsynced_bytes", "Bytes appended and not yet durable."),
    ("hw_log_wal_held_bytes", "Bytes of the write-ahead log on disk."),
    ("hw_log_wal_synced_bytes_total", "Bytes made durable."),
    ("hw_log_wal_syncs_total", "Syncs of the write-ahead log."),
    ("hw_process_cpu_seconds_total", "CPU time of the process, user and system."),
    ("hw_process_resident_bytes", "Memory of the process now."),
    ("hw_process_resident_peak_bytes", "The most memory the process has had."),
    ("hw_process_threads", "Threads of the process."),
];

/// Prometheus' kind of a figure; a convention of its name.
pub fn kind(name: &str) -> &'static str {
    match name {
        _ if name.ends_with("_total") => "counter",
        "hw_api_request_seconds" => "histogram",
        _ => "gauge",
    }
}
