//! Killmails of EVE Online as zKillboard's WebSocket gives them, ESI's document with `zkb` behind
//! it, and some as ESI alone, whose value nobody knows: lone ganks, and battles of fleets in which
//! many ships of two alliances die in one system within minutes. Numbers of attackers and of items
//! have heavy tails; some items are containers of others. A hull has a price, what it held another.

use std::fmt::Write;
use std::ops::Range;

use super::math::exp;
use super::random::{Random, mixed};
use super::records::Records;
use super::text::{number, time};
use super::{GenerateError, Names, ROWS_DEFAULT, Spec, Units, even};
use crate::dataset::Dataset;

/// Killmails that belong together.
const GROUP: u64 = 16;
/// From one group to the next, where no end of the range is given: some 20,000 killmails a day.
const EVERY_US: i64 = 69_000_000;
const ATTACKERS_MAX: u64 = 250;
/// Killmails that zKillboard has looked at.
const VALUED: f64 = 0.95;
/// Killmails of one seed, whose ids stay apart from those of others.
const ROWS_MAX: u64 = 10_000_000;

#[derive(Debug)]
struct Killmails {
    dataset: &'static Dataset,
    seed: u64,
    from_us: i64,
    shared: Option<(i64, u64)>,
    first_id: u64,
    rows: u64,
}

pub(super) fn units(spec: &Spec) -> Result<(Box<dyn Units>, u64), GenerateError> {
    let rows = spec.rows.unwrap_or(ROWS_DEFAULT / 5);
    if spec.names != Names::Enough {
        let why = "killmails have no tickers: leave out --tickers";
        return Err(GenerateError::Impossible(why.to_owned()));
    }
    if rows > ROWS_MAX {
        return Err(GenerateError::Impossible(format!(
            "a seed has {ROWS_MAX} killmails at most: make more with another --seed"
        )));
    }
    let groups = rows.div_ceil(GROUP);
    let shared = spec.to_us.map(|to_us| (to_us - spec.from_us, groups));
    let made = Killmails {
        dataset: spec.dataset,
        seed: spec.seed,
        from_us: spec.from_us,
        shared,
        first_id: ROWS_MAX * (1 + mixed(&[spec.seed, 14]) % 200),
        rows,
    };
    Ok((Box::new(made), rows))
}

/// Who is on one side.
#[derive(Debug, Clone, Copy)]
struct Side {
    alliance: u64,
    corporations: u64,
}

/// What a group has in common.
struct Scene {
    battle: bool,
    system: u64,
    sides: [Side; 2],
    center: [f64; 3],
}

impl Killmails {
    fn start_us(&self, group: u64) -> i64 {
        match self.shared {
            None => self.from_us + group as i64 * EVERY_US,
            Some((time, groups)) => {
                self.from_us + (i128::from(time) * i128::from(group) / i128::from(groups)) as i64
            }
        }
    }

    fn scene(&self, group: u64) -> Scene {
        let mut random = Random::of(&[self.seed, 15, group]);
        let side = |random: &mut Random| {
            let skew = random.unit();
            let alliance = (skew * skew * 3_000.0) as u64;
            Side { alliance: 99_000_000 + alliance, corporations: 98_000_000 + alliance * 40 }
        };
        Scene {
            battle: random.chance(0.25),
            system: 30_000_001 + random.below(5_200),
            sides: [side(&mut random), side(&mut random)],
            center: std::array::from_fn(|_| random.between(-4e12, 4e12)),
        }
    }

