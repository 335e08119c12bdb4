//! Writes alerts down while the rules go on: a disk that takes its time, or hangs, delays no tally. Of what comes while it writes the newest counts.

use rackside_series::HubDb;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What alerts are saved under in `hub.db`.
pub(super) const KEY: &str = "alerts";
/// What could not be written is tried again after so long.
const RETRY: Duration = Duration::from_secs(5);

/// The thread that writes, and what it is to write next.
pub(super) struct Saver {
    desk: Arc<Desk>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Desk {
    work: Mutex<Work>,
    rings: Condvar,
}

#[derive(Default)]
struct Work {
    next: Option<Vec<u8>>,
    ends: bool,
}

impl Saver {
    pub(super) fn start(db: Arc<HubDb>) -> std::io::Result<Self> {
        let desk = Arc::<Desk>::default();
        let own = Arc::clone(&desk);
        let thread = std::thread::Builder::new().name("alerts".to_owned()).spawn(move || own.run(&db))?;
        Ok(Self { desk, thread })
    }

    /// Has this written, in place of what waits. Waits for nothing.
    pub(super) fn save(&self, bytes: Vec<u8>) {
        self.desk.work().next = Some(bytes);
        self.desk.rings.notify_one();
    }

    /// Ends the thread, when it has written what waits.
    pub(super) fn finish(self) {
        self.desk.work().ends = true;
        self.desk.rings.notify_one();
        if self.thread.join().is_err() {
            log::error!("the thread that writes alerts down had failed");
        }
    }
}

impl Desk {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What could not be written is tried again after a while, unless something newer is there by then or it is the end.
    fn again(&self, bytes: Vec<u8>) {
        let is_idle = |work: &mut Work| work.next.is_none() && !work.ends;
        let waited = self.rings.wait_timeout_while(self.work(), RETRY, is_idle);
        let (mut work, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if !work.ends {
            work.next.get_or_insert(bytes);
        }
    }

    fn run(&self, db: &HubDb) {
        let mut trouble = None;
        loop {
            let idle = |work: &mut Work| work.next.is_none() && !work.ends;
            let mut work = self.rings.wait_while(self.work(), idle).unwrap_or_else(PoisonError::into_inner);
            let Some(bytes) = work.next.take() else { return };
            drop(work);
            let failed = db.state_save(KEY, &bytes).err();
            if failed.is_some() {
                self.again(bytes);
            }
            // Said when it begins and when it ends, and not each time.
            if failed != trouble {
                match &failed {
                    Some(error) => log::error!(
                        "{error}; a hub that is started now would not know the alerts of the moment"
                    ),
                    None => log::info!("alerts are written down again"),
                }
                trouble = failed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_written_before_the_end() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let db = Arc::new(HubDb::open(directory.path()).expect("it opens"));
        let saver = Saver::start(Arc::clone(&db)).expect("a thread");
        for n in 0..100_u8 {
            saver.save(vec![n]);
        }
        saver.finish();
        assert_eq!(db.state_load(KEY), Ok(Some(vec![99])));
    }
}
