//! What a board keeps of its inputs' edges until the panel asks: bursts instead of edges, and at most so many.
//!
//! Pure. Edges that are closer together than a line's `apart` become one [`Burst`], so what is kept grows with the movements of a contact
//! and not with its bouncing. Invariant: the newest burst's level is the newest edge's.

use super::pins::{Burst, Input, Level};
use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Movements of one input that are kept: more come only while the agent stands still, and then the newest count.
const KEPT: usize = 64;

#[derive(Debug)]
struct Line {
    apart: Duration,
    bursts: VecDeque<Burst>,
    heeded: bool,
}

/// The edges of a board's inputs.
#[derive(Debug, Default)]
pub(super) struct Edges {
    lines: BTreeMap<u8, Line>,
    moved: bool,
    waker: Option<Waker>,
}

impl Edges {
    /// For these inputs.
    pub(super) fn of(inputs: &[Input]) -> Self {
        let line =
            |input: &Input| (input.pin, Line { apart: input.apart, bursts: VecDeque::new(), heeded: true });
        Self { lines: inputs.iter().map(line).collect(), moved: false, waker: None }
    }

    /// An edge to `level` at `at`.
    pub(super) fn edge(&mut self, pin: u8, level: Level, at: Instant) {
        let Some(line) = self.lines.get_mut(&pin) else { return };
        let full = line.bursts.len() >= KEPT;
        match line.bursts.back_mut() {
            Some(last) if full || at.saturating_duration_since(last.last) < line.apart => {
                (last.last, last.level) = (last.last.max(at), level);
            }
            _ => line.bursts.push_back(Burst { first: at, last: at, level }),
        }
        if std::mem::take(&mut line.heeded) {
            self.call();
        }
    }

    /// Something else happened that whoever polls should know.
    pub(super) fn call(&mut self) {
        self.moved = true;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The oldest movement that was not taken yet.
    pub(super) fn take(&mut self, pin: u8) -> Option<Burst> {
        self.lines.get_mut(&pin)?.bursts.pop_front()
    }

    /// Calls at this input's next edge, and at once if there was one meanwhile.
    pub(super) fn heed(&mut self, pin: u8) {
        let Some(line) = self.lines.get_mut(&pin) else { return };
        line.heeded = line.bursts.is_empty();
        if !line.heeded {
            self.call();
        }
    }

    /// Ready once after each call.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::take(&mut self.moved) {
            return Poll::Ready(());
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::super::pins::Pull;
    use super::*;
    use crate::clock::Clock;

    const MS: Duration = Duration::from_millis(1);

    fn edges() -> (Edges, Instant) {
        let inputs = [17, 27].map(|pin| Input { pin, pull: Pull::Up, apart: 30 * MS });
        (Edges::of(&inputs), Clock::now())
    }

    fn is_called(edges: &mut Edges) -> bool {
        edges.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn edges_close_together_are_one_burst_and_a_pause_begins_another() {
        let (mut edges, start) = edges();
        for (at, level) in [(0, Level::Low), (2, Level::High), (5, Level::Low), (40, Level::High)] {
            edges.edge(17, level, start + at * MS);
        }
        assert_eq!(edges.take(17), Some(Burst { first: start, last: start + 5 * MS, level: Level::Low }));
        let second = Burst { first: start + 40 * MS, last: start + 40 * MS, level: Level::High };
        assert_eq!(edges.take(17), Some(second));
        assert_eq!((edges.take(17), edges.take(27), edges.take(3)), (None, None, None));
    }

    #[test]
    fn only_a_heeded_line_calls_and_once() {
        let (mut edges, start) = edges();
        assert!(!is_called(&mut edges));
        edges.edge(17, Level::Low, start);
        assert!(is_called(&mut edges) && !is_called(&mut edges));
        edges.edge(17, Level::High, start + MS);
        assert!(!is_called(&mut edges), "it is being looked at already");
        edges.edge(27, Level::Low, start + MS);
        assert!(is_called(&mut edges), "the other line calls for itself");
        edges.heed(17);
        assert!(is_called(&mut edges), "what came meanwhile is not forgotten");
        edges.take(17);
        edges.heed(17);
        assert!(!is_called(&mut edges));
        edges.edge(17, Level::Low, start + 2 * MS);
        assert!(is_called(&mut edges));
    }

    #[test]
    fn however_long_nobody_looks_little_is_kept_and_the_newest_level_is_right() {
        let (mut edges, start) = edges();
        for step in 0..1001 {
            let level = if step % 2 == 0 { Level::Low } else { Level::High };
            edges.edge(17, level, start + step * 100 * MS);
        }
        let kept: Vec<Burst> = std::iter::from_fn(|| edges.take(17)).collect();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(
            kept.last().map(|burst| (burst.last, burst.level)),
            Some((start + 100_000 * MS, Level::Low))
        );
    }
}