    fn push(&self, group: u64, scene: &Scene, at: u64, into: &mut String) {
        let words = [self.seed, 16, group, at];
        let mut random = Random::of(&words);
        let (start, end) = (self.start_us(group), self.start_us(group + 1));
        // ESI tells whole seconds.
        let us = start + ((at as f64 + random.unit()) / GROUP as f64 * (end - start) as f64) as i64;
        let us = us.div_euclid(1_000_000).max(start.div_euclid(1_000_000) + 1) * 1_000_000;
        let us = if us >= end { start } else { us };
        let attackers = match scene.battle {
            true => heavy(&mut random, 14.0, ATTACKERS_MAX),
            false => heavy(&mut random, 1.3, ATTACKERS_MAX),
        };
        let system = match scene.battle {
            true => scene.system,
            false => 30_000_001 + random.below(5_200),
        };
        let damage = 1_500 + heavy(&mut random, 3_000.0, 2_000_000);
        let won = usize::from(random.chance(0.4));
        into.push_str("{\"attackers\":[");
        let last = random.below(attackers);
        let mut left = damage;
        for one in 0..attackers {
            if one > 0 {
                into.push(',');
            }
            let share = if one + 1 == attackers { left } else { random.below(left / 2 + 1) };
            left -= share;
            let who = (&scene.sides[won], scene.battle);
            attacker(&mut random, who, share, one == last, into);
        }
        let id = self.first_id + group * GROUP + at;
        let _ = write!(into, "],\"killmail_id\":{id},\"killmail_time\":\"");
        append(into, |bytes| time(us, bytes));
        let _ = write!(into, "\",\"solar_system_id\":{system},\"victim\":{{");
        let side = &scene.sides[1 - won];
        if !scene.battle || random.chance(0.9) {
            let _ = write!(into, "\"alliance_id\":{},", side.alliance);
        }
        let pilot = 2_112_000_000 + random.below(2_000_000);
        let corporation = side.corporations + random.below(40);
        let _ = write!(into, "\"character_id\":{pilot},\"corporation_id\":{corporation},");
        let _ = write!(into, "\"damage_taken\":{damage},\"items\":[");
        let items = random.below(4) + heavy(&mut random, 4.0, 120);
        for one in 0..items {
            if one > 0 {
                into.push(',');
            }
            item(&mut random, random_depth(one), into);
        }
        into.push_str("],\"position\":{");
        for (axis, (name, center)) in ["x", "y", "z"].iter().zip(scene.center).enumerate() {
            let place = center + random.between(-2e7, 2e7);
            let _ = write!(into, "{}\"{name}\":", if axis == 0 { "" } else { "," });
            // Metres with three places, as whole numbers of millimetres.
            append(into, |bytes| number((place * 1_000.0) as i64, 3, bytes));
        }
        let hull = ship(&mut random);
        let _ = write!(into, "}},\"ship_type_id\":{hull}}}");
        if random.chance(VALUED) {
            self.envelope(&mut random, (id, hull), attackers, into);
        }
        into.push('}');
    }

    /// What zKillboard says of a killmail, values in hundredths of an ISK.
    fn envelope(
        &self,
        random: &mut Random,
        (id, hull): (u64, u64),
        attackers: u64,
        into: &mut String,
    ) {
        let price = hull_price(hull);
        let fitted = (price * random.between(0.1, 1.2)) as i64;
        let cargo = (price * 0.3 * exp(1.5 * random.normal())).min(1e14) as i64;
        let dropped = (fitted as f64 * random.between(0.1, 0.6)) as i64 + cargo / 2;
        let total = price as i64 + fitted + cargo;
        let _ = write!(into, ",\"zkb\":{{\"locationID\":{}", 40_000_001 + random.below(400_000));
        into.push_str(",\"hash\":\"");
        for part in 0..5 {
            let word = mixed(&[self.seed, 17, id, part]) as u32;
            let _ = write!(into, "{word:08x}");
        }
        into.push('"');
        let values = [
            ("fitted", fitted),
            ("dropped", dropped),
            ("destroyed", total - dropped),
            ("total", total),
        ];
        for (name, cents) in values {
            let _ = write!(into, ",\"{name}Value\":");
            append(into, |bytes| number(cents, 2, bytes));
        }
        let (points, solo) = (1 + random.below(30), attackers == 1);
        let _ = write!(into, ",\"points\":{points},\"npc\":false,\"solo\":{solo},\"awox\":false}}");
    }
}

