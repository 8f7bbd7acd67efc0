//! Threads that compute together.
//!
//! Work is a list of pieces. The thread that has it to do and the workers of its pool take runs of them, which become
//! shorter towards the end (Polychronopoulos and Kuck, "Guided self-scheduling", IEEE Transactions on Computers C-36(12),
//! 1987): neighbours are often near each other in memory, and yet all threads end within a piece's time. A pool has one list at a time: who finds its workers at work for somebody
//! else computes alone, as does work inside a piece. So no thread waits for a lock while it could compute, and there are
//! never more threads at work than the pool has and callers come.

mod crew;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, JoinHandle};

use crew::Crew;

/// What share of its part of the pieces that are left a thread takes at once, numerator and denominator: so much that
/// neighbours are seldom parted, and so little that a slow thread does not keep the others waiting.
const RUN: (usize, usize) = (3, 4);

/// A number of threads for the products and the other computations of this crate.
#[derive(Debug)]
pub struct ThreadPool {
    crew: Arc<Crew>,
    workers: Vec<JoinHandle<()>>,
}

impl ThreadPool {
    /// A pool of `threads` threads, one of which is whoever calls [`ThreadPool::install`].
    ///
    /// # Errors
    /// If the system starts no more threads.
    pub fn new(threads: usize) -> io::Result<Self> {
        let mut pool = Self { crew: Arc::default(), workers: Vec::new() };
        for index in 1..threads {
            let crew = pool.crew.clone();
            let work = move || {
                PLACE.set(Place::Alone);
                crew.work();
            };
            // Workers that are there already end with the pool.
            pool.workers.push(thread::Builder::new().name(format!("qvl-cpu-{index}")).spawn(work)?);
        }
        Ok(pool)
    }

    /// The pool of `threads` threads that the process has, for all who want so many.
    ///
    /// # Errors
    /// As for [`ThreadPool::new`].
    pub fn shared(threads: usize) -> io::Result<Arc<Self>> {
        static POOLS: Mutex<Vec<Weak<ThreadPool>>> = Mutex::new(Vec::new());
        let mut pools = lock(&POOLS);
        pools.retain(|pool| pool.strong_count() > 0);
        let known = pools.iter().filter_map(Weak::upgrade).find(|pool| pool.num_threads() == threads.max(1));
        if let Some(pool) = known {
            return Ok(pool);
        }
        let pool = Arc::new(Self::new(threads)?);
        pools.push(Arc::downgrade(&pool));
        Ok(pool)
    }

    /// Number of threads, at least one.
    pub fn num_threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `compute` on this thread. What is computed in it is shared with the pool's workers.
    pub fn install<R>(&self, compute: impl FnOnce() -> R) -> R {
        let _back = Back::from(Place::Pool { crew: self.crew.clone(), threads: self.num_threads() });
        compute()
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.crew.dismiss();
        for worker in self.workers.drain(..) {
            // A worker catches what panics in its work.
            let _ = worker.join();
        }
    }
}

/// Calls `work` with each of `items`, which the threads of the current pool take in turn: long runs of neighbours first,
/// single ones at last.
///
/// The current pool is the one that is [installed](ThreadPool::install), or else one of all cores. Inside of `work` this
/// thread is alone.
///
/// # Panics
/// If `work` does, when no thread is at it any more.
pub fn for_each<I>(items: I, work: impl Fn(I::Item) + Sync)
where
    I: Iterator<Item: Send> + Send,
{
    let count = items.size_hint().1.unwrap_or(usize::MAX);
    let place = if count > 1 { current() } else { Place::Alone };
    let (crew, threads) = match &place {
        Place::Pool { crew, threads } if *threads > 1 => (crew, threads),
        _ => return items.for_each(work),
    };
    let items = Mutex::new(items.fuse());
    let run = || {
        let mut items = lock(&items);
        let left = items.size_hint().0;
        items.by_ref().take((left * RUN.0 / (RUN.1 * threads)).max(1)).collect::<Vec<_>>()
    };
    crew.share(count - 1, &|| {
        let _back = Back::from(Place::Alone);
        loop {
            let run = run();
            if run.is_empty() {
                break;
            }
            run.into_iter().for_each(&work);
        }
    });
}

/// Results of `compute` for the numbers below `count`, in their order; shared as the pieces of [`for_each`].
pub fn map<R: Send>(count: usize, compute: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let mut results: Vec<Option<R>> = (0..count).map(|_| None).collect();
    for_each(results.iter_mut().enumerate(), |(index, result)| *result = Some(compute(index)));
    results.into_iter().flatten().collect()
}

/// Number of threads that share what this thread computes.
pub fn current_num_threads() -> usize {
    match current() {
        Place::Pool { threads, .. } => threads,
        Place::Alone | Place::Outside => 1,
    }
}

/// Where a thread is.
#[derive(Debug, Clone)]
enum Place {
    /// In no pool.
    Outside,
    /// In what was called by [`ThreadPool::install`].
    Pool { crew: Arc<Crew>, threads: usize },
    /// In a piece of work.
    Alone,
}

thread_local! {
    static PLACE: RefCell<Place> = const { RefCell::new(Place::Outside) };
}

/// Where this thread is; outside of all pools, the one of all cores.
fn current() -> Place {
    static ALL: OnceLock<Option<Arc<ThreadPool>>> = OnceLock::new();
    match PLACE.with_borrow(Place::clone) {
        Place::Outside => {
            let threads = || thread::available_parallelism().map_or(1, usize::from);
            match ALL.get_or_init(|| ThreadPool::shared(threads()).ok()) {
                Some(pool) => Place::Pool { crew: pool.crew.clone(), threads: pool.num_threads() },
                None => Place::Alone,
            }
        }
        place => place,
    }
}

/// Brings a thread back to where it was.
struct Back(Place);

impl Back {
    /// Goes to `place`.
    fn from(place: Place) -> Self {
        Self(PLACE.replace(place))
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        PLACE.set(std::mem::replace(&mut self.0, Place::Outside));
    }
}

/// The guarded value, also after a panic: none leaves it half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
