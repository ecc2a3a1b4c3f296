//! A node: the one place where the crates are put together.
//!
//! Kinds, lookups and units are rows assembled here; no crate registers itself and there is no global, so that one
//! process can hold several nodes. Order of life: listeners' ports, log (which locks the folder), kernel, pipelines, workflows, requests; and back.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use headwater_api::http::health::Readiness;
use headwater_api::{address, aws, http, kafka};
use headwater_base::{Clock, Limits, Name, Problem};
use headwater_bus::runtime::buses::{Buses, Parts};
use headwater_connect::browser::Chromium;
use headwater_flow::runtime::pipelines::Pipelines;
use headwater_kernel::port::FunctionKind;
use headwater_kernel::{DeleteOptions, Kernel, Registry, Setup, Site, SystemClock};
use headwater_lake::files::Buckets;
use headwater_lake::sql::{self, Sources};
use headwater_lake::{Dashboards, Datasets, Ingests, LakeCatalog};
use headwater_log::groups::Groups;
use headwater_log::{EmbeddedLog, Log, embedded};
use headwater_store::disk::{Disk, RealDisk};
use headwater_watch::calendar::Calendars;
use headwater_watch::{Alarms, Forecasts};
use headwater_work::Engine;
use headwater_work::tasks::{Services, Settings};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::solution::shelf::Shelf;
use crate::{figures, ports};

/// How long listeners may take to end.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Where a node keeps its data and listens.
#[derive(Clone, Debug)]
pub struct Config {
    /// The data folder; made if it is missing.
    pub data: PathBuf,
    /// The address of HTTP; port 0 takes any.
    pub http: SocketAddr,
    /// The address of Kafka; port 0 takes any.
    pub kafka: SocketAddr,
    /// The address of AWS clients; port 0 takes any.
    pub aws: SocketAddr,
    /// The address of PostgreSQL clients; port 0 takes any.
    pub postgres: SocketAddr,
    /// Where people find the console; the address of HTTP if it is left out.
    pub site: Option<Site>,
    /// Whether a Kafka client that names an unknown topic creates it.
    pub auto_create_streams: bool,
    /// How tasks of workflows reach the outside.
    pub tasks: Settings,
    /// The bounds.
    pub limits: Limits,
}

impl Config {
    /// A node in `data` on the usual ports, all moved by `offset`.
    ///
    /// # Errors
    /// `HW-CLI-012` when a port would be beyond 65535.
    pub fn local(data: PathBuf, offset: u16) -> Result<Self, Problem> {
        let port = |base: u16| {
            base.checked_add(offset).ok_or_else(|| {
                Problem::new("HW-CLI-012", format!("the port offset {offset} is too large"))
                    .help(format!("it can be {} at most", u16::MAX - ports::KAFKA))
            })
        };
        Ok(Self {
            data,
            http: SocketAddr::from(([127, 0, 0, 1], port(ports::HTTP)?)),
            kafka: SocketAddr::from(([127, 0, 0, 1], port(ports::KAFKA)?)),
            aws: SocketAddr::from(([127, 0, 0, 1], port(ports::AWS)?)),
            postgres: SocketAddr::from(([127, 0, 0, 1], port(ports::POSTGRES)?)),
            site: None,
            auto_create_streams: true,
            tasks: Settings::default(),
            limits: Limits::default(),
        })
    }
}

/// Where a node's log lies, and how it is kept.
#[derive(Clone)]
pub struct Storage {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The log's folder on it.
    pub folder: PathBuf,
    /// How it is kept.
    pub options: embedded::Options,
}

impl Storage {
    /// A folder of this machine.
    fn of(folder: &Path) -> Self {
        // For `cargo xtask crash`; a node works the same with either, only not as fast.
        let small = std::env::var_os("HEADWATER_SMALL_LOG").is_some();
        let options = if small { embedded::Options::small() } else { embedded::Options::default() };
        Self { disk: Arc::new(RealDisk), folder: folder.to_owned(), options }
    }
}

