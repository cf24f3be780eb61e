//! Games and the prediction markets on them. A game is played snapshot by snapshot; the price of a
//! market follows the probability that its team wins, and ends at 0 or 100 cents as the game does.
//! Games, snapshots, markets and trades of one seed are of the same games, and go together by
//! `espn_event_id`.

mod game;

use std::fmt::Write;
use std::ops::Range;

use super::random::{Random, mixed, split};
use super::records::{Records, Values};
use super::text::civil;
use super::{GenerateError, Names, ROWS_DEFAULT, Spec, Units, even};
use crate::dataset::Dataset;
use game::{Game, PLAY_US, SNAPSHOTS, TEAMS};

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;
/// From one game to the next, where no end of the range is given and games are few.
const EVERY_US: i64 = 6 * 3_600 * SECOND_US;
/// The time in which many games begin, where no end of the range is given: else they would be
/// played in the future.
const SPAN_US: i64 = 700 * DAY_US;
/// Trades of a game where there are enough of them.
const TRADES_OF_GAME: u64 = 27_000;
/// Games at least, where nobody says how many.
const GAMES_MIN: u64 = 8;
/// Trades of one second and market, on average.
const TRADES_OF_SECOND: f64 = 2.26;

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// Any of the four datasets.
#[derive(Debug)]
struct Games {
    dataset: &'static Dataset,
    seed: u64,
    games: u64,
    /// Records of a game.
    each: u64,
    from_us: i64,
    /// The time in which games begin; none: one each quarter of a day, or more often where they are
    /// many.
    shared_us: Option<i64>,
    rows: u64,
}

pub(super) fn units(spec: &Spec) -> Result<(Box<dyn Units>, u64), GenerateError> {
    let trades = spec.dataset.name == "kalshi_trades";
    let each = match spec.dataset.name {
        "games" => 1,
        "kalshi_markets" => 2,
        "game_states" => SNAPSHOTS as u64,
        _ => TRADES_OF_GAME,
    };
    let games = match (&spec.names, spec.rows) {
        (Names::Listed(_), _) => {
            return Err(GenerateError::Impossible(
                "games have names of their own: --tickers N says how many games there are".into(),
            ));
        }
        (Names::Count(games), _) => (*games as u64).max(1),
        (Names::Enough, None) => GAMES_MIN,
        (Names::Enough, Some(rows)) if trades => (rows / each).max(GAMES_MIN),
        (Names::Enough, Some(rows)) => rows.div_ceil(each),
    };
    let whole = if trades { ROWS_DEFAULT } else { games * each };
    let rows = spec.rows.unwrap_or(whole);
    if !trades && rows > whole {
        return Err(GenerateError::TooShort { found: whole, wanted: rows });
    }
    let each = if trades { rows.div_ceil(games) } else { each };
    let shared_us = spec.to_us.map(|to_us| to_us - spec.from_us - PLAY_US);
    if shared_us.is_some_and(|time| time < 0) {
        return Err(GenerateError::Impossible(
            "a game takes two and a half hours: the range must be longer".to_owned(),
        ));
    }
    let (dataset, seed, from_us) = (spec.dataset, spec.seed, spec.from_us);
    Ok((Box::new(Games { dataset, seed, games, each, from_us, shared_us, rows }), rows))
}

impl Games {
    fn start_us(&self, game: u64) -> i64 {
        let at = match self.shared_us {
            None => game as i64 * EVERY_US.min(SPAN_US / self.games.max(1) as i64),
            Some(time) => (i128::from(time) * i128::from(game) / i128::from(self.games)) as i64,
        };
        (self.from_us + at + SECOND_US - 1).div_euclid(SECOND_US) * SECOND_US
    }

    fn game(&self, number: u64) -> Game {
        Game::played(self.seed, number, self.start_us(number))
    }

    /// Other seeds have other games.
    fn code(&self) -> u64 {
        mixed(&[self.seed, 9]) % 1_000_000
    }

