//! A write-behind queue: items gather in a queue and are written in batches, off the path of calls.
//!
//! One task writes the gathered items in one transaction and then rests, so that under low load an item is on the disk
//! a few milliseconds after it arrived, and under high load the disk is flushed at most forty times a second. The queue
//! itself has no bound: the sender bounds its contents (`backlog`).
//!
//! A stop has a deadline: items that are not written by then are dropped, and the writer reports how many.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// The least rest after a write.
const REST: Duration = Duration::from_millis(5);
/// The least rest after a write of many rows: each transaction wakes the threads of SQLite and of calls a dozen times.
const LONG_REST: Duration = Duration::from_millis(25);
/// The least rest after a write that failed.
const RETRY: Duration = Duration::from_secs(1);
/// The number of rows from which a write rests for longer.
const MANY: usize = 100;
/// The time without an item after which a writer tidies up.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// A writer of batches.
pub(crate) trait Writer: Send + 'static {
    type Item: Send + 'static;
    /// The most items of one batch.
    const BATCH: usize;
    /// The rest after a write, as a multiple of the time that the write took.
    const REST: u32;
    /// True if the writer rests even after a full batch, with more waiting.
    const RESTS_WHEN_FULL: bool;

    /// The least rest after a write, in which items gather.
    fn least_rest(&self) -> Duration {
        Duration::ZERO
    }

    /// Writes the first of `items`, as many as one transaction should hold, and returns the number of rows written. The
    /// writer reports a failure; it makes the task rest before the next write.
    fn write(
        &mut self,
        items: &mut VecDeque<Self::Item>,
    ) -> impl Future<Output = Result<usize, WriteFailure>> + Send;

    /// Writes the last items, as many as it can until `deadline`. The writer reports the rest.
    fn finish(
        &mut self,
        items: VecDeque<Self::Item>,
        deadline: Instant,
    ) -> impl Future<Output = ()> + Send;

    /// Removes rows that are too old: at the start, and after an hour without an item. It may be dropped halfway.
    fn tidy(&mut self) -> impl Future<Output = ()> + Send;
}

/// A write that failed.
pub(crate) struct WriteFailure;

/// A queue, and the task that empties it. The task ends when this is dropped.
pub(crate) struct WriteBehind<T> {
    sender: Sender<T>,
    /// Notified when a caller waits for a flush.
    hurry: Arc<Notify>,
    /// The deadline of a stop.
    stop: watch::Sender<Option<Instant>>,
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
    /// A request for a notice once all items before it are written.
    Flush(oneshot::Sender<()>),
}

impl<T: Send + 'static> WriteBehind<T> {
    /// Starts the task; must be called in a runtime.
    pub(crate) fn start(writer: impl Writer<Item = T>) -> Self {
        let (sender, messages) = unbounded_channel();
        let (stop, stopping) = watch::channel(None);
        let hurry = Arc::new(Notify::new());
        let mut task = JoinSet::new();
        let queue = Queue {
            messages,
            received: vec![],
            items: VecDeque::new(),
            flushes: vec![],
        };
        task.spawn(run(writer, queue, Arc::clone(&hurry), stopping));
        Self {
            sender: Sender(sender),
            hurry,
            stop,
            _task: task,
        }
    }

    pub(crate) fn sender(&self) -> &Sender<T> {
        &self.sender
    }

    /// Waits until all items that were sent are written.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.sender.0.send(Message::Flush(done)).is_ok() {
            self.hurry.notify_one();
            // A task that has ended has nothing left to write.
            let _ = flushed.await;
        }
    }

    /// Ends the task. Returns when all items that were sent are written, or soon after `deadline`.
    pub(crate) async fn stop(&self, deadline: Instant) {
        self.stop.send_replace(Some(deadline));
        self.stop.closed().await;
    }
}

impl<T> Sender<T> {
    /// Sends an item without waiting. Returns whether the task still runs and will write it.
    pub(crate) fn send(&self, item: T) -> bool {
        self.0.send(Message::Item(item)).is_ok()
    }
}

/// The receiving side of a queue, and the received items that wait to be written.
struct Queue<T> {
    messages: UnboundedReceiver<Message<T>>,
    received: Vec<Message<T>>,
    items: VecDeque<T>,
    flushes: Vec<oneshot::Sender<()>>,
}

impl<T> Queue<T> {
    /// Waits for messages, and takes up to `batch`; `None` if there are no senders.
    async fn receive(&mut self, batch: usize) -> Option<usize> {
        let count = self.messages.recv_many(&mut self.received, batch).await;
        self.sort();
        (count > 0).then_some(count)
    }

    /// Takes all messages in the queue, and accepts no more.
    fn drain(&mut self) {
        self.messages.close();
        while let Ok(message) = self.messages.try_recv() {
            self.received.push(message);
        }
        self.sort();
    }

    fn sort(&mut self) {
        for message in self.received.drain(..) {
            match message {
                Message::Item(item) => self.items.push_back(item),
                Message::Flush(done) => self.flushes.push(done),
            }
        }
    }

    fn answer(&mut self) {
        for done in self.flushes.drain(..) {
            // The caller may be gone.
            let _ = done.send(());
        }
    }
}

async fn run<W: Writer>(
    mut writer: W,
    mut queue: Queue<W::Item>,
    hurry: Arc<Notify>,
    mut stopping: watch::Receiver<Option<Instant>>,
) {
    let mut stop = stopping.clone();
    tokio::select! {
        () = writer.tidy() => {}
        _ = stop.changed() => {}
    }
    loop {
        let received = tokio::select! {
            biased;
            _ = stopping.wait_for(Option::is_some) => break,
            received = timeout(IDLE, queue.receive(W::BATCH)) => received,
        };
        let is_full = match received {
            Ok(None) => return,
            Ok(Some(count)) => count == W::BATCH,
            Err(_) => {
                tokio::select! {
                    () = writer.tidy() => continue,
                    _ = stop.changed() => break,
                }
            }
        };
        let started = Instant::now();
        let (mut rows, mut failed) = (0, false);
        while !queue.items.is_empty() && stopping.borrow().is_none() {
            match writer.write(&mut queue.items).await {
                Ok(written) => rows += written,
                Err(WriteFailure) => failed = true,
            }
        }
        if stopping.borrow().is_some() {
            break;
        }
        queue.answer();
        if is_full && !W::RESTS_WHEN_FULL && !failed {
            continue;
        }
        let least = match (failed, rows < MANY) {
            (true, _) => RETRY,
            (false, true) => REST,
            (false, false) => LONG_REST,
        };
        let least = least.max(writer.least_rest());
        let rest = least.max(W::REST * started.elapsed());
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = hurry.notified() => {}
            _ = stop.changed() => {}
        }
    }
    queue.drain();
    let deadline = stopping.borrow().unwrap_or_else(Instant::now);
    writer
        .finish(std::mem::take(&mut queue.items), deadline)
        .await;
    queue.answer();
}