/// A running node.
pub struct Node {
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// Where Kafka listens.
    pub kafka: SocketAddr,
    /// Where AWS clients are listened to.
    pub aws: SocketAddr,
    /// Where PostgreSQL clients are listened to.
    pub postgres: SocketAddr,
    /// The kernel, with the log.
    pub kernel: Arc<Kernel>,
    stop: watch::Sender<bool>,
    listeners: JoinSet<()>,
    buses: Buses,
    engine: Engine,
    sql: sql::Engine,
    log: Arc<EmbeddedLog>,
}

/// The kinds of a node: the kernel's and the features'.
pub fn registry() -> Registry {
    const ADVICE: &[headwater_kernel::kind::Advice] = &[headwater_flow::kinds::pipeline::advice];
    use headwater_bus::kinds::{archive, event_type, pipe, report, rule, schedule};
    let kinds = [
        headwater_flow::kinds::pipeline::KIND,
        headwater_work::kinds::workflow::KIND,
        headwater_work::kinds::activity::KIND,
        rule::KIND,
        pipe::KIND,
        schedule::KIND,
        headwater_connect::destination::KIND,
        archive::KIND,
        event_type::KIND,
        headwater_lake::kinds::dataset::KIND,
        headwater_lake::kinds::bucket::KIND,
        headwater_lake::kinds::dashboard::KIND,
        headwater_lake::kinds::external_table::KIND,
        headwater_lake::kinds::ingest::KIND,
        headwater_lake::kinds::row_policy::KIND,
        headwater_watch::kinds::forecast::KIND,
        headwater_watch::kinds::alarm::KIND,
        report::KIND,
    ];
    Registry::new(&kinds).with_lookups(headwater_connect::lookups::LOOKUPS).with_advice(ADVICE)
}

impl Node {
    /// Opens the data folder and starts everything.
    ///
    /// # Errors
    /// `HW-LOG-001` when another node has the folder, `HW-LOG-005` when it belongs elsewhere, `HW-API-001` and
    /// `HW-API-022` for addresses, and what the log and the kernel say.
    pub async fn open(config: Config) -> Result<Self, Problem> {
        let storage = Storage::of(&config.data);
        Self::open_on(config, storage).await
    }

