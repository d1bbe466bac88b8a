//! Writing behind: items gather in a queue and are written in batches, off the path of calls.
//!
//! One task writes what has gathered in one transaction and then rests, so that an item is on the disk a few milliseconds
//! after it came when little happens, and the disk is flushed at most forty times a second when much does. The queue has
//! no bound of its own: whoever sends bounds what is in it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// The least rest after a write.
const REST: Duration = Duration::from_millis(5);
/// The least rest after a write of many rows: each transaction wakes the threads of SQLite and of calls a dozen times.
const LONG_REST: Duration = Duration::from_millis(25);
/// The rows that are many.
const MANY: usize = 100;
/// The time without an item after which a writer tidies up.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// A writer of batches.
pub(crate) trait Writer: Send + 'static {
    type Item: Send + 'static;
    /// Items of one batch at most.
    const BATCH: usize;
    /// The rest after a write, as a multiple of the time that the write took.
    const REST: u32;
    /// True if the writer rests even after a full batch, with more waiting.
    const RESTS_WHEN_FULL: bool;

    /// Writes a batch, and returns how many rows it was. A failure is for the writer to report.
    fn write(&mut self, items: Vec<Self::Item>) -> impl Future<Output = usize> + Send;

    /// Removes what grew too old: at the start, and when nothing came for an hour.
    fn tidy(&mut self) -> impl Future<Output = ()> + Send;
}

/// A queue, and the task that empties it. The task ends when this is dropped.
pub(crate) struct WriteBehind<T> {
    sender: Sender<T>,
    /// Notified when somebody waits for a flush.
    hurry: Arc<Notify>,
    _task: JoinSet<()>,
}

/// The sending side of a queue.
pub(crate) struct Sender<T>(UnboundedSender<Message<T>>);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

enum Message<T> {
    Item(T),
    /// A request to be told when all before it is written.
    Flush(oneshot::Sender<()>),
}

impl<T: Send + 'static> WriteBehind<T> {
    /// Starts the task; needs a runtime.
    pub(crate) fn start(writer: impl Writer<Item = T>) -> Self {
        let (sender, messages) = unbounded_channel();
        let hurry = Arc::new(Notify::new());
        let mut task = JoinSet::new();
        task.spawn(run(writer, messages, Arc::clone(&hurry)));
        Self {
            sender: Sender(sender),
            hurry,
            _task: task,
        }
    }

    pub(crate) fn sender(&self) -> &Sender<T> {
        &self.sender
    }

    /// Returns when everything that was sent is written.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.sender.0.send(Message::Flush(done)).is_ok() {
            self.hurry.notify_one();
            // A task that has ended has nothing left to write.
            let _ = flushed.await;
        }
    }
}

impl<T> Sender<T> {
    /// Sends an item without waiting. Returns whether the task is there to write it.
    pub(crate) fn send(&self, item: T) -> bool {
        self.0.send(Message::Item(item)).is_ok()
    }
}

async fn run<W: Writer>(
    mut writer: W,
    mut messages: UnboundedReceiver<Message<W::Item>>,
    hurry: Arc<Notify>,
) {
    let mut received = Vec::with_capacity(W::BATCH);
    writer.tidy().await;
    loop {
        match timeout(IDLE, messages.recv_many(&mut received, W::BATCH)).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(_) => {
                writer.tidy().await;
                continue;
            }
        }
        let started = Instant::now();
        let is_full = received.len() == W::BATCH;
        let (mut items, mut flushes) = (vec![], vec![]);
        for message in received.drain(..) {
            match message {
                Message::Item(item) => items.push(item),
                Message::Flush(done) => flushes.push(done),
            }
        }
        let rows = match items.is_empty() {
            true => 0,
            false => writer.write(items).await,
        };
        for done in flushes {
            // The one that asked may have gone.
            let _ = done.send(());
        }
        if is_full && !W::RESTS_WHEN_FULL {
            continue;
        }
        let least = if rows < MANY { REST } else { LONG_REST };
        let rest = least.max(W::REST * started.elapsed());
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = hurry.notified() => {}
        }
    }
}
