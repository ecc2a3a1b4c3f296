//! Every bound of a node in one place. Nothing that can grow is without one.

use std::num::NonZeroUsize;

/// The bounds of a node; at a bound, work is refused or waits, and is never lost.
///
/// # Units
/// The last word of each name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request on a Kafka connection.
    pub kafka_request_bytes: usize,
    /// The largest HTTP body.
    pub http_body_bytes: usize,
    /// The largest record batch, compressed, of a stream that names no other (Kafka's `message.max.bytes`).
    pub batch_bytes: usize,
    /// The largest batch once decompressed; a larger one is not read (zip bomb).
    pub batch_decompressed_bytes: usize,
    /// Kafka connections open at once.
    pub kafka_connections: usize,
    /// Produce requests of one Kafka connection that wait for the disk at once.
    pub kafka_pipelined_requests: usize,
    /// Array elements in one Kafka request, over all its arrays.
    pub kafka_request_elements: usize,
    /// Large requests of all Kafka connections held in memory at once; beyond it they are not read further.
    pub kafka_requests_bytes: usize,
    /// Answers to Kafka fetches held in memory at once, over all connections; beyond it a fetch gets one batch, and
    /// beyond twice that none.
    pub kafka_fetch_bytes: usize,
    /// Kafka requests that read files or unpack batches at once, over all connections; others wait. Each may hold a whole
    /// answer that `kafka_fetch_bytes` does not count yet.
    pub kafka_file_requests: usize,
    /// How long a Kafka client may pause inside a large request, or refuse its answer while `kafka_fetch_bytes` are
    /// used up.
    pub kafka_stalled_ms: u64,
    /// How long a Kafka connection may stay silent, and how long an answer may take to be accepted.
    pub kafka_idle_ms: u64,
    /// HTTP connections open at once.
    pub http_connections: usize,
    /// HTTP bodies held in memory at once, over all requests.
    pub http_bodies_bytes: usize,
    /// The largest head (request line and headers) of an HTTP request.
    pub http_head_bytes: usize,
    /// How long an HTTP client may take to send a request's head.
    pub http_head_ms: u64,
    /// How long an HTTP client may pause inside a body, and how long a whole body may take beyond its share of
    /// `http_body_bytes_per_s`.
    pub http_body_ms: u64,
    /// The slowest rate at which a body may arrive.
    pub http_body_bytes_per_s: u64,
    /// How long an HTTP client may take nothing of its answer.
    pub http_answer_ms: u64,
    /// Streams of a node.
    pub streams: usize,
    /// Partitions of all streams together.
    pub partitions: usize,
    /// Bytes appended and not yet synced; at the bound, `append` waits.
    pub unsynced_bytes: usize,
    /// Recent batches kept in memory for readers, over all partitions.
    pub tail_cache_bytes: usize,
    /// The newest bytes of all segments that are left to the system's memory besides, for readers who are further behind.
    /// What is older is not to push out what others on this machine use.
    pub segment_cache_bytes: u64,
    /// Producer ids remembered for each partition.
    pub producers_per_partition: usize,
    /// Consumer groups.
    pub groups: usize,
    /// Members of one consumer group.
    pub group_members: usize,
    /// Ids remembered for each stream to recognise an event sent twice over HTTP.
    pub dedupe_ids: usize,
    /// Events that a pipeline holds back while their lookups run.
    pub lookups_in_flight: usize,
    /// Operator state of one pipeline, with all overhead (`HW-FLOW-060`). It is held in memory, so a machine with less
    /// wants a smaller one.
    pub state_bytes: u64,
    /// What a reconciliation holds in memory: state, results, and what the output streams say of them (`HW-FLOW-053`).
    pub reconcile_bytes: usize,
    /// The largest resource file.
    pub resource_bytes: usize,
    /// The largest text of a resource, or of a draft of one, that is kept as its author wrote it.
    pub resource_text_bytes: usize,
    /// Drafts of resources that are kept; each has at most `resource_text_bytes`.
    pub drafts: usize,
    /// Documents kept in memory for each table, besides its view on disk.
    pub table_cache_bytes: usize,
    /// Size of an execution's input, of a task's result and of a state's output; beyond it a state fails with
    /// `States.DataLimitExceeded`.
    pub payload_bytes: usize,
    /// Ended executions kept, over all workflows; beyond it those whose time would come first go early.
    pub executions_kept: usize,
    /// Executions under way kept in memory as values, over all shards; beyond it those used least lately are read from
    /// their rows again when they go on. About as much comes on top where many go on at once.
    pub execution_cache_bytes: usize,
    /// Inputs of executions, and what ends tasks and executions, that clients have handed over and no execution has taken
    /// up yet; beyond it they are refused (`HW-WORK-034`).
    pub execution_requests_bytes: usize,
    /// External tasks of workflows under way at once, with those that are done and whose answers no execution has taken
    /// up.
    pub tasks_in_flight: NonZeroUsize,
    /// How often an event may lead to another before the chain is cut (`HW-BUS-010`, `HW-FLOW-050`).
    pub event_hops: u32,
    /// Events of one request that a pipe makes, at most; together they have at most `payload_bytes`.
    pub batch_events: usize,
    /// Rows that all datasets together keep in memory; beyond it they are written as files before a snapshot is due.
    pub lake_tail_bytes: usize,
    /// Intervals of all series of one forecast together.
    pub forecast_points: usize,
    /// SQL queries that run at once; others wait.
    pub sql_queries: usize,
    /// How long a query may take, in seconds.
    pub sql_seconds: u64,
    /// Memory of all queries together.
    pub sql_memory_bytes: usize,
    /// Disk of all queries together, for what does not fit in their memory.
    pub sql_spill_bytes: u64,
    /// Bytes of answers that are kept for whoever asks the same while nothing has changed.
    pub sql_cache_bytes: usize,
    /// The largest message on a PostgreSQL connection: a statement, or the values of its parameters.
    pub sql_message_bytes: usize,
    /// Memory of all PostgreSQL connections together for large messages that are read, and for the statements and values
    /// that they keep (`HW-LAKE-111`).
    pub sql_client_bytes: usize,
    /// How long a PostgreSQL client may pause inside a message (`HW-LAKE-109`), and how long a whole message may take
    /// beyond its share of `sql_message_bytes_per_s`; between two it may pause for as long as it likes.
    pub sql_stalled_ms: u64,
    /// The slowest rate at which a message on a PostgreSQL connection may come.
    pub sql_message_bytes_per_s: u64,
    /// PostgreSQL connections open at once.
    pub sql_connections: usize,
    /// Connections to PostgreSQL servers of others open at once; beyond it a query waits for one.
    pub postgres_connections: usize,
    /// Rows that one run of an ingest remembers, so that it leaves them out when it has to begin again: all rows of a
    /// full load, or those that have one watermark.
    pub ingest_rows: usize,
}