/// What a ship of this type costs, in hundredths of an ISK: most some millions, some a hundred
/// times that.
fn hull_price(hull: u64) -> f64 {
    let mut random = Random::of(&[18, hull]);
    (exp(16.5 + 1.6 * random.normal()) * 100.0).clamp(1e6, 1e13)
}

/// How deep the items of an item may go: every seventh is a container.
fn random_depth(one: u64) -> u32 {
    if one % 7 == 6 { 2 } else { 0 }
}

/// A number from 1 to `most` with a heavy tail.
fn heavy(random: &mut Random, scale: f64, most: u64) -> u64 {
    let unit = random.unit();
    1 + ((scale * unit / (1.0 - unit + 1e-9).sqrt()) as u64).min(most - 1)
}

fn ship(random: &mut Random) -> u64 {
    let skew = random.unit();
    582 + (skew * skew * 3_000.0) as u64
}

fn attacker(
    random: &mut Random,
    (side, in_fleet): (&Side, bool),
    damage: u64,
    last: bool,
    into: &mut String,
) {
    into.push('{');
    // The police and pirates of the game have a faction and no name.
    if !in_fleet && random.chance(0.08) {
        let _ =
            write!(into, "\"damage_done\":{damage},\"faction_id\":{},", 500_010 + random.below(16));
    } else {
        let of_side = in_fleet || random.chance(0.5);
        let corporation = match of_side {
            true => {
                let _ = write!(into, "\"alliance_id\":{},", side.alliance);
                side.corporations + random.below(40)
            }
            false => 98_200_000 + random.below(200_000),
        };
        let pilot = 2_112_000_000 + random.below(2_000_000);
        let _ = write!(into, "\"character_id\":{pilot},\"corporation_id\":{corporation},");
        let _ = write!(into, "\"damage_done\":{damage},");
    }
    let _ = write!(into, "\"final_blow\":{last},\"security_status\":");
    let security = random.below(151) as i64 - 100;
    append(into, |bytes| number(security, 1, bytes));
    let _ = write!(into, ",\"ship_type_id\":{}", ship(random));
    if random.chance(0.85) {
        let _ = write!(into, ",\"weapon_type_id\":{}", 2_400 + random.below(1_200));
    }
    into.push('}');
}

fn item(random: &mut Random, depth: u32, into: &mut String) {
    let flag = random.below(92) + 5;
    let kind = 200 + random.below(50_000);
    let _ = write!(into, "{{\"flag\":{flag},\"item_type_id\":{kind}");
    if depth > 0 {
        into.push_str(",\"items\":[");
        for one in 0..1 + random.below(5) {
            if one > 0 {
                into.push(',');
            }
            item(random, if one == 3 { depth - 1 } else { 0 }, into);
        }
        into.push(']');
    }
    let quantity = heavy(random, 1.5, 1_000_000);
    let fate = if random.chance(0.5) { "dropped" } else { "destroyed" };
    let _ = write!(into, ",\"quantity_{fate}\":{quantity},\"singleton\":0}}");
}

/// Appends what is written as ASCII bytes.
fn append(into: &mut String, write: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = Vec::new();
    write(&mut bytes);
    into.extend(bytes.into_iter().map(char::from));
}

impl Units for Killmails {
    fn total(&self) -> u64 {
        self.rows
    }

    fn records(&self) -> Records {
        Records::new(self.dataset, &[])
    }

    fn unit_of(&self, row: u64) -> (usize, u64) {
        even(row, GROUP)
    }

    fn rows_of(&self, _: usize) -> u64 {
        GROUP
    }

    fn make(&self, unit: usize, rows: Range<u64>, into: &mut Records) {
        let group = unit as u64;
        let scene = self.scene(group);
        if let [document] = into.columns.as_mut_slice() {
            for row in rows {
                document.push_text(|text| self.push(group, &scene, row, text));
            }
        }
    }
}
