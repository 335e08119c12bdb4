//! The pins of a Raspberry Pi, by rppal: levels from its registers, edges from the kernel's GPIO character device.
//!
//! One thread waits for the edges of all inputs. It also opens the pins and is the only one that asks rppal for interrupts:
//! rppal holds a lock of its own while it waits, and its callbacks (`set_async_interrupt`) take a thread for each pin, open the line where
//! nobody hears of a failure, and end without a word at the first signal. Edges carry the kernel's own time.
//!
//! LEDs that are to be less bright have one more thread, which lights them for a part of the time.
//!
//! What a pin needs: the group that owns `/dev/gpiomem*` and `/dev/gpiochip*`. An output is asked for at the character device before it is
//! driven, because the registers know nothing of who else uses it. Invariant: a pin that cannot be had is asked for again every
//! minute, and no other pin is the worse for it.

use super::dim::{self, Step};
use super::edges::Edges;
use super::pins::{Burst, Input, Level, Output, PinError, Pins, Pull};
use crate::clock::Clock;
use rppal::gpio::{self, Gpio, InputPin, Mode, OutputPin, Trigger};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How long the thread waits at most before it looks whether it is still wanted.
const LOOK: Duration = Duration::from_secs(1);
/// How soon a pin that cannot be had is asked for again.
const AGAIN: Duration = Duration::from_mins(1);
/// The thread calls rppal and little else.
const STACK: usize = 128 * 1024;

/// The board's pins.
#[derive(Debug)]
pub(super) struct Raspberry {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// The thread that dims, if something is to be dimmed.
    dimmer: Option<Thread>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    edges: Edges,
    inputs: BTreeMap<u8, Arc<InputPin>>,
    outputs: BTreeMap<u8, Driven>,
    faults: BTreeMap<u8, PinError>,
    is_open: bool,
}

/// An output: what it is to be, whether it can be had or not.
#[derive(Debug)]
struct Driven {
    level: Level,
    /// What it is while it is dark, or open.
    rest: Level,
    /// How much of the time it is at its level, in per cent, when that is not its rest.
    share: u8,
    pin: Option<OutputPin>,
}

impl Driven {
    const fn of(output: Output) -> Self {
        Self { level: output.level, rest: output.level, share: output.share, pin: None }
    }

    fn is_dimmed(&self) -> bool {
        self.share < 100
    }

    fn write(&mut self, level: Level) {
        if let Some(pin) = &mut self.pin {
            pin.write(rppal_level(level));
        }
    }
}

impl Raspberry {
    /// Begins to open the pins; they come, or their faults, a moment later. `before` is the thread that had them until now.
    pub(super) fn open(inputs: &[Input], outputs: &[Output], before: Option<JoinHandle<()>>) -> Self {
        let driven = |output: &Output| (output.pin, Driven::of(*output));
        let state = State {
            edges: Edges::of(inputs),
            inputs: BTreeMap::new(),
            outputs: outputs.iter().map(driven).collect(),
            faults: BTreeMap::new(),
            is_open: false,
        };
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), state: Mutex::new(state) });
        let work = {
            let (shared, inputs) = (Arc::clone(&shared), inputs.to_vec());
            move || {
                if let Some(before) = before {
                    // One that panicked has let its pins go, too.
                    let _ = before.join();
                }
                Watch { shared, wanted: inputs, gpio: None, asked: None }.run();
            }
        };
        let thread = thread::Builder::new().name("gpio".to_owned()).stack_size(STACK).spawn(work);
        match thread {
            Ok(thread) => {
                let dimmer = outputs.iter().any(|output| output.share < 100).then(|| dim(&shared)).flatten();
                Self { shared, thread: Some(thread), dimmer }
            }
            Err(why) => {
                let mut state = shared.state();
                let why = PinError::Board { why: why.to_string() };
                let pins =
                    inputs.iter().map(|input| input.pin).chain(outputs.iter().map(|output| output.pin));
                state.faults.extend(pins.map(|pin| (pin, why.clone())));
                state.is_open = true;
                drop(state);
                Self { shared, thread: None, dimmer: None }
            }
        }
    }
}

impl Drop for Raspberry {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    /// Nothing panics while it holds this; and if it did, levels are still levels.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pins for Raspberry {
    fn fault(&self, pin: u8) -> Option<PinError> {
        self.shared.state().faults.get(&pin).cloned()
    }

    fn is_open(&self) -> bool {
        self.shared.state().is_open
    }

    fn level(&self, pin: u8) -> Option<Level> {
        let state = self.shared.state();
        state.inputs.get(&pin).map(|input| level(input.read()))
    }

    fn take(&mut self, pin: u8) -> Option<Burst> {
        self.shared.state().edges.take(pin)
    }

    fn heed(&mut self, pin: u8) {
        self.shared.state().edges.heed(pin);
    }

