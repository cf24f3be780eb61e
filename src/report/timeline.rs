//! How a run went over time: samples of growing figures, thinned out so that they never take more
//! than a fixed room, and what happened between two of them. It reads no clock: whoever samples
//! says when.

use serde::Serialize;

use crate::limit::{TIMELINE_POINTS_MAX, TIMELINE_STEP_MS};

/// The figures of a run at one moment; all of them only grow.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// Seconds since the run began to load.
    pub at_s: f64,
    /// Records whose batch is committed.
    pub rows: u64,
    /// Bytes of sources that are done with.
    pub bytes: u64,
    /// Records rejected.
    pub rejects: u64,
    /// Waits before something was tried again.
    pub retries: u64,
    /// Seconds for which each stage was occupied, from 0 to `at_s`, in the order of the flow.
    pub occupied_s: Vec<f64>,
    /// Seconds for which the run was held back on purpose.
    pub held_s: f64,
}

/// Samples of a run, at most [`TIMELINE_POINTS_MAX`]: when there are more, every second one goes.
#[derive(Debug, Clone)]
pub struct History {
    step_s: f64,
    samples: Vec<Sample>,
}

impl Default for History {
    fn default() -> Self {
        Self { step_s: TIMELINE_STEP_MS as f64 / 1e3, samples: Vec::new() }
    }
}

impl History {
    /// Keeps a sample, unless the one before is younger than a step.
    pub fn push(&mut self, sample: Sample) {
        let due = self.samples.last().is_none_or(|last| sample.at_s - last.at_s >= self.step_s);
        if due {
            self.keep(sample);
        }
    }

    /// Keeps the last sample, however young the one before is.
    pub fn finish(&mut self, sample: Sample) {
        self.keep(sample);
    }

    fn keep(&mut self, sample: Sample) {
        if self.samples.len() > TIMELINE_POINTS_MAX {
            let mut at = 0;
            self.samples.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.step_s *= 2.0;
        }
        self.samples.push(sample);
    }

    /// Records a second over about the last `seconds`, in at most `count` steps, the newest last.
    pub fn recent_rows_per_s(&self, seconds: f64, count: usize) -> Vec<f64> {
        let Some(last) = self.samples.last() else { return Vec::new() };
        let first = last.at_s - seconds;
        let from = self.samples.partition_point(|sample| sample.at_s < first);
        let recent = &self.samples[from.saturating_sub(1)..];
        let stride = recent.len().div_ceil(count.max(1)).max(1);
        let picked: Vec<&Sample> = recent.iter().rev().step_by(stride).collect();
        let speed = |pair: &[&Sample]| {
            let (after, before) = (pair[0], pair[1]);
            after.rows.saturating_sub(before.rows) as f64 / (after.at_s - before.at_s).max(1e-3)
        };
        let mut speeds: Vec<f64> = picked.windows(2).map(speed).collect();
        speeds.reverse();
        speeds
    }

    /// What happened between the last two samples.
    pub fn latest(&self, stages: &[&str]) -> Option<Point> {
        let [.., before, last] = &self.samples[..] else { return None };
        (last.at_s > before.at_s).then(|| Point::between(before, last, stages))
    }

    /// What happened between the samples. `stages` names the stages in the samples' order.
    pub fn timeline(&self, stages: &[&str]) -> Timeline {
        let zero = Sample { occupied_s: vec![0.0; stages.len()], ..Sample::default() };
        let mut before = &zero;
        let mut points = Vec::with_capacity(self.samples.len());
        for sample in &self.samples {
            if sample.at_s > before.at_s {
                points.push(Point::between(before, sample, stages));
                before = sample;
            }
        }
        Timeline { stages: stages.iter().map(|&stage| stage.to_owned()).collect(), points }
    }
}

/// How a run went over time.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Timeline {
    /// The stages, in the order of the flow.
    pub stages: Vec<String>,
    /// Its steps, in order, without gaps.
    pub points: Vec<Point>,
}

/// One step of a timeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// When it begins, in seconds since the run began to load.
    pub from_s: f64,
    /// When it ends.
    pub to_s: f64,
    /// Records committed in it.
    pub rows: u64,
    /// Bytes of sources done with in it.
    pub bytes: u64,
    /// Records rejected in it.
    pub rejects: u64,
    /// Retries in it.
    pub retries: u64,
    /// The part of it in which each stage was occupied, 0 to 1.
    pub occupied: Vec<f64>,
    /// The stage that the others waited for; `held back` where the run was slowed down on purpose;
    /// `null` where nothing happened.
    pub bottleneck: Option<String>,
}

/// Where a step was spent that was slowed down on purpose.
pub const HELD_BACK: &str = "held back";

