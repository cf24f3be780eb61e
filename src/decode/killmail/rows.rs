//! Rows of killmails and of their tables, column by column. The columns are those of the dataset,
//! in its order.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{FieldRef, Schema};
use arrow::error::ArrowError;

use super::mail::{Actor, Mail};
use crate::batch::Child;
use crate::decode::TakenRows;
use crate::decode::common::of_checked_json;

/// Position of `participants` among the dataset's tables.
const PARTICIPANTS: usize = 1;
/// Bytes of a hash.
const HASH_BYTES: usize = 40;
/// Position of `killmail_items` among the dataset's tables.
const ITEMS: usize = 2;

/// The rows of a batch that grows.
#[derive(Debug)]
pub(super) struct Rows {
    mails: Mails,
    participants: Participants,
    items: Items,
}

/// How much is made room for: what the batch before had, for the next is much like it.
#[derive(Debug, Clone, Copy, Default)]
struct Room {
    mails: usize,
    raw_bytes: usize,
    participants: usize,
    items: usize,
}

#[derive(Debug)]
struct Mails {
    id: Int64Builder,
    hash: StringBuilder,
    time: TimestampMicrosecondBuilder,
    solar_system: Int64Builder,
    war: Int64Builder,
    moon: Int64Builder,
    victim: Who,
    victim_damage: Int64Builder,
    position: [Float64Builder; 3],
    attackers: Int32Builder,
    value: StringBuilder,
    content: Int64Builder,
    raw: StringBuilder,
}

/// Who somebody is.
#[derive(Debug)]
struct Who {
    character: Int64Builder,
    corporation: Int64Builder,
    alliance: Int64Builder,
    faction: Int64Builder,
    ship_type: Int64Builder,
}

#[derive(Debug)]
struct Participants {
    root_of: Vec<u32>,
    mail: Int64Builder,
    seq: Int32Builder,
    time: TimestampMicrosecondBuilder,
    who: Who,
    weapon_type: Int64Builder,
    damage: Int64Builder,
    security_status: Float64Builder,
    is_victim: BooleanBuilder,
    final_blow: BooleanBuilder,
}

#[derive(Debug)]
struct Items {
    root_of: Vec<u32>,
    mail: Int64Builder,
    seq: Int32Builder,
    parent: Int32Builder,
    item_type: Int64Builder,
    flag: Int64Builder,
    singleton: Int64Builder,
    dropped: Int64Builder,
    destroyed: Int64Builder,
}

fn times(room: usize) -> TimestampMicrosecondBuilder {
    TimestampMicrosecondBuilder::with_capacity(room).with_timezone("UTC")
}

impl Rows {
    pub fn new() -> Self {
        Self::with_room(Room::default())
    }

    fn with_room(room: Room) -> Self {
        let Room { mails, raw_bytes, participants, items } = room;
        let longs = Int64Builder::with_capacity;
        Self {
            mails: Mails {
                id: longs(mails),
                hash: StringBuilder::with_capacity(mails, mails * HASH_BYTES),
                time: times(mails),
                solar_system: longs(mails),
                war: longs(mails),
                moon: longs(mails),
                victim: Who::with_room(mails),
                victim_damage: longs(mails),
                position: [(); 3].map(|()| Float64Builder::with_capacity(mails)),
                attackers: Int32Builder::with_capacity(mails),
                value: StringBuilder::new(),
                content: longs(mails),
                raw: StringBuilder::with_capacity(mails, raw_bytes),
            },
            participants: Participants {
                root_of: Vec::with_capacity(participants),
                mail: longs(participants),
                seq: Int32Builder::with_capacity(participants),
                time: times(participants),
                who: Who::with_room(participants),
                weapon_type: longs(participants),
                damage: longs(participants),
                security_status: Float64Builder::with_capacity(participants),
                is_victim: BooleanBuilder::with_capacity(participants),
                final_blow: BooleanBuilder::with_capacity(participants),
            },
            items: Items {
                root_of: Vec::with_capacity(items),
                mail: longs(items),
                seq: Int32Builder::with_capacity(items),
                parent: Int32Builder::with_capacity(items),
                item_type: longs(items),
                flag: longs(items),
                singleton: longs(items),
                dropped: longs(items),
                destroyed: longs(items),
            },
        }
    }

