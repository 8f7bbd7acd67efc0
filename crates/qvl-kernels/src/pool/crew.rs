//! The workers of a pool: how they come to a job, and how its end is known.

use std::any::Any;
use std::hint::spin_loop;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, LockResult, Mutex, PoisonError, TryLockError};
use std::thread;

use super::lock;

/// How often a thread that waits looks again at once: some microseconds, about as long as it would take to wake it.
const SPINS: usize = 100;

/// How often it then lets others run before it sleeps: between two layers it does not.
const YIELDS: usize = 100;

/// The lowest bits of the state count the workers at the job.
const INSIDE: u64 = (1 << 20) - 1;

/// Workers may still come to the job.
const OPEN: u64 = 1 << 20;

/// There will be no more jobs.
const DISMISSED: u64 = 1 << 21;

/// The other bits are the number of the job: enough for years.
const JOB: u64 = 1 << 22;

type Work<'a> = &'a (dyn Fn() + Sync);

/// Workers, and the job that they have.
#[derive(Debug, Default)]
pub(super) struct Crew {
    /// Held by the thread whose job it is.
    owner: Mutex<()>,
    /// The number of the job, whether it is open, and how many workers are at it.
    state: AtomicU64,
    /// Points to a [`Work`] while the job is open or a worker is at it.
    job: AtomicPtr<()>,
    /// What panicked in a worker.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// Workers that sleep, or are about to.
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    /// There is a job.
    begun: Condvar,
    /// No worker is at the job.
    ended: Condvar,
}

impl Crew {
    /// Calls `work` on this thread and on workers that have nothing else to do, of which up to `most` are woken. Returns
    /// when none of them is at it any more.
    ///
    /// # Panics
    /// If `work` does.
    pub(super) fn share(&self, most: usize, work: Work<'_>) {
        let _owner = match self.owner.try_lock() {
            Ok(owner) => owner,
            Err(TryLockError::Poisoned(owner)) => owner.into_inner(),
            Err(TryLockError::WouldBlock) => return work(),
        };
        // An owner that panicked has left what panicked in a worker.
        *lock(&self.panic) = None;
        self.open(most, &work);
        {
            let _end = End(self);
            work();
        }
        if let Some(payload) = lock(&self.panic).take() {
            panic::resume_unwind(payload);
        }
    }

    /// Makes `work` the job and wakes up to `most` of those who sleep.
    fn open(&self, most: usize, work: &Work<'_>) {
        self.job.store(ptr::from_ref(work).cast_mut().cast(), Ordering::Relaxed);
        // Only the owner changes the number and the bit, and no worker is inside of a job that is not open.
        let number = self.state.load(Ordering::Relaxed) / JOB + 1;
        self.state.store((number * JOB) | OPEN, Ordering::SeqCst);
        // A worker counts itself before it looks at the state for the last time: one of the two sees the other.
        let sleepers = self.sleepers.load(Ordering::SeqCst).min(most);
        if sleepers > 0 {
            let _sleep = lock(&self.sleep);
            (0..sleepers).for_each(|_| self.begun.notify_one());
        }
    }

    /// Lets nobody come any more and waits until all workers have left.
    fn close(&self) {
        self.state.fetch_and(!OPEN, Ordering::AcqRel);
        let is_left = || self.state.load(Ordering::Acquire) & INSIDE == 0;
        if wait(|| is_left().then_some(())).is_none() {
            let mut sleep = lock(&self.sleep);
            while !is_left() {
                sleep = unpoisoned(self.ended.wait(sleep));
            }
        }
    }

    /// What a worker does until it is dismissed.
    pub(super) fn work(&self) {
        let mut last = 0;
        while let Some(number) = self.come(last) {
            last = number;
            let job = self.job.load(Ordering::Relaxed).cast::<Work<'_>>();
            // SAFETY: the job was open when this thread was counted in, so `open` stored this pointer; what it points to is
            // there until the owner sees in `close` that this thread has left.
            let work = unsafe { *job };
            if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(work)) {
                *lock(&self.panic) = Some(payload);
            }
            self.leave();
        }
    }

    /// Waits for another job than number `last` and counts this thread in. Gives its number, or none when there will be no
    /// more.
    fn come(&self, last: u64) -> Option<u64> {
        loop {
            let Some(state) = wait(|| self.news(last)) else {
                self.sleep(last);
                continue;
            };
            if state & DISMISSED != 0 {
                return None;
            }
            if self.state.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return Some(state / JOB);
            }
        }
    }

    /// The state, if there is another open job than number `last`, or the crew is dismissed.
    fn news(&self, last: u64) -> Option<u64> {
        let state = self.state.load(Ordering::SeqCst);
        (state & OPEN != 0 && state / JOB != last || state & DISMISSED != 0).then_some(state)
    }

    fn sleep(&self, last: u64) {
        let mut sleep = lock(&self.sleep);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        while self.news(last).is_none() {
            sleep = unpoisoned(self.begun.wait(sleep));
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Counts this thread out, which was the last one to leave a closed job if the owner waits for that.
    fn leave(&self) {
        let state = self.state.fetch_sub(1, Ordering::AcqRel) - 1;
        if state & (INSIDE | OPEN) == 0 {
            let _sleep = lock(&self.sleep);
            self.ended.notify_one();
        }
    }

    /// Sends the workers home.
    pub(super) fn dismiss(&self) {
        self.state.fetch_or(DISMISSED, Ordering::SeqCst);
        let _sleep = lock(&self.sleep);
        self.begun.notify_all();
    }
}

/// Ends the job, also when its owner panics.
struct End<'a>(&'a Crew);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Asks until there is an answer, for a short time.
fn wait<T>(answer: impl Fn() -> Option<T>) -> Option<T> {
    for round in 0..SPINS + YIELDS {
        if let Some(answer) = answer() {
            return Some(answer);
        }
        if round < SPINS { spin_loop() } else { thread::yield_now() }
    }
    None
}

fn unpoisoned<G>(guard: LockResult<G>) -> G {
    guard.unwrap_or_else(PoisonError::into_inner)
}