    /// [`Node::open`] with the log elsewhere, as tests of power cuts need it. All else is in the data folder, which has
    /// to be there: what can be made again from the log, and the files of datasets and blobs.
    ///
    /// # Errors
    /// The same.
    pub async fn open_on(config: Config, storage: Storage) -> Result<Self, Problem> {
        // Listeners first: a taken port is the likeliest fault, and nothing is written for it.
        let web = address::listen(config.http, "HTTP").await?;
        let wire = address::listen(config.kafka, "Kafka").await?;
        let cloud = address::listen(config.aws, "AWS clients").await?;
        let tabular = address::listen(config.postgres, "PostgreSQL").await?;
        let (http_address, kafka_address, aws_address) = (local(&web)?, local(&wire)?, local(&cloud)?);
        let postgres_address = local(&tabular)?;

        headwater_store::process::use_small_pages();
        let open_files = headwater_store::process::raise_open_files().unwrap_or(usize::MAX);
        let limits = Arc::new(config.limits.within(open_files));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let is_here = storage.folder == config.data;
        let embedded = open_log(storage, &limits, &clock).await?;
        // Tables say where their files are to programs that run in other folders, by one path whatever link was used.
        let home = if is_here { Ok(embedded.home().to_owned()) } else { std::path::absolute(&config.data) };
        let home = home.map_err(|error| {
            Problem::new("HW-CLI-002", format!("cannot use the data folder `{}`", config.data.display())).because(error)
        })?;
        let log: Arc<dyn Log> = embedded.clone();
        let groups = Groups::open(log.clone(), clock.clone(), limits.clone());
        let seed = clock.now().0.unsigned_abs();
        let setup = Setup {
            log: log.clone(),
            folder: config.data.clone(),
            clock: clock.clone(),
            limits: limits.clone(),
            registry: registry(),
            seed,
        };
        let kernel = Kernel::open(setup).await?;
        // From here on whoever writes the stream of a table writes the table.
        let log = kernel.log().clone();
        let pipelines = Pipelines::new(
            log.clone(),
            clock.clone(),
            limits.clone(),
            kernel.context(),
            headwater_connect::lookups::LOOKUPS,
            tokio::runtime::Handle::current(),
        );
        let buses = Buses::open(bus_parts(&kernel, &pipelines, seed)).await?;
        let engine = open_engine(&kernel, &pipelines, &buses, config.tasks).await?;
        buses.serve_workflows(Arc::new(engine.clone()));
        let (datasets, catalog) = open_lake(&kernel, home);
        let sources = Sources::new(kernel.clone(), catalog.clone(), headwater_watch::explore::explore);
        let sql = sql::Engine::new(sources, config.data.join("sql"));
        let calendars =
            Calendars { folder: config.data.clone(), tables: kernel.tables().clone(), sql: Arc::new(sql.clone()) };
        let forecasts = Forecasts::new(log.clone(), clock.clone(), limits.clone(), calendars);
        let dashboards = Arc::new(Dashboards::new(kernel.clone(), sql.clone()));
        let chromium = Chromium::new(http_address, config.data.join("browser"));
        let site = config.site.unwrap_or_else(|| Site::at(http_address));
        buses.serve_charts(dashboards.clone(), Some(Arc::new(chromium)), site.clone());
        let alarms = Alarms::new(log.clone(), clock.clone(), dashboards.clone(), site);
        let ingests = Ingests::new(log.clone(), clock.clone(), limits.clone(), Arc::new(sql.clone()));
        let mut units = vec![pipelines.unit_kind()];
        units.extend(buses.unit_kinds());
        units.push(headwater_work::kinds::workflow::unit_kind(&engine));
        units.push(datasets.unit_kind());
        units.push(forecasts.unit_kind());
        units.push(alarms.unit_kind());
        units.push(ingests.unit_kind());
        kernel.start(units);
        let of_bus = buses.clone();

        let (stop, stopped) = watch::channel(false);
        let mut listeners = JoinSet::new();
        let aws = aws::Aws::new(aws::Parts {
            kernel: kernel.clone(),
            workflows: Arc::new(engine.clone()),
            bus: Arc::new(buses.clone()),
            stop: stopped.clone(),
        });
        let api = http::Api::new(http::Parts {
            kernel: kernel.clone(),
            groups: groups.clone(),
            features: Arc::new(pipelines.clone()),
            enrich: Arc::new(pipelines.clone()),
            bus: Arc::new(buses.clone()),
            reconcile: Arc::new(pipelines.clone()),
            sql: Some(Arc::new(sql.clone())),
            charts: Some(dashboards),
            workflows: Some(Arc::new(engine.clone())),
            catalog: Some(Arc::new(catalog)),
            solutions: Some(Arc::new(Shelf::new(config.data.clone()))),
            figures: vec![
                figures::of_pipelines(pipelines),
                figures::of_each("bus", "subscription", move || of_bus.figures()),
                figures::of_kernel(&kernel),
                figures::of_groups(&groups, &log),
                figures::of_streams(&log),
                figures::of_engine(engine.clone()),
                figures::of_each("lake", "dataset", move || datasets.figures()),
                figures::of_each("lake", "ingest", move || ingests.figures()),
                figures::of_each("watch", "forecast", move || forecasts.figures()),
                figures::of_each("watch", "alarm", move || alarms.figures()),
                aws.figures(),
            ],
            readiness: readiness(&kernel, &embedded),
            stop: stopped.clone(),
        });
        listeners.spawn(http::serve(web, api, stopped.clone()));
        listeners.spawn(aws::serve(cloud, aws));
        listeners.spawn(sql::postgres::serve(tabular, sql.clone(), stopped.clone()));
        let settings = kafka::Settings {
            advertised_host: kafka_address.ip().to_string(),
            auto_create: config.auto_create_streams,
            ..kafka::Settings::local(kafka_address.port())
        };
        let owners = kernel.clone();
        let service = kafka::KafkaService::new(log, groups.clone(), limits, clock, settings)
            .with_owners(Arc::new(move |stream, wanted| owners.settle(stream, wanted)));
        let service = Arc::new(service);
        listeners.spawn(kafka::serve(vec![wire], service, stopped.clone()));
        listeners.spawn(groups.run(stopped));
        Ok(Self {
            http: http_address,
            kafka: kafka_address,
            aws: aws_address,
            postgres: postgres_address,
            kernel,
            stop,
            listeners,
            buses,
            engine,
            sql,
            log: embedded,
        })
    }

