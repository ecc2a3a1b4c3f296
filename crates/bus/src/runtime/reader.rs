//! The reader of one stream: a thread that takes what is appended through the matchers of all rules, pipes and archives
//! over that stream, and writes what it leads to in one commit with how far it has read.
//!
//! Invariants: a subscription gets each event after its beginning exactly once, whether it runs, is stopped or is
//! killed in between; what one subscription cannot take holds back nobody else ([`super::cohort`]).
//!
//! In the stream's space `bus/<stream>` a cohort's number leads to its position; in a subscription's own space the key
//! `at` leads to a cohort, or to a position where it has stopped.

mod life;
mod members;
mod writing;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::thread;

use headwater_base::{Clock, Limits, Name, Problem};
use headwater_kernel::port::Tables;
use headwater_kernel::unit::contained;
use headwater_log::Log;
use headwater_log::park::StopSignal;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::runtime::cohort::Member;
use life::Life;
pub(in crate::runtime) use writing::count;

/// What a reader works with.
#[derive(Clone)]
pub struct Setup {
    /// The stream.
    pub stream: Name,
    /// The log.
    pub log: Arc<dyn Log>,
    /// Documents.
    pub tables: Arc<dyn Tables>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub limits: Arc<Limits>,
}

enum Command {
    Join(Arc<Member>, oneshot::Sender<()>),
    Leave(String, oneshot::Sender<()>),
}

#[derive(Default)]
struct Inbox {
    commands: VecDeque<Command>,
    closed: bool,
}

/// A reader in somebody's hand. Its thread ends when the last subscription has left.
pub struct Reader {
    inbox: Mutex<Inbox>,
    /// Wakes its thread.
    pub wake: Arc<Notify>,
}

impl Reader {
    /// Starts the thread of a reader that already has its first subscription.
    fn spawn(setup: Setup) -> Result<Arc<Self>, Problem> {
        let reader = Arc::new(Self { inbox: Mutex::default(), wake: Arc::new(Notify::new()) });
        let (name, of) = (setup.stream.clone(), Arc::clone(&reader));
        thread::Builder::new()
            .name(format!("bus-{name}"))
            .spawn(move || {
                let stop = StopSignal::waking(Arc::clone(&of.wake));
                let mut life = Life::new(&setup, &of, &stop);
                let result = contained(|| life.run());
                let result = result.unwrap_or_else(|said| Err(ended_by_bug(&setup.stream, &said)));
                life.end(result);
            })
            .map_err(|error| Problem::new("HW-BUS-024", format!("no thread to read `{name}`: {error}")))?;
        Ok(reader)
    }

    fn send(&self, command: Command) -> Result<(), Command> {
        let mut inbox = self.inbox.lock();
        if inbox.closed {
            return Err(command);
        }
        inbox.commands.push_back(command);
        drop(inbox);
        self.wake.notify_one();
        Ok(())
    }
}

/// The readers of a node, by stream.
#[derive(Default)]
pub struct Readers(Mutex<BTreeMap<Name, Arc<Reader>>>);

impl Readers {
    /// Adds a subscription to the reader of a stream; resolves once it has its place.
    ///
    /// # Errors
    /// `HW-BUS-024` when there is no thread, and what ended the reader.
    pub async fn join(&self, setup: &Setup, member: Arc<Member>) -> Result<Arc<Reader>, Problem> {
        let (told, heard) = oneshot::channel();
        let reader = {
            let mut readers = self.0.lock();
            readers.retain(|_, reader| !reader.inbox.lock().closed);
            let mut command = Command::Join(Arc::clone(&member), told);
            loop {
                let reader = match readers.get(&setup.stream) {
                    Some(reader) => Arc::clone(reader),
                    None => {
                        let reader = Reader::spawn(setup.clone())?;
                        readers.insert(setup.stream.clone(), Arc::clone(&reader));
                        reader
                    }
                };
                match reader.send(command) {
                    Ok(()) => break reader,
                    Err(back) => {
                        command = back;
                        readers.remove(&setup.stream);
                    }
                }
            }
        };
        match heard.await {
            Ok(()) => Ok(reader),
            Err(_) => Err(member.ending.heard().await.err().unwrap_or_else(|| {
                Problem::new("HW-BUS-022", format!("the reader of `{}` ended while it was joined", setup.stream))
            })),
        }
    }
}

impl Reader {
    /// Takes a subscription away; nothing of it is written after that.
    pub async fn leave(&self, id: &str) {
        let (told, heard) = oneshot::channel();
        if self.send(Command::Leave(id.to_owned(), told)).is_ok() {
            // A reader that ended has let everybody go.
            let _ = heard.await;
        }
    }
}

/// `HW-BUS-023`.
fn ended_by_bug(stream: &Name, said: &str) -> Problem {
    let fact = format!("the reader of `{stream}` ended by a bug in the program: {said}");
    Problem::new("HW-BUS-023", fact)
        .help("it is started again from its last commit; please report this with the lines of the log before it")
}
