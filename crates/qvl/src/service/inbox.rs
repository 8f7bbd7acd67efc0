//! Where jobs wait: what the handle and the thread share.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::job::Job;
use super::statistics::Statistics;
use super::submit_error::SubmitError;
use crate::cached_prompt::PromptLayout;

/// A job that was found to be answerable.
pub(super) struct Ticket {
    pub(super) job: Job,
    pub(super) layout: PromptLayout,
    /// Most tokens of the answer.
    pub(super) limit: usize,
}

/// The queue, and what the thread tells of itself.
pub(super) struct Inbox {
    max_queue: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Ticket>,
    statistics: Statistics,
    is_stopping: bool,
    has_ended: bool,
}

impl Inbox {
    pub(super) fn new(max_queue: usize) -> Self {
        Self { max_queue, state: Mutex::default(), changed: Condvar::new() }
    }

    /// No code that holds the lock can panic halfway through a change, so what a poisoned lock guards is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a ticket.
    pub(super) fn push(&self, ticket: Ticket) -> Result<(), SubmitError> {
        let mut state = self.lock();
        if state.is_stopping {
            return Err(SubmitError::Stopping);
        }
        let queued = state.waiting.len();
        if queued >= self.max_queue {
            return Err(SubmitError::Full { queued });
        }
        state.waiting.push_back(ticket);
        self.changed.notify_all();
        Ok(())
    }

    /// Takes the tickets that were cancelled, and the first one after them for which there is `room`.
    pub(super) fn take(&self, mut room: impl FnMut(&Ticket) -> bool) -> (Vec<Ticket>, Option<Ticket>) {
        let mut state = self.lock();
        let (cancelled, waiting) = state.waiting.drain(..).partition(|ticket| ticket.job.cancel.is_cancelled());
        state.waiting = waiting;
        let first = if state.waiting.front().is_some_and(&mut room) { state.waiting.pop_front() } else { None };
        (Vec::from(cancelled), first)
    }

    /// Waits until there is a ticket; false if none will come any more.
    pub(super) fn wait(&self) -> bool {
        let waits = |state: &mut State| state.waiting.is_empty() && !state.is_stopping;
        let state = self.changed.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        !state.waiting.is_empty()
    }

    /// Takes no more tickets.
    pub(super) fn stop(&self) {
        self.lock().is_stopping = true;
        self.changed.notify_all();
    }

    /// Waits until the thread has ended.
    pub(super) fn wait_for_end(&self) {
        let state = self.changed.wait_while(self.lock(), |state| !state.has_ended);
        drop(state.unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether the thread has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.lock().has_ended
    }

    /// Notes that the thread has ended, and hands out the tickets that nobody will take any more.
    pub(super) fn end(&self) -> Vec<Ticket> {
        let mut state = self.lock();
        state.is_stopping = true;
        state.has_ended = true;
        state.statistics.running = 0;
        self.changed.notify_all();
        state.waiting.drain(..).collect()
    }

    /// What the thread did, and how many jobs wait.
    pub(super) fn statistics(&self) -> Statistics {
        let state = self.lock();
        Statistics { waiting: state.waiting.len(), ..state.statistics }
    }

    /// Publishes what the thread did.
    pub(super) fn publish(&self, statistics: &Statistics) {
        self.lock().statistics = *statistics;
    }
}