/// A stage that is occupied less than this keeps nobody waiting.
const OCCUPIED_MIN: f64 = 0.02;

impl Point {
    fn between(before: &Sample, after: &Sample, stages: &[&str]) -> Self {
        let length = after.at_s - before.at_s;
        let part = |after: f64, before: f64| ((after - before) / length).clamp(0.0, 1.0);
        let occupied: Vec<f64> = (0..stages.len())
            .map(|at| {
                let of = |sample: &Sample| sample.occupied_s.get(at).copied().unwrap_or(0.0);
                rounded(part(of(after), of(before)))
            })
            .collect();
        let held = part(after.held_s, before.held_s);
        let busiest = (0..stages.len()).max_by(|&a, &b| occupied[a].total_cmp(&occupied[b]));
        let bottleneck = match busiest {
            _ if held > 0.5 => Some(HELD_BACK.to_owned()),
            Some(at) if occupied[at] >= OCCUPIED_MIN => Some(stages[at].to_owned()),
            _ => None,
        };
        Self {
            from_s: rounded(before.at_s),
            to_s: rounded(after.at_s),
            rows: after.rows.saturating_sub(before.rows),
            bytes: after.bytes.saturating_sub(before.bytes),
            rejects: after.rejects.saturating_sub(before.rejects),
            retries: after.retries.saturating_sub(before.retries),
            occupied,
            bottleneck,
        }
    }

    /// Seconds that it lasts.
    pub fn seconds(&self) -> f64 {
        self.to_s - self.from_s
    }
}

impl Timeline {
    /// Seconds for which each stage, or holding back, was what the others waited for; the longest
    /// first.
    pub fn bottlenecks(&self) -> Vec<(&str, f64)> {
        let mut found: Vec<(&str, f64)> = Vec::new();
        for point in &self.points {
            let Some(stage) = point.bottleneck.as_deref() else { continue };
            match found.iter_mut().find(|(known, _)| *known == stage) {
                Some((_, seconds)) => *seconds += point.seconds(),
                None => found.push((stage, point.seconds())),
            }
        }
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found
    }
}

fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_s: f64, rows: u64, occupied_s: &[f64]) -> Sample {
        Sample { at_s, rows, occupied_s: occupied_s.to_vec(), ..Sample::default() }
    }

    #[test]
    fn a_day_of_samples_takes_no_more_room_than_a_minute() {
        let mut history = History::default();
        let (mut at_s, mut rows) = (0.0, 0);
        while at_s < 86_400.0 {
            history.push(sample(at_s, rows, &[at_s]));
            (at_s, rows) = (at_s + 0.25, rows + 100);
        }
        history.finish(sample(at_s, rows, &[at_s]));
        let timeline = history.timeline(&["write"]);
        assert!(timeline.points.len() <= TIMELINE_POINTS_MAX + 1, "{}", timeline.points.len());
        assert!(timeline.points.len() > TIMELINE_POINTS_MAX / 3);
        assert_eq!(timeline.points.iter().map(|point| point.rows).sum::<u64>(), rows);
        assert!(timeline.points.windows(2).all(|pair| pair[0].to_s == pair[1].from_s));
        assert_eq!(timeline.points.last().unwrap().to_s, 86_400.0);
    }

    #[test]
    fn the_bottleneck_is_the_stage_that_is_occupied_most() {
        let mut history = History::default();
        history.push(sample(1.0, 10, &[0.2, 0.9]));
        history.push(sample(3.0, 30, &[2.0, 1.0]));
        history.push(sample(4.0, 30, &[2.0, 1.0]));
        let held = Sample { held_s: 0.8, ..sample(5.0, 30, &[2.0, 1.9]) };
        history.push(held);
        let timeline = history.timeline(&["read", "write"]);
        let found: Vec<_> = timeline.points.iter().map(|p| p.bottleneck.as_deref()).collect();
        assert_eq!(found, [Some("write"), Some("read"), None, Some(HELD_BACK)]);
        assert_eq!(timeline.points[1].occupied, [0.9, 0.05]);
        assert_eq!(timeline.bottlenecks()[0], ("read", 2.0));
    }

    #[test]
    fn recent_speeds_end_with_the_newest() {
        let mut history = History::default();
        for second in 0..10_u32 {
            history.push(sample(second.into(), u64::from(second * second), &[]));
        }
        assert_eq!(history.recent_rows_per_s(3.0, 10), [11.0, 13.0, 15.0, 17.0]);
        assert_eq!(history.recent_rows_per_s(100.0, 3), [6.0, 14.0]);
        assert_eq!(History::default().recent_rows_per_s(9.0, 9), [0.0; 0]);
    }
}
