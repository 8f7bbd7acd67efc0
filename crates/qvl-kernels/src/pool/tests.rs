use std::panic::{self, AssertUnwindSafe};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Counts how often each of `count` pieces is done.
fn counts(count: usize) -> Vec<usize> {
    let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
    for_each(done.iter(), |done| {
        done.fetch_add(1, Ordering::Relaxed);
    });
    done.into_iter().map(AtomicUsize::into_inner).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_piece_is_done_once(threads in 0..9usize, jobs in prop::collection::vec(0..200usize, 0..60)) {
        let pool = ThreadPool::new(threads).unwrap();
        prop_assert_eq!(pool.num_threads(), threads.max(1));
        for count in jobs {
            prop_assert_eq!(pool.install(|| counts(count)), vec![1; count]);
        }
    }

    #[test]
    fn pieces_of_pieces_are_done_by_one_thread(threads in 1..6usize, outer in 0..20usize, inner in 0..20usize) {
        let pool = ThreadPool::new(threads).unwrap();
        let expected: Vec<Vec<usize>> = (0..outer).map(|i| (0..inner).map(|j| i * j).collect()).collect();
        let compute = |i| {
            let here = thread::current().id();
            map(inner, move |j| {
                // A single piece has the threads for its own pieces.
                assert!(outer == 1 || thread::current().id() == here);
                i * j
            })
        };
        prop_assert_eq!(pool.install(|| map(outer, compute)), expected);
    }

    #[test]
    fn several_callers_share_a_pool(threads in 1..6usize, callers in 1..6usize, jobs in 0..40usize, count in 0..50usize) {
        let pool = ThreadPool::new(threads).unwrap();
        thread::scope(|scope| {
            for _ in 0..callers {
                scope.spawn(|| pool.install(|| (0..jobs).for_each(|_| assert_eq!(counts(count), vec![1; count]))));
            }
        });
    }
}

/// Jobs one after another, as layers have them, and pauses in which the workers go to sleep.
#[test]
fn no_job_is_missed() {
    let pool = ThreadPool::new(4).unwrap();
    pool.install(|| {
        for job in 0..20_000 {
            assert_eq!(map(5, |i| i + job), (job..job + 5).collect::<Vec<_>>());
            if job % 1000 == 0 {
                thread::sleep(Duration::from_millis(3));
            }
        }
    });
}

#[test]
fn all_threads_take_part() {
    let pool = ThreadPool::new(3).unwrap();
    // Each piece waits for the two others, so no thread can do two.
    let all = Barrier::new(3);
    for _ in 0..100 {
        let ids = pool.install(|| {
            map(3, |_| {
                all.wait();
                thread::current().id()
            })
        });
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    }
}

/// The message of what `compute` panics with.
fn message(compute: impl FnOnce()) -> Option<String> {
    let payload = panic::catch_unwind(AssertUnwindSafe(compute)).err()?;
    payload.downcast_ref::<String>().cloned().or_else(|| payload.downcast_ref::<&str>().map(|text| text.to_string()))
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
    let pool = ThreadPool::new(4).unwrap();
    for bad in 0..50 {
        let done = AtomicUsize::new(0);
        let found = message(|| {
            pool.install(|| {
                for_each(0..50, |piece| {
                    assert!(piece != bad, "piece {piece}");
                    done.fetch_add(1, Ordering::Relaxed);
                });
            });
        });
        assert_eq!(found, Some(format!("piece {bad}")));
        assert!(done.into_inner() < 50);
        assert_eq!(pool.install(|| counts(100)), vec![1; 100]);
    }
    let all = message(|| pool.install(|| for_each(0..50, |_| panic!("all of them"))));
    assert_eq!(all.as_deref(), Some("all of them"));
    assert_eq!(pool.install(|| counts(100)), vec![1; 100]);
}

#[test]
fn the_number_of_threads_is_that_of_the_place() {
    let (three, two) = (ThreadPool::new(3).unwrap(), ThreadPool::new(2).unwrap());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    assert_eq!(current_num_threads(), cores);
    three.install(|| {
        assert_eq!(current_num_threads(), 3);
        two.install(|| assert_eq!(current_num_threads(), 2));
        assert_eq!(current_num_threads(), 3);
        assert_eq!(map(4, |_| current_num_threads()), [1; 4]);
        assert_eq!(current_num_threads(), 3);
    });
    assert_eq!(message(|| three.install(|| panic!("away"))).as_deref(), Some("away"));
    assert_eq!(current_num_threads(), cores);
}

#[test]
fn who_wants_as_many_threads_shares_them() {
    let seventeen = ThreadPool::shared(17).unwrap();
    assert!(Arc::ptr_eq(&seventeen, &ThreadPool::shared(17).unwrap()));
    assert!(!Arc::ptr_eq(&seventeen, &ThreadPool::shared(18).unwrap()));
    assert_eq!(seventeen.num_threads(), 17);
}