    /// Adds a killmail that is known to be complete, or that has no body. `raw` is its document.
    pub fn push(&mut self, mail: &Mail, raw: &str) {
        let root = self.mails.rows() as u32;
        self.mails.push(mail, raw);
        let Some(victim) = &mail.victim else { return };
        self.participants.push(root, mail, 0, victim, true);
        for (seq, attacker) in (1..).zip(&mail.attackers) {
            self.participants.push(root, mail, seq, attacker, false);
        }
        self.items.push(root, mail);
    }

    /// The batch of all killmails; starts anew.
    pub fn finish(&mut self) -> Result<TakenRows, ArrowError> {
        let raw_bytes = self.mails.raw.values_slice().len();
        let root = self.mails.finish()?;
        let children = vec![self.participants.finish()?, self.items.finish()?];
        // Chunks differ by some of their records: an eighth more saves most of the growing.
        let more = |count: usize| count + count / 8;
        *self = Self::with_room(Room {
            mails: more(root.num_rows()),
            raw_bytes: more(raw_bytes),
            participants: more(children[0].rows.num_rows()),
            items: more(children[1].rows.num_rows()),
        });
        Ok(TakenRows { root, children })
    }
}

impl Who {
    fn with_room(room: usize) -> Self {
        let longs = || Int64Builder::with_capacity(room);
        Self {
            character: longs(),
            corporation: longs(),
            alliance: longs(),
            faction: longs(),
            ship_type: longs(),
        }
    }

    fn push(&mut self, actor: &Actor) {
        self.character.append_option(actor.character);
        self.corporation.append_option(actor.corporation);
        self.alliance.append_option(actor.alliance);
        self.faction.append_option(actor.faction);
        self.ship_type.append_option(actor.ship_type);
    }

    fn finish(&mut self) -> [ArrayRef; 5] {
        [
            Arc::new(self.character.finish()),
            Arc::new(self.corporation.finish()),
            Arc::new(self.alliance.finish()),
            Arc::new(self.faction.finish()),
            Arc::new(self.ship_type.finish()),
        ]
    }
}

impl Mails {
    fn rows(&self) -> usize {
        use arrow::array::ArrayBuilder as _;
        self.id.len()
    }

    fn push(&mut self, mail: &Mail, raw: &str) {
        let body = mail.content.is_some();
        self.id.append_option(mail.id);
        self.hash.append_option(mail.hash.as_ref().or(mail.zkb_hash.as_ref()));
        self.time.append_option(mail.time_us);
        self.solar_system.append_option(mail.solar_system);
        self.war.append_option(mail.war);
        self.moon.append_option(mail.moon);
        self.victim.push(&mail.victim.unwrap_or_default());
        self.victim_damage.append_option(mail.victim.and_then(|victim| victim.damage));
        for (builder, place) in self.position.iter_mut().zip(mail.position) {
            builder.append_option(place);
        }
        self.attackers.append_option(body.then_some(mail.attackers.len() as i32));
        self.value.append_option(mail.value.as_ref());
        self.content.append_option(mail.content.map(|content| content as i64));
        self.raw.append_option(body.then_some(raw));
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let [character, corporation, alliance, faction, ship_type] = self.victim.finish();
        let [x, y, z] = &mut self.position;
        let columns: [(&str, ArrayRef); 19] = [
            ("killmail_id", Arc::new(self.id.finish())),
            ("killmail_hash", Arc::new(self.hash.finish())),
            ("killmail_time", Arc::new(self.time.finish())),
            ("solar_system_id", Arc::new(self.solar_system.finish())),
            ("war_id", Arc::new(self.war.finish())),
            ("moon_id", Arc::new(self.moon.finish())),
            ("victim_character_id", character),
            ("victim_corporation_id", corporation),
            ("victim_alliance_id", alliance),
            ("victim_faction_id", faction),
            ("victim_ship_type_id", ship_type),
            ("victim_damage_taken", Arc::new(self.victim_damage.finish())),
            ("position_x", Arc::new(x.finish())),
            ("position_y", Arc::new(y.finish())),
            ("position_z", Arc::new(z.finish())),
            ("attacker_count", Arc::new(self.attackers.finish())),
            ("total_value", Arc::new(self.value.finish())),
            ("content_hash", Arc::new(self.content.finish())),
            ("raw_data", Arc::new(self.raw.finish())),
        ];
        marked(&batch(columns)?)
    }
}

