//! A subscriber that throws everything away: the baseline beside which a hub's rate is told.

use crate::clock;
use rackside_link::{Link, LinkEvent, Options, Qos};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The subscriber, on a thread of its own.
#[derive(Debug)]
pub struct Discard {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    messages: AtomicU64,
    subscribed: AtomicBool,
    over: AtomicBool,
}

impl Discard {
    /// Subscribes to `filter` with QoS 1 and returns once the broker has said yes.
    pub fn start(address: SocketAddr, filter: &str) -> Result<Self, String> {
        let shared = Arc::new(Shared::default());
        let (its, filter) = (Arc::clone(&shared), filter.to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start a runtime: {error}"))?;
        let thread = thread::spawn(move || {
            if let Err(why) = runtime.block_on(subscribe(address, &filter, &its)) {
                eprintln!("the discarding subscriber ended: {why}");
            }
        });
        let discard = Self { shared, thread: Some(thread) };
        let is_subscribed = || discard.shared.subscribed.load(Ordering::SeqCst).then_some(());
        match clock::eventually(Duration::from_secs(10), is_subscribed) {
            Some(()) => Ok(discard),
            None => Err(format!("no answer to the subscription from {address}")),
        }
    }

    /// How many messages it threw away so far.
    pub fn messages(&self) -> u64 {
        self.shared.messages.load(Ordering::Relaxed)
    }
}

impl Drop for Discard {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // It has said why if it ended badly.
            let _ = thread.join();
        }
    }
}

async fn subscribe(address: SocketAddr, filter: &str, shared: &Shared) -> Result<(), String> {
    let told = |error: rackside_link::LinkError| error.to_string();
    let mut stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let mut link = Link::new(&Options::new(format!("discard-{}", std::process::id())), clock::now());
    let mut buffer = vec![0; 64 * 1024];
    while !shared.over.load(Ordering::SeqCst) {
        if !link.output().is_empty() {
            stream.write_all(link.output()).await.map_err(|error| error.to_string())?;
            link.written(link.output().len());
        }
        // Short, so that the end is seen soon.
        let read = tokio::time::timeout(Duration::from_millis(100), stream.read(&mut buffer)).await;
        match read {
            Err(_) => {}
            Ok(Ok(0)) => return Err("the broker closed the connection".to_owned()),
            Ok(read) => {
                let read = read.map_err(|error| error.to_string())?;
                link.receive(&buffer[..read], clock::now()).map_err(told)?;
            }
        }
        let now = clock::now();
        while let Some(event) = link.next_event() {
            match event {
                LinkEvent::Connected => link.subscribe(&[(filter, Qos::AtLeastOnce)], now).map_err(told)?,
                LinkEvent::Subscribed { .. } => shared.subscribed.store(true, Ordering::SeqCst),
                LinkEvent::Message { .. } => {
                    shared.messages.fetch_add(1, Ordering::Relaxed);
                }
                LinkEvent::Acked | LinkEvent::Oversized { .. } => {}
            }
        }
        link.handle_timeout(now).map_err(told)?;
    }
    Ok(())
}