    fn id(&self, number: u64, into: &mut String) {
        let _ = write!(into, "4{:06}{number:06}", self.code());
    }

    fn event(&self, number: u64, game: &Game, into: &mut String) {
        let (year, month, day) = civil(game.start_us.div_euclid(DAY_US));
        let month = MONTHS[month as usize - 1];
        let (home, away) = (TEAMS[game.home], TEAMS[game.away]);
        let (year, code) = (year % 100, self.code());
        let _ = write!(into, "KXNBAGAME-{year:02}{month}{day:02}{away}{home}{code:06}{number:06}");
    }

    fn push_game(&self, number: u64, game: &Game, columns: &mut [Values]) {
        let [id, league, season, home, away, start, end, home_score, away_score, status] = columns
        else {
            return;
        };
        id.push_text(|text| self.id(number, text));
        league.push_word(0);
        let (year, month, _) = civil(game.start_us.div_euclid(DAY_US));
        season.push(if month < 8 { year - 1 } else { year });
        home.push_word(game.home);
        away.push_word(game.away);
        start.push(game.start_us);
        end.push(game.start_us + PLAY_US);
        let last = game.last();
        home_score.push(last.home);
        away_score.push(last.away);
        status.push_word(0);
    }

    fn push_state(&self, number: u64, game: &Game, at: usize, columns: &mut [Values]) {
        let [id, sequence, ts, period, clock, home, away, probability] = columns else { return };
        let state = &game.states[at];
        id.push_text(|text| self.id(number, text));
        sequence.push(at as i64 + 1);
        ts.push(state.ts_us);
        period.push(state.period);
        clock.push(state.clock_ms);
        home.push(state.home);
        away.push(state.away);
        probability.push((state.home_wins * 10_000.0 + 0.5) as i64);
    }

    fn push_market(&self, number: u64, game: &Game, side: usize, columns: &mut [Values]) {
        let [ticker, event, series, title, subtitle, status, result, rest @ ..] = columns else {
            return;
        };
        let [open, close, expiration, price, volume, interest, event_id, team_side] = rest else {
            return;
        };
        let (home, away) = (TEAMS[game.home], TEAMS[game.away]);
        let team = [home, away][side];
        ticker.push_text(|text| {
            self.event(number, game, text);
            let _ = write!(text, "-{team}");
        });
        event.push_text(|text| self.event(number, game, text));
        series.push_word(0);
        title.push_text(|text| {
            let _ = write!(text, "{away} at {home}: who wins?");
        });
        subtitle.push_text(|text| {
            let _ = write!(text, "{team} wins");
        });
        status.push_word(0);
        let wins = game.home_won() == (side == 0);
        result.push_word(usize::from(!wins));
        let end = game.start_us + PLAY_US;
        open.push(game.start_us - 3 * DAY_US);
        close.push(end);
        expiration.push(end + DAY_US);
        price.push(if wins { 99 } else { 1 });
        let mut random = Random::of(&[self.seed, 10, number, side as u64]);
        let traded = 100_000 + random.below(900_000) as i64;
        volume.push(traded);
        interest.push(traded / 3);
        event_id.push_text(|text| self.id(number, text));
        team_side.push_word(side);
    }

    fn push_trades(&self, number: u64, game: &Game, rows: Range<u64>, columns: &mut [Values]) {
        let [id, ticker, contracts, yes, no, taker, created] = columns else { return };
        // The words of a file are its markets.
        let sides = [game.home, game.away].map(|team| {
            let mut name = String::new();
            self.event(number, game, &mut name);
            let _ = write!(name, "-{}", TEAMS[team]);
            name
        });
        for (at, slot) in self.slots(number, rows.end).into_iter().enumerate() {
            let at = at as u64;
            if at < rows.start {
                continue;
            }
            let mut random = Random::of(&[self.seed, 12, number, at]);
            let noise = (random.normal() * 0.9) as i64;
            let ts_us = game.start_us + slot.us;
            let cents = (game.home_wins_at(ts_us) * 100.0 + 0.5) as i64 + noise;
            let price = if slot.side == 0 { cents } else { 100 - cents }.clamp(1, 99);
            id.push_text(|text| {
                Random::uuid(mixed(&[self.seed, 13]), number * (1 << 32) + at, text);
            });
            ticker.push_text(|text| text.push_str(&sides[slot.side]));
            let few = 1.0 / (random.unit() + 0.001);
            contracts.push((few as i64).max(1));
            yes.push(price);
            no.push(100 - price);
            taker.push_word(random.below(2) as usize);
            created.push(ts_us);
        }
    }

