//! A game, played.

use super::super::math::normal_below;
use super::super::random::Random;

/// Snapshots of a game.
pub const SNAPSHOTS: usize = 300;
/// From one to the next.
const STEP_US: i64 = 30_000_000;
/// How long a game takes.
pub const PLAY_US: i64 = SNAPSHOTS as i64 * STEP_US;
/// Snapshots of a quarter, and the milliseconds of its clock.
const QUARTER: usize = SNAPSHOTS / 4;
const CLOCK_MS: i64 = 720_000;

/// Teams.
pub const TEAMS: [&str; 16] = [
    "ARB", "BRK", "CDR", "DNV", "EVR", "FRM", "GLN", "HBR", "IRN", "JPR", "KNG", "LKS", "MRN",
    "NTH", "OKS", "PNE",
];

/// What the score was at a time.
#[derive(Debug, Clone, Copy)]
pub struct State {
    pub ts_us: i64,
    pub period: i64,
    pub clock_ms: i64,
    pub home: i64,
    pub away: i64,
    /// Probability that the home team wins.
    pub home_wins: f64,
}

/// A game from start to end.
#[derive(Debug)]
pub struct Game {
    pub start_us: i64,
    /// Positions in [`TEAMS`].
    pub home: usize,
    pub away: usize,
    pub states: Vec<State>,
}

impl Game {
    /// Plays the game of this number.
    pub fn played(seed: u64, number: u64, start_us: i64) -> Self {
        let mut random = Random::of(&[seed, 9, number]);
        let home = random.below(16) as usize;
        let away = (home + 1 + random.below(15) as usize) % 16;
        // Points by which the home team is better over a whole game.
        let edge = 2.5 + 6.0 * random.normal();
        let (mut home_score, mut away_score) = (0, 0);
        let mut states = Vec::with_capacity(SNAPSHOTS);
        for at in 0..SNAPSHOTS {
            let chance = 0.17 + edge / (SNAPSHOTS as f64 * 4.6);
            for (score, chance) in [(&mut home_score, chance), (&mut away_score, 0.34 - chance)] {
                if random.chance(chance) {
                    *score += [2, 2, 2, 3][random.below(4) as usize];
                }
            }
            let last = at + 1 == SNAPSHOTS;
            if last && home_score == away_score {
                home_score += 2;
            }
            let left = (SNAPSHOTS - at - 1) as f64 / SNAPSHOTS as f64;
            let lead = (home_score - away_score) as f64 + edge * left;
            let home_wins = match last {
                true => f64::from(u8::from(home_score > away_score)),
                false => normal_below(lead / (17.0 * left.sqrt())),
            };
            states.push(State {
                ts_us: start_us + (at as i64 + 1) * STEP_US - 1_000_000,
                period: (at / QUARTER) as i64 + 1,
                clock_ms: CLOCK_MS - CLOCK_MS * (at % QUARTER) as i64 / QUARTER as i64,
                home: home_score,
                away: away_score,
                home_wins,
            });
        }
        Self { start_us, home, away, states }
    }

    /// The last snapshot.
    pub fn last(&self) -> State {
        self.states[SNAPSHOTS - 1]
    }

    /// Whether the home team won.
    pub fn home_won(&self) -> bool {
        self.last().home > self.last().away
    }

    /// The probability at a time of the game, between two snapshots on a line.
    pub fn home_wins_at(&self, us: i64) -> f64 {
        let place = (us - self.start_us) as f64 / STEP_US as f64;
        let next = (place as usize).min(SNAPSHOTS - 1);
        let before = if next == 0 { 0.5 } else { self.states[next - 1].home_wins };
        let part = (place - next as f64).clamp(0.0, 1.0);
        before + (self.states[next].home_wins - before) * part
    }
}