    fn write(&mut self, pin: u8, level: Level) {
        let mut state = self.shared.state();
        let Some(driven) = state.outputs.get_mut(&pin) else { return };
        driven.level = level;
        driven.write(level);
        if driven.is_dimmed() && level != driven.rest {
            drop(state);
            if let Some(dimmer) = &self.dimmer {
                dimmer.unpark();
            }
        }
    }

    fn poll_moved(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.state().edges.poll(cx)
    }

    fn close(mut self: Box<Self>) -> Option<JoinHandle<()>> {
        self.shared.stop.store(true, Ordering::Relaxed);
        // rppal gives them back as inputs.
        self.shared.state().outputs.clear();
        self.thread.take()
    }
}

/// The thread.
struct Watch {
    shared: Arc<Shared>,
    wanted: Vec<Input>,
    gpio: Option<Gpio>,
    /// When pins were asked for last.
    asked: Option<Instant>,
}

impl Watch {
    fn run(mut self) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            let now = Clock::now();
            if self.asked.is_none_or(|asked| now >= asked + AGAIN) {
                self.asked = Some(now);
                self.open();
            }
            if !self.wait() {
                thread::sleep(LOOK);
            }
        }
        let mut state = self.shared.state();
        state.inputs.clear();
    }

    /// Opens what is not open.
    fn open(&mut self) {
        let opened = match &self.gpio {
            Some(gpio) => Ok(gpio.clone()),
            None => Gpio::new().map_err(|error| fault(None, &error)),
        };
        let mut faults = BTreeMap::new();
        let (inputs, outputs) = {
            let state = self.shared.state();
            let is_open = |pin: u8| state.inputs.contains_key(&pin);
            let inputs: Vec<Input> =
                self.wanted.iter().filter(|input| !is_open(input.pin)).copied().collect();
            let outputs = state.outputs.iter().filter(|(_, driven)| driven.pin.is_none());
            (inputs, outputs.map(|(pin, _)| *pin).collect::<Vec<u8>>())
        };
        match opened {
            Err(error) => {
                let pins = inputs.iter().map(|input| input.pin).chain(outputs);
                faults.extend(pins.map(|pin| (pin, error.clone())));
            }
            Ok(gpio) => {
                for pin in outputs {
                    if let Err(error) = self.drive(&gpio, pin) {
                        faults.insert(pin, fault(Some(pin), &error));
                    }
                }
                for input in inputs {
                    match listen(&gpio, &input) {
                        Ok(pin) => drop(self.shared.state().inputs.insert(input.pin, Arc::new(pin))),
                        Err(error) => drop(faults.insert(input.pin, fault(Some(input.pin), &error))),
                    }
                }
                self.gpio = Some(gpio);
            }
        }
        let mut state = self.shared.state();
        state.faults = faults;
        state.is_open = true;
        state.edges.call();
    }

    /// Drives an output, if nobody else has its line.
    fn drive(&self, gpio: &Gpio, pin: u8) -> gpio::Result<()> {
        let mut probe = gpio.get(pin)?.into_input();
        // If that fails, the pin becomes what it was.
        probe.set_interrupt(Trigger::Disabled, None)?;
        probe.clear_interrupt()?;
        // What follows decides what it is.
        probe.set_reset_on_drop(false);
        drop(probe);
        let mut state = self.shared.state();
        if let Some(driven) = state.outputs.get_mut(&pin) {
            let line = gpio.get(pin)?;
            driven.pin = Some(match driven.level {
                Level::Low => line.into_output_low(),
                Level::High => line.into_output_high(),
            });
        }
        Ok(())
    }

    /// Waits for an edge, or a while. False if there is nothing to wait for.
    fn wait(&mut self) -> bool {
        let pins: Vec<Arc<InputPin>> = self.shared.state().inputs.values().cloned().collect();
        let Some(gpio) = self.gpio.as_ref().filter(|_| !pins.is_empty()) else { return false };
        let pins: Vec<&InputPin> = pins.iter().map(Arc::as_ref).collect();
        match gpio.poll_interrupts(&pins, false, Some(LOOK)) {
            Ok(Some((pin, event))) => {
                let level = if event.trigger == Trigger::RisingEdge { Level::High } else { Level::Low };
                let at = Clock::of_kernel(event.timestamp);
                self.shared.state().edges.edge(pin.pin(), level, at);
                true
            }
            Ok(None) => true,
            // A signal that was delivered to this thread.
            Err(gpio::Error::Io(error)) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(error) => {
                let why = format!("no edges are told: {error}");
                let mut state = self.shared.state();
                let pins: Vec<u8> = state.inputs.keys().copied().collect();
                state.faults.extend(pins.into_iter().map(|pin| (pin, PinError::Board { why: why.clone() })));
                state.edges.call();
                false
            }
        }
    }
}

