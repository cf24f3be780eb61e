//! How long workers were at work, known exactly at any moment, also while they are: a COPY of a
//! minute shows from its first second on.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A clock that runs as long as workers do.
#[derive(Debug, Default)]
pub(super) struct Clock(Mutex<State>);

#[derive(Debug, Default, Clone, Copy)]
struct State {
    workers: u64,
    running: u64,
    /// When `time` was true.
    at: Option<Instant>,
    time: Time,
}

/// What a clock shows.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Time {
    /// Seconds of work, added up over the workers.
    pub busy_s: f64,
    /// Seconds, each as far as the workers were at work.
    pub occupied_s: f64,
}

impl State {
    fn advance(&mut self) {
        let now = Instant::now();
        if let Some(at) = self.at.replace(now) {
            let passed = now.saturating_duration_since(at).as_secs_f64();
            self.time.busy_s += passed * self.running as f64;
            let part = self.running as f64 / self.workers.max(1) as f64;
            self.time.occupied_s += passed * part.min(1.0);
        }
    }
}

impl Clock {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance();
        change(&mut state)
    }

    /// From now on so many workers are all there are; one, until it is said.
    pub fn has_workers(&self, workers: usize) {
        self.change(|state| state.workers = workers as u64);
    }

    /// A worker is at work until the answer is dropped.
    pub fn run(&self) -> Running<'_> {
        self.change(|state| state.running += 1);
        Running(self)
    }

    /// A worker that is at work rests, or goes on.
    pub fn rest(&self, resting: bool) {
        self.change(|state| match resting {
            true => state.running = state.running.saturating_sub(1),
            false => state.running += 1,
        });
    }

    /// What it shows now.
    pub fn read(&self) -> Time {
        self.change(|state| state.time)
    }
}

/// A worker at work.
#[derive(Debug)]
pub(super) struct Running<'a>(&'a Clock);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.running = state.running.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn work_shows_while_it_is_done_and_a_rest_does_not() {
        let clock = Clock::default();
        assert_eq!(clock.read(), Time::default());
        clock.has_workers(2);
        let one = clock.run();
        std::thread::sleep(Duration::from_millis(30));
        let during = clock.read();
        assert!(during.busy_s >= 0.03 && during.occupied_s >= 0.015, "{during:?}");
        assert!((during.busy_s / during.occupied_s - 2.0).abs() < 1e-6, "one of two workers");
        let other = clock.run();
        std::thread::sleep(Duration::from_millis(10));
        drop((one, other));
        let ended = clock.read();
        assert!(ended.busy_s >= during.busy_s + 0.02);
        std::thread::sleep(Duration::from_millis(10));
        assert_eq!(clock.read(), ended, "nobody is at work");
    }
}
