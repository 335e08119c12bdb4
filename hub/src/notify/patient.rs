//! A mutex for what is held for some tens of milliseconds now and then: a storm's step of the notifier. Whoever waits for it on a worker of the runtime leaves
//! that worker to the others meanwhile; whoever finds it free pays nothing.
//!
//! ```text
//! thread notify ── a step of 1,000 alerts ──────┐
//! a request     ──    waits, in a thread of its own ──▶ looks
//! other requests ──── answered by the worker ───▶
//! ```

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// The mutex. What a thread that panicked left behind is gone on with.
#[derive(Debug)]
pub(super) struct Patient<T>(Mutex<T>);

impl<T> Patient<T> {
    pub(super) fn new(of: T) -> Self {
        Self(Mutex::new(of))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        match self.0.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {}
        }
        let wait = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match Handle::try_current().map(|handle| handle.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => block_in_place(wait),
            // A runtime of one thread, as a command has, has nobody else to leave it to.
            _ => wait(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    /// Far longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn whoever_waits_leaves_the_worker_to_others() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
        let runtime = runtime.expect("a runtime");
        let lock = Arc::new(Patient::new(0));
        let (held, is_held) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let holding = {
            let lock = Arc::clone(&lock);
            std::thread::spawn(move || {
                let guard = lock.lock();
                held.send(()).expect("the test waits for it");
                let _ = released.recv();
                drop(guard);
            })
        };
        is_held.recv_timeout(PATIENCE).expect("it is held");
        let (waits, is_waiting) = mpsc::channel();
        let waiting = {
            let lock = Arc::clone(&lock);
            runtime.spawn(async move {
                waits.send(()).expect("the test waits for it");
                *lock.lock() += 1;
            })
        };
        is_waiting.recv_timeout(PATIENCE).expect("the only worker has begun to wait");
        let (answer, answered) = mpsc::channel();
        runtime.spawn(async move { answer.send(()) });
        answered.recv_timeout(PATIENCE).expect("another one is answered meanwhile");
        assert!(!waiting.is_finished(), "it is still held");
        drop(release);
        holding.join().expect("it does not panic");
        runtime.block_on(waiting).expect("it does not panic");
        assert_eq!(*lock.lock(), 1);
    }
}