    /// Resolves when a part that everything else needs has ended although nobody told it to, by a bug or because it cannot
    /// go on: a node that goes on without it looks well and does nothing. [`Self::stop`] is to follow.
    pub async fn broken(&mut self) -> Problem {
        let (part, cause) = tokio::select! {
            problem = self.kernel.ended() => ("the supervisor", told(&problem)),
            problem = self.engine.broken() => ("the workflow engine", told(&problem)),
            problem = self.buses.broken() => ("the scheduler", told(&problem)),
            ended = self.listeners.join_next() => match ended {
                Some(Err(error)) => ("a listener", error.to_string()),
                Some(Ok(())) | None => ("a listener", "it returned".to_owned()),
            },
        };
        broke(part, &cause)
    }

    /// Stops in order: listeners, units, the log.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = tokio::time::timeout(STOP_MAX, async { while self.listeners.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!("listeners cut off after {STOP_MAX:?}");
        }
        self.sql.close();
        self.engine.close().await;
        self.kernel.stop().await;
        let log = self.log.clone();
        // Writing the last checkpoint takes a while on a full log; other tasks go on meanwhile.
        let closed = tokio::task::spawn_blocking(move || log.close()).await;
        if let Ok(Err(problem)) = closed {
            tracing::warn!(code = problem.code, title = problem.title, "the log closed without a checkpoint");
        }
    }
}

/// `HW-CLI-020`: a part that everything else needs has ended; the cause says whether that was a bug.
fn broke(part: &str, cause: &str) -> Problem {
    Problem::new("HW-CLI-020", format!("{part} of the node ended"))
        .because(cause)
        .help("start the node again: nothing acknowledged is lost; please report a bug with the lines before it")
}

fn told(problem: &Problem) -> String {
    format!("{}: {}", problem.code, problem.title)
}

/// The functions that workflows call by name without asking anybody.
const FUNCTIONS: [FunctionKind; 2] = [
    FunctionKind { name: "collect-resources", call: headwater_cost::functions::collect_resources },
    FunctionKind { name: "price-run", call: headwater_cost::functions::price_run },
];

/// Opens the workflow engine, which takes up what executions were about.
async fn open_engine(
    kernel: &Arc<Kernel>,
    pipelines: &Pipelines,
    buses: &Buses,
    tasks: Settings,
) -> Result<Engine, Problem> {
    let services = Services {
        lookups: headwater_connect::lookups::LOOKUPS,
        functions: FUNCTIONS.to_vec(),
        enrich: Some(Arc::new(pipelines.clone())),
        reconcile: Some(Arc::new(pipelines.clone())),
        outlets: Some(Arc::new(buses.clone())),
        columnar: Some(headwater_lake::columnar::lines),
        ..Services::new(kernel.context(), tasks)?
    };
    let parts = headwater_work::engine::Parts {
        log: kernel.log().clone(),
        clock: kernel.clock().clone(),
        node_limits: kernel.limits().clone(),
        limits: headwater_work::Limits {
            payload_bytes_max: kernel.limits().payload_bytes,
            ..headwater_work::Limits::default()
        },
        services,
        handle: tokio::runtime::Handle::current(),
        secret: rand::random(),
        tasks_in_flight: kernel.limits().tasks_in_flight,
    };
    Engine::open(parts).await
}