/// Starts the thread that dims. Without it everything is as bright as it can be, which is no reason to stop.
fn dim(shared: &Arc<Shared>) -> Option<Thread> {
    let shared = Arc::clone(shared);
    let work = move || {
        while !shared.stop.load(Ordering::Relaxed) {
            let begun = Clock::now();
            let lit: Vec<(u8, u8)> = {
                let state = shared.state();
                let lit = state
                    .outputs
                    .iter()
                    .filter(|(_, driven)| driven.is_dimmed() && driven.level != driven.rest);
                lit.map(|(pin, driven)| (*pin, driven.share)).collect()
            };
            if lit.is_empty() {
                // Woken once something is lit.
                thread::park_timeout(LOOK);
                continue;
            }
            for step in dim::period(&lit) {
                match step {
                    Step::Until(after) => {
                        thread::sleep((begun + after).saturating_duration_since(Clock::now()));
                    }
                    Step::Drive { pin, lit } => {
                        let mut state = shared.state();
                        // It may have been put out meanwhile.
                        if let Some(driven) =
                            state.outputs.get_mut(&pin).filter(|driven| driven.level != driven.rest)
                        {
                            let level = if lit { driven.level } else { driven.rest };
                            driven.write(level);
                        }
                    }
                }
            }
        }
    };
    let thread = thread::Builder::new().name("dim".to_owned()).stack_size(STACK).spawn(work);
    thread.ok().map(|handle| handle.thread().clone())
}

/// Opens an input, with interrupts for both edges.
fn listen(gpio: &Gpio, input: &Input) -> gpio::Result<InputPin> {
    let line = gpio.get(input.pin)?;
    let was = line.mode();
    let mut pin = match input.pull {
        Pull::Up => line.into_input_pullup(),
        Pull::Down => line.into_input_pulldown(),
        Pull::Off => line.into_input(),
    };
    // Bouncing is judged here and not by the kernel, which would hide a contact that chatters.
    let heard = pin.set_interrupt(Trigger::Both, None);
    if heard.is_err() {
        // Dropped, it would take the pull from a contact that another agent reads. What somebody drives becomes an output again.
        pin.set_reset_on_drop(was != Mode::Input);
    }
    heard.map(|()| pin)
}

const fn level(level: gpio::Level) -> Level {
    match level {
        gpio::Level::Low => Level::Low,
        gpio::Level::High => Level::High,
    }
}

const fn rppal_level(level: Level) -> gpio::Level {
    match level {
        Level::Low => gpio::Level::Low,
        Level::High => gpio::Level::High,
    }
}

/// rppal's errors in our words; `pin` is what it was about.
fn fault(pin: Option<u8>, error: &gpio::Error) -> PinError {
    match (pin, error) {
        (_, gpio::Error::UnknownModel) => PinError::NoBoard,
        (_, gpio::Error::PinUsed(pin)) => PinError::Held { pin: *pin },
        (_, gpio::Error::PinNotAvailable(pin)) => PinError::Unknown { pin: *pin },
        (_, gpio::Error::PermissionDenied(path)) => PinError::Permission { path: path.clone() },
        (Some(pin), gpio::Error::Io(why)) if why.kind() == io::ErrorKind::ResourceBusy => {
            PinError::Held { pin }
        }
        (Some(pin), gpio::Error::Io(why)) => PinError::pin(pin, why),
        (None, gpio::Error::Io(why)) if why.kind() == io::ErrorKind::NotFound => PinError::Board {
            why: "there is no /dev/gpiochip0, from which rppal counts upward to find the header's chip"
                .to_owned(),
        },
        (_, error) => PinError::Board { why: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future;

    #[test]
    fn a_machine_without_pins_says_so_of_each_and_goes_on() {
        if super::super::Board::recognise(std::path::Path::new("/")).gpio {
            return;
        }
        let input = Input { pin: 17, pull: Pull::Up, apart: LOOK };
        let mut board = Raspberry::open(&[input], &[Output { pin: 22, level: Level::Low, share: 30 }], None);
        future::block_on(future::poll_fn(|cx| board.poll_moved(cx)));
        assert!(board.fault(17).is_some() && board.fault(17) == board.fault(22));
        assert_eq!(board.level(17), None);
        board.write(22, Level::High);
        let again = Raspberry::open(&[input], &[], Box::new(board).close());
        assert_eq!(again.level(17), None);
    }

    #[test]
    fn errors_are_told_in_words_that_help() {
        let busy = gpio::Error::Io(io::Error::from_raw_os_error(16));
        for (pin, error, told) in [
            (Some(17), busy, "pin 17 is held by another process or driver"),
            (Some(60), gpio::Error::PinNotAvailable(60), "the board has no pin 60"),
            (None, gpio::Error::UnknownModel, "this machine is no Raspberry Pi"),
            (
                None,
                gpio::Error::PermissionDenied("/dev/gpiomem".to_owned()),
                "may not open /dev/gpiomem; run as a member of the group",
            ),
            (
                None,
                gpio::Error::Io(io::Error::from_raw_os_error(2)),
                "the board's pins cannot be opened: there",
            ),
        ] {
            let said = fault(pin, &error).to_string();
            assert!(said.starts_with(told), "{said}");
        }
    }
}