impl Limits {
    /// Holds connections within a process's limit of open files, leaving the log enough of them.
    #[must_use]
    pub fn within(mut self, open_files: usize) -> Self {
        const FILES: usize = 2_048;
        let sockets = open_files.saturating_sub(FILES).max(open_files / 4);
        self.kafka_connections = self.kafka_connections.min(sockets / 3 * 2);
        self.http_connections = self.http_connections.min(sockets / 3);
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        const KIB: usize = 1024;
        const MIB: usize = 1024 * KIB;
        Self {
            kafka_request_bytes: 100 * MIB,
            http_body_bytes: 16 * MIB,
            batch_bytes: 1_048_588,
            batch_decompressed_bytes: 64 * MIB,
            kafka_connections: 20_000,
            kafka_pipelined_requests: 64,
            kafka_request_elements: 200_000,
            kafka_requests_bytes: 256 * MIB,
            kafka_fetch_bytes: 128 * MIB,
            kafka_file_requests: 8,
            kafka_stalled_ms: 10_000,
            kafka_idle_ms: 600_000,
            http_connections: 10_000,
            http_bodies_bytes: 128 * MIB,
            http_head_bytes: 32 * KIB,
            http_head_ms: 30_000,
            http_body_ms: 10_000,
            http_body_bytes_per_s: 16 * KIB as u64,
            http_answer_ms: 60_000,
            streams: 10_000,
            partitions: 50_000,
            unsynced_bytes: 64 * MIB,
            tail_cache_bytes: 96 * MIB,
            segment_cache_bytes: 256 * MIB as u64,
            producers_per_partition: 10_000,
            groups: 10_000,
            group_members: 2_000,
            dedupe_ids: 100_000,
            lookups_in_flight: 20_000,
            // Several times what a busy pipeline needs: sessions and counts of a million users are some 600 MB.
            state_bytes: 4 * 1024 * MIB as u64,
            reconcile_bytes: 512 * MIB,
            resource_bytes: MIB,
            resource_text_bytes: 256 * KIB,
            drafts: 100,
            table_cache_bytes: 64 * MIB,
            payload_bytes: 256 * KIB,
            executions_kept: 200_000,
            execution_cache_bytes: 64 * MIB,
            execution_requests_bytes: 64 * MIB,
            tasks_in_flight: NonZeroUsize::MIN.saturating_add(1_023),
            event_hops: 16,
            batch_events: 100,
            lake_tail_bytes: 128 * MIB,
            forecast_points: 8_000_000,
            sql_queries: 8,
            sql_seconds: 300,
            sql_memory_bytes: 256 * MIB,
            sql_spill_bytes: 10 * 1024 * MIB as u64,
            sql_cache_bytes: 32 * MIB,
            sql_message_bytes: 64 * MIB,
            sql_client_bytes: 256 * MIB,
            sql_stalled_ms: 30_000,
            sql_message_bytes_per_s: 16 * KIB as u64,
            sql_connections: 100,
            postgres_connections: 32,
            ingest_rows: 1_000_000,
        }
    }
}

#[cfg(test)]
mod tests;