    /// When the first `count` trades of a game happen, in order: they come in bunches of a second.
    fn slots(&self, number: u64, count: u64) -> Vec<Slot> {
        let mut random = Random::of(&[self.seed, 11, number]);
        let places = 2 * (PLAY_US / SECOND_US) as u64;
        let bunches = ((self.each as f64 / TRADES_OF_SECOND) as u64).clamp(1, places);
        let weights: Vec<f64> = (0..bunches).map(|_| 1.0 / (random.unit() + 0.1)).collect();
        let mut sizes = Vec::new();
        split(self.each as i64, 1, &weights, &mut sizes);
        let mut slots = Vec::with_capacity(count as usize);
        for (bunch, size) in sizes.into_iter().enumerate() {
            let at = (bunch as f64 + random.unit()) * (places as f64 / bunches as f64);
            let place = (at as u64).min(places - 1);
            // Both markets share a second, one after the other.
            let (second, side) = ((place / 2) as i64, (place % 2) as usize);
            let start = second * SECOND_US + side as i64 * SECOND_US / 2;
            for trade in 0..size {
                if slots.len() as u64 == count {
                    return slots;
                }
                let within = (trade as f64 + random.unit()) / size as f64;
                let us = start + (within * (SECOND_US / 2) as f64) as i64;
                slots.push(Slot { us, side });
            }
        }
        slots
    }
}

/// When a trade happens, from the start of its game, and whose market it is: 0 home, 1 away.
struct Slot {
    us: i64,
    side: usize,
}

impl Units for Games {
    fn total(&self) -> u64 {
        self.rows
    }

    fn records(&self) -> Records {
        let teams = || TEAMS.map(str::to_owned);
        let places = [("clock_seconds", 3), ("home_win_probability", 4)];
        Records::new(self.dataset, &places)
            .with_words("league", ["nba".to_owned()])
            .with_words("home_team", teams())
            .with_words("away_team", teams())
            .with_words("series_ticker", ["KXNBAGAME".to_owned()])
            .with_words("status", [self.status().to_owned()])
            .with_words("result", ["yes", "no"].map(str::to_owned))
            .with_words("taker_side", ["yes", "no"].map(str::to_owned))
            .with_words("team_side", ["home", "away"].map(str::to_owned))
    }

    fn unit_of(&self, row: u64) -> (usize, u64) {
        even(row, self.each)
    }

    fn rows_of(&self, _: usize) -> u64 {
        self.each
    }

    fn make(&self, unit: usize, rows: Range<u64>, into: &mut Records) {
        let number = unit as u64;
        let game = self.game(number);
        let columns = into.columns.as_mut_slice();
        match self.dataset.name {
            "kalshi_trades" => return self.push_trades(number, &game, rows, columns),
            "games" => return self.push_game(number, &game, columns),
            _ => {}
        }
        for row in rows {
            match self.dataset.name {
                "game_states" => self.push_state(number, &game, row as usize, columns),
                _ => self.push_market(number, &game, row as usize, columns),
            }
        }
        debug_assert!(columns.iter().all(|column| column.len() == columns[0].len()));
    }
}

impl Games {
    fn status(&self) -> &'static str {
        if self.dataset.name == "games" { "final" } else { "finalized" }
    }
}
