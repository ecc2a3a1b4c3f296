//! What goes wrong: requests that end their connection, and the log's refusals in Kafka's numbers.

use headwater_base::Problem;
use headwater_log::LogError;
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The socket failed or was closed within a frame.
    #[error("{0}")]
    Socket(#[from] std::io::Error),
    /// A frame longer than allowed, or shorter than a request's header.
    #[error("a request of {bytes} bytes; the limit is {limit}")]
    FrameSize {
        /// As announced.
        bytes: i32,
        /// The limit.
        limit: usize,
    },
    /// An API or version that is not served.
    #[error("api {key} in version {version} is not served")]
    Unserved {
        /// The API.
        key: i16,
        /// The version.
        version: i16,
    },
    /// Bytes that are not what the schema says.
    #[error("malformed request of api {key} in version {version}: {fault}")]
    Malformed {
        /// The API.
        key: i16,
        /// The version.
        version: i16,
        /// What is wrong.
        fault: String,
    },
    /// An answer that the version cannot express.
    #[error("an answer cannot be encoded: {0}")]
    Encode(String),
    /// The client said nothing, or accepted nothing, for too long.
    #[error("no progress for {0} ms")]
    Idle(u64),
    /// A Produce that wants no answer was refused.
    #[error("records sent without acknowledgement were refused: {0}")]
    Unheard(String),
    /// There are too many connections.
    #[error("{0} connections are open, which is the limit")]
    Crowded(usize),
}

impl Broken {
    pub(super) fn encode(error: &impl ToString) -> Self {
        Self::Encode(error.to_string())
    }

    /// What the operator should know of it; None for what happens every day.
    pub(super) fn problem(&self) -> Option<Problem> {
        let (code, help) = match self {
            Self::Socket(_) | Self::Idle(_) => return None,
            Self::FrameSize { .. } => ("HW-KAFKA-001", "is it a Kafka client, without TLS?"),
            Self::Unserved { .. } => ("HW-KAFKA-002", "docs/compatibility.md lists what is served"),
            Self::Malformed { .. } => ("HW-KAFKA-003", "the client breaks the protocol, or the network its bytes"),
            Self::Encode(_) => ("HW-KAFKA-004", "this is a defect of the node; please report it"),
            Self::Unheard(_) => ("HW-KAFKA-005", "produce with acks=1 or acks=all to be told"),
            Self::Crowded(_) => ("HW-KAFKA-006", "raise the limit of open files, or share connections"),
        };
        Some(Problem::new(code, self.to_string()).help(help))
    }
}

/// The log's refusal as Kafka names it.
pub(super) const fn code(error: &LogError) -> ResponseError {
    match error {
        LogError::UnknownStream(_) | LogError::UnknownPartition(..) => ResponseError::UnknownTopicOrPartition,
        LogError::StreamExists(_) => ResponseError::TopicAlreadyExists,
        LogError::Config(_) => ResponseError::InvalidConfig,
        LogError::OffsetOutOfRange { .. } => ResponseError::OffsetOutOfRange,
        LogError::CorruptBatch(_) => ResponseError::CorruptMessage,
        LogError::InvalidRecord(_) => ResponseError::InvalidRecord,
        LogError::BatchTooLarge { .. } => ResponseError::MessageTooLarge,
        LogError::OutOfOrderSequence { .. } => ResponseError::OutOfOrderSequenceNumber,
        LogError::ProducerFenced(..) => ResponseError::InvalidProducerEpoch,
        LogError::Limit(_) => ResponseError::PolicyViolation,
        // Every client tries again after it.
        LogError::Full(_) => ResponseError::RequestTimedOut,
        LogError::Disk(_) => ResponseError::KafkaStorageError,
        LogError::Closed => ResponseError::NotLeaderOrFollower,
        LogError::Fenced(..) | LogError::Moved(..) | LogError::Repeated => ResponseError::UnknownServerError,
    }
}

/// Text for a message's field.
pub(super) fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}