/// The batch with a word that its last column, the documents, is JSON, as reading them proved.
fn marked(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields: Vec<FieldRef> = rows.schema_ref().fields().iter().cloned().collect();
    if let Some(raw) = fields.last_mut() {
        *raw = Arc::new(of_checked_json(raw.as_ref().clone()));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), rows.columns().to_vec())
}

impl Participants {
    fn push(&mut self, root: u32, mail: &Mail, seq: i32, actor: &Actor, is_victim: bool) {
        self.root_of.push(root);
        self.mail.append_option(mail.id);
        self.seq.append_value(seq);
        self.time.append_option(mail.time_us);
        self.who.push(actor);
        self.weapon_type.append_option(actor.weapon_type);
        self.damage.append_option(actor.damage);
        self.security_status.append_option(actor.security_status);
        self.is_victim.append_value(is_victim);
        self.final_blow.append_value(actor.final_blow == Some(true));
    }

    fn finish(&mut self) -> Result<Child, ArrowError> {
        let [character, corporation, alliance, faction, ship_type] = self.who.finish();
        let rows = batch([
            ("killmail_id", Arc::new(self.mail.finish()) as ArrayRef),
            ("seq", Arc::new(self.seq.finish())),
            ("killmail_time", Arc::new(self.time.finish())),
            ("character_id", character),
            ("corporation_id", corporation),
            ("alliance_id", alliance),
            ("faction_id", faction),
            ("ship_type_id", ship_type),
            ("weapon_type_id", Arc::new(self.weapon_type.finish())),
            ("damage", Arc::new(self.damage.finish())),
            ("security_status", Arc::new(self.security_status.finish())),
            ("is_victim", Arc::new(self.is_victim.finish())),
            ("final_blow", Arc::new(self.final_blow.finish())),
        ])?;
        Ok(Child { table: PARTICIPANTS, rows, root_of: std::mem::take(&mut self.root_of) })
    }
}

impl Items {
    /// All items of a killmail: numbered from 1 in the order of the document, each container
    /// before what it holds.
    fn push(&mut self, root: u32, mail: &Mail) {
        for (seq, item) in (1..).zip(&mail.items) {
            self.root_of.push(root);
            self.mail.append_option(mail.id);
            self.seq.append_value(seq);
            self.parent.append_option(item.parent.map(|parent| parent as i32 + 1));
            self.item_type.append_option(item.item_type);
            self.flag.append_option(item.flag);
            self.singleton.append_option(item.singleton);
            self.dropped.append_option(item.dropped);
            self.destroyed.append_option(item.destroyed);
        }
    }

    fn finish(&mut self) -> Result<Child, ArrowError> {
        let rows = batch([
            ("killmail_id", Arc::new(self.mail.finish()) as ArrayRef),
            ("seq", Arc::new(self.seq.finish())),
            ("parent_seq", Arc::new(self.parent.finish())),
            ("item_type_id", Arc::new(self.item_type.finish())),
            ("flag", Arc::new(self.flag.finish())),
            ("singleton", Arc::new(self.singleton.finish())),
            ("quantity_dropped", Arc::new(self.dropped.finish())),
            ("quantity_destroyed", Arc::new(self.destroyed.finish())),
        ])?;
        Ok(Child { table: ITEMS, rows, root_of: std::mem::take(&mut self.root_of) })
    }
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
}