/// The tables of the lake, and the catalog that gives them to others.
fn open_lake(kernel: &Arc<Kernel>, folder: PathBuf) -> (Datasets, LakeCatalog) {
    let parts = headwater_lake::Parts {
        log: kernel.log().clone(),
        disk: Arc::new(RealDisk),
        folder,
        clock: kernel.clock().clone(),
        limits: kernel.limits().clone(),
    };
    let datasets = Datasets::with_buckets(parts, Buckets::of_node(kernel, tokio::runtime::Handle::current()));
    let objects = datasets.clone();
    kernel.clear_with(headwater_lake::kinds::dataset::UNIT, Arc::new(move |what: &str| objects.clear(what)));
    let of = Arc::downgrade(kernel);
    let names = move || -> Vec<Name> {
        let resources = of.upgrade().map(|kernel| kernel.list(Some("Dataset"))).unwrap_or_default();
        resources.iter().map(|resource| resource.metadata.name.clone()).collect()
    };
    (datasets.clone(), LakeCatalog::new(datasets, Arc::new(names)))
}

/// Opens the log off the runtime's threads: recovery reads files.
async fn open_log(storage: Storage, limits: &Arc<Limits>, clock: &Arc<dyn Clock>) -> Result<Arc<EmbeddedLog>, Problem> {
    let (limits, clock) = (limits.clone(), clock.clone());
    let Storage { disk, folder, options } = storage;
    let opened = tokio::task::spawn_blocking(move || EmbeddedLog::open_with(disk, folder, limits, clock, options));
    opened.await.map_err(|error| {
        Problem::new("HW-CLI-014", "the log could not be opened by a bug in the program").because(error)
    })?
}

fn local(listener: &tokio::net::TcpListener) -> Result<SocketAddr, Problem> {
    listener.local_addr().map_err(|error| Problem::new("HW-API-022", "a listener has no address").because(error))
}

/// Ready once the supervisor has looked at every resource, and while the log has a disk to write to; a resource that
/// failed, or waits for one that does not exist, is shown by its own status.
fn readiness(kernel: &Arc<Kernel>, log: &Arc<EmbeddedLog>) -> Readiness {
    let (kernel, log) = (kernel.clone(), log.clone());
    Arc::new(move || {
        let underway = || kernel.list(None).iter().filter(|resource| resource.status.is_underway()).count();
        let reason = if kernel.has_looked() {
            Some(underway()).filter(|count| *count > 0).map(|count| format!("{count} being worked on"))
        } else {
            Some("not looked at since the start".to_owned())
        };
        vec![("log", log.fault()), ("resources", reason)]
    })
}

/// What the bus works with: the node's own parts, and doors to what other crates do.
fn bus_parts(kernel: &Arc<Kernel>, pipelines: &Pipelines, seed: u64) -> Parts {
    let (find, retire) = (Arc::downgrade(kernel), Arc::downgrade(kernel));
    let of = tokio::runtime::Handle::current();
    Parts {
        log: kernel.log().clone(),
        tables: kernel.tables().clone(),
        clock: kernel.clock().clone(),
        limits: kernel.limits().clone(),
        context: kernel.context(),
        build: headwater_connect::destination::build,
        enrich: Some(Arc::new(pipelines.clone())),
        reconcile: Some(Arc::new(pipelines.clone())),
        find: Arc::new(move |kind: &str, name: &str| find.upgrade()?.get(kind, name)),
        // The schedule's own unit is stopped by this, so that it cannot wait for it.
        retire: Some(Arc::new(move |kind: &'static str, name: String| {
            let Some(kernel) = retire.upgrade() else { return };
            of.spawn(async move {
                if let Err(problem) = kernel.delete(kind, &name, &DeleteOptions::default()).await {
                    tracing::warn!(name, code = problem.code, title = problem.title, "a schedule that is over stays");
                }
            });
        })),
        seed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_ended_says_why_and_blames_no_bug_that_there_was_not() {
        let cause = Problem::new("HW-WORK-034", "workflow shard 3 cannot go on: another owner has come");
        let said = broke("the workflow engine", &told(&cause)).to_string();
        assert!(
            said.starts_with("error[HW-CLI-020]: the workflow engine of the node ended\ncause: HW-WORK-034: "),
            "{said}"
        );
        assert!(!said.contains("ended by a bug"), "{said}");
    }
}
