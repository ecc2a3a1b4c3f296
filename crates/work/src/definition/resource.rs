//! What a Task state calls, by the name the service gives it.

/// A parsed `Resource`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A worker polls for it.
    Activity {
        /// The activity's name in full.
        arn: String,
    },
    /// A function called by its own name, the older form.
    Function {
        /// The function's name in full.
        arn: String,
    },
    /// One verb of a service.
    Service(Service),
}

/// `arn:aws:states:::dynamodb:putItem`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `dynamodb`, or `aws-sdk:dynamodb`.
    pub name: String,
    /// `putItem`, without the pattern behind the dot.
    pub verb: String,
    /// When the task is over.
    pub pattern: Pattern,
}

/// When a service's task is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// When the call answers.
    Response,
    /// When what the call started is over (`.sync`).
    Sync,
    /// The same, its output as JSON (`.sync:2`).
    Sync2,
    /// When somebody brings the token back (`.waitForTaskToken`).
    Token,
}

/// Services and their verbs that may follow `arn:aws:states:::` without `aws-sdk:`.
///
/// A row that is missing is refused by validation, as by the service.
const VERBS: [(&str, &[&str]); 20] = [
    ("apigateway", &["invoke"]),
    ("athena", &["startQueryExecution", "stopQueryExecution", "getQueryExecution", "getQueryResults"]),
    ("batch", &["submitJob"]),
    ("bedrock", &["invokeModel", "createModelCustomizationJob"]),
    ("codebuild", &["startBuild", "stopBuild", "startBuildBatch", "stopBuildBatch", "deleteBuilds", "batchGetReports"]),
    ("databrew", &["startJobRun"]),
    ("dynamodb", &["getItem", "putItem", "updateItem", "deleteItem"]),
    ("ecs", &["runTask"]),
    ("eks", &["call", "runJob", "createCluster", "deleteCluster", "createNodegroup", "deleteNodegroup"]),
    ("elasticmapreduce", &["createCluster", "terminateCluster", "addStep", "cancelStep"]),
    ("emr-containers", &["startJobRun", "createVirtualCluster", "deleteVirtualCluster"]),
    (
        "emr-serverless",
        &["startJobRun", "startApplication", "stopApplication", "createApplication", "deleteApplication"],
    ),
    ("events", &["putEvents"]),
    ("glue", &["startJobRun"]),
    ("http", &["invoke"]),
    ("lambda", &["invoke"]),
    ("sagemaker", &["createTrainingJob", "createTransformJob", "createEndpoint", "createModel", "createProcessingJob"]),
    ("sns", &["publish"]),
    ("sqs", &["sendMessage"]),
    ("states", &["startExecution"]),
];

impl Resource {
    /// Reads a resource; None when there is none of that name. `arn:headwater:work:::<name>:<verb>` names a task of
    /// our own, which the engine's table of tasks knows.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "activity_arn" || text.split(':').nth(5) == Some("activity") {
            return Some(Self::Activity { arn: text.to_owned() });
        }
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [arn, partition, service, region, account, rest] = parts[..] else { return None };
        if arn != "arn" || partition.is_empty() {
            return None;
        }
        if service == "lambda" {
            return rest.starts_with("function:").then(|| Self::Function { arn: text.to_owned() });
        }
        if !region.is_empty() || !account.is_empty() {
            return None;
        }
        let patterns = [(".sync:2", Pattern::Sync2), (".sync", Pattern::Sync), (".waitForTaskToken", Pattern::Token)];
        let found = patterns.iter().find_map(|(suffix, pattern)| Some((rest.strip_suffix(suffix)?, *pattern)));
        let (rest, pattern) = found.unwrap_or((rest, Pattern::Response));
        let (name, verb) = rest.rsplit_once(':')?;
        let known = (partition == "headwater" && service == "work")
            || name.starts_with("aws-sdk:")
            || VERBS.iter().any(|(service, verbs)| *service == name && verbs.contains(&verb));
        (known && (service == "states" || service == "work") && !verb.is_empty() && !verb.contains('.'))
            .then(|| Self::Service(Service { name: name.to_owned(), verb: verb.to_owned(), pattern }))
    }
}

impl Resource {
    /// Whether its task is over later than the call that begins it.
    pub fn lasts(&self) -> bool {
        match self {
            Self::Activity { .. } => true,
            Self::Function { .. } => false,
            Self::Service(service) => service.pattern != Pattern::Response,
        }
    }
}

impl Service {
    /// The verb with its pattern, as history shows it.
    pub fn full_verb(&self) -> String {
        let suffix = match self.pattern {
            Pattern::Response => "",
            Pattern::Sync => ".sync",
            Pattern::Sync2 => ".sync:2",
            Pattern::Token => ".waitForTaskToken",
        };
        format!("{}{suffix}", self.verb)
    }
}
