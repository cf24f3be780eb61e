//! Reads one document. The killmail's body is found by its shape, wherever an envelope puts it:
//! beside `zkb`, inside `killmail` of a `package`, inside `esi`.

use super::digest::{Elements, Members};
use super::fault::{NO_KILLMAIL, at, missing, twice, value, whole, wrong_type};
use super::mail::{Actor, Item, Mail};
use crate::decode::fault::Fault;
use crate::decode::json::{Pull, RecordFault, Value};
use crate::decode::number::push_decimal;
use crate::decode::time::TimeParser;

/// What was read, or why the record is a reject.
pub(super) type Read<T> = Result<T, RecordFault>;

/// Reads documents into a [`Mail`].
pub(super) struct Reader<'a, 'm> {
    pub(super) pull: Pull<'a>,
    pub(super) mail: &'m mut Mail,
    pub(super) times: &'m mut TimeParser,
}

/// How deep an object is in its envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Document,
    Package,
    Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Victim,
    Attacker,
}

impl<'a, 'm> Reader<'a, 'm> {
    /// A reader of one document.
    pub fn new(document: &'a [u8], mail: &'m mut Mail, times: &'m mut TimeParser) -> Self {
        mail.clear();
        Self { pull: Pull::new(document), mail, times }
    }

    /// Reads the document, and sees that nothing is missing of what it should say.
    pub fn read(mut self) -> Read<()> {
        match self.pull.value()? {
            Value::Object => self.object(Level::Document)?,
            other => {
                let fault = wrong_type(b"document", other, "an object with a killmail");
                return Err(RecordFault { column: None, ..fault });
            }
        }
        self.pull.end()?;
        if self.mail.idle {
            return Ok(());
        }
        check(self.mail)
    }

    /// The members of the document, its package, or the killmail's body inside it.
    fn object(&mut self, level: Level) -> Read<()> {
        let mut members = Members::default();
        let mut id = None;
        let mut is_body = level == Level::Body;
        while let Some(key) = self.pull.key()? {
            let mut unescaped = Vec::new();
            let name = key.bytes(&mut unescaped);
            let said = match name {
                b"killmail_id" | b"killID" => {
                    self.integer(name, &mut id)?;
                    continue;
                }
                b"killmail_hash" | b"hash" => {
                    let hash = self.hash(name)?;
                    self.mail.hash = hash.or_else(|| self.mail.hash.take());
                    continue;
                }
                b"http_last_modified" => {
                    self.any(name)?;
                    continue;
                }
                b"zkb" => {
                    self.zkb(name)?;
                    continue;
                }
                b"package" if level == Level::Document => {
                    self.inner(name, Level::Package)?;
                    continue;
                }
                b"killmail" | b"esi" if level != Level::Body => {
                    self.inner(name, Level::Body)?;
                    continue;
                }
                b"killmail_time" => {
                    is_body = true;
                    self.time(name)?
                }
                b"solar_system_id" => self.own_integer(name, |mail| &mut mail.solar_system)?,
                b"war_id" => self.own_integer(name, |mail| &mut mail.war)?,
                b"moon_id" => self.own_integer(name, |mail| &mut mail.moon)?,
                b"attackers" => {
                    is_body = true;
                    self.attackers(name)?
                }
                b"victim" => {
                    is_body = true;
                    self.victim(name)?
                }
                b"killTime" | b"solarSystem" | b"solarSystemID" => return Err(crest()),
                _ => {
                    let value = self.pull.value()?;
                    if level == Level::Document && is_history(name, value) {
                        return Err(history());
                    }
                    self.rest(name, value)?
                }
            };
            members.add(name, said);
        }
        self.agree(id)?;
        if is_body && self.mail.content.replace(members.object()).is_some() {
            return Err(whole("duplicate_key", "the document has two killmail bodies"));
        }
        Ok(())
    }

    /// The object inside an envelope's `name`; `null` is none.
    fn inner(&mut self, name: &[u8], level: Level) -> Read<()> {
        match self.pull.value()? {
            Value::Object => self.object(level),
            Value::Null if level == Level::Package => {
                self.mail.idle = true;
                Ok(())
            }
            Value::Null => Ok(()),
            other => Err(wrong_type(name, other, "an object")),
        }
    }

    /// All ids that a document names must be one.
    fn agree(&mut self, id: Option<i64>) -> Read<()> {
        let Some(id) = id else { return Ok(()) };
        if id <= 0 {
            let reason = format!("the id {id} is not positive");
            return Err(at(b"killmail_id", "out_of_range", reason));
        }
        match self.mail.id.replace(id) {
            Some(other) if other != id => {
                let reason = format!("the document names both killmail {id} and {other}");
                Err(at(b"killmail_id", "id_mismatch", reason))
            }
            _ => Ok(()),
        }
    }

    /// zKillboard's block.
    fn zkb(&mut self, name: &[u8]) -> Read<()> {
        match self.pull.value()? {
            Value::Object => {}
            Value::Null => return Ok(()),
            other => return Err(wrong_type(name, other, "an object")),
        }
        while let Some(key) = self.pull.key()? {
            let mut unescaped = Vec::new();
            let name = key.bytes(&mut unescaped);
            match name {
                b"totalValue" => self.total_value(name)?,
                b"hash" => {
                    let hash = self.hash(name)?;
                    self.mail.zkb_hash = hash.or_else(|| self.mail.zkb_hash.take());
                }
                _ => {
                    self.any(name)?;
                }
            }
        }
        Ok(())
    }

    fn total_value(&mut self, name: &[u8]) -> Read<()> {
        let literal = match self.pull.value()? {
            Value::Null => return Ok(()),
            Value::Number(literal) => literal,
            Value::Text(text) => text.raw(),
            other => return Err(wrong_type(name, other, "a number")),
        };
        let mut decimal = Vec::with_capacity(literal.len());
        push_decimal(literal, &mut decimal).map_err(|fault| value(name, fault, literal))?;
        let decimal = String::from_utf8(decimal).map_err(|_| value(name, Fault::Utf8, literal))?;
        if self.mail.value.replace(decimal).is_some() {
            return Err(twice(name));
        }
        Ok(())
    }

    /// A whole number of the killmail itself.
    fn own_integer(
        &mut self,
        name: &[u8],
        slot: fn(&mut Mail) -> &mut Option<i64>,
    ) -> Read<Option<u64>> {
        let mut number = *slot(self.mail);
        let said = self.integer(name, &mut number)?;
        *slot(self.mail) = number;
        Ok(said)
    }

    fn victim(&mut self, name: &[u8]) -> Read<Option<u64>> {
        match self.pull.value()? {
            Value::Object => {}
            Value::Null => return Ok(None),
            other => return Err(wrong_type(name, other, "an object")),
        }
        let (victim, said) = self.actor(Role::Victim)?;
        if self.mail.victim.replace(victim).is_some() {
            return Err(twice(name));
        }
        Ok(Some(said))
    }

    fn attackers(&mut self, name: &[u8]) -> Read<Option<u64>> {
        match self.pull.value()? {
            Value::Array => {}
            Value::Null => return Ok(None),
            other => return Err(wrong_type(name, other, "an array")),
        }
        if std::mem::replace(&mut self.mail.has_attackers, true) {
            return Err(twice(name));
        }
        let mut elements = Elements::default();
        while self.pull.element()? {
            match self.pull.value()? {
                Value::Object => {}
                other => return Err(wrong_type(name, other, "an attacker's object")),
            }
            let (attacker, said) = self.actor(Role::Attacker)?;
            self.mail.attackers.push(attacker);
            elements.add(Some(said));
        }
        Ok(elements.array())
    }

    /// The members of the victim or an attacker.
    fn actor(&mut self, role: Role) -> Read<(Actor, u64)> {
        let mut actor = Actor::default();
        let mut members = Members::default();
        let mut items = false;
        while let Some(key) = self.pull.key()? {
            let mut unescaped = Vec::new();
            let name = key.bytes(&mut unescaped);
            let said = match (name, role) {
                (b"character_id", _) => self.integer(name, &mut actor.character)?,
                (b"corporation_id", _) => self.integer(name, &mut actor.corporation)?,
                (b"alliance_id", _) => self.integer(name, &mut actor.alliance)?,
                (b"faction_id", _) => self.integer(name, &mut actor.faction)?,
                (b"ship_type_id", _) => self.integer(name, &mut actor.ship_type)?,
                (b"weapon_type_id", Role::Attacker) => {
                    self.integer(name, &mut actor.weapon_type)?
                }
                (b"damage_done", Role::Attacker) | (b"damage_taken", Role::Victim) => {
                    self.integer(name, &mut actor.damage)?
                }
                (b"security_status", Role::Attacker) => {
                    self.float(name, &mut actor.security_status)?
                }
                (b"final_blow", Role::Attacker) => self.boolean(name, &mut actor.final_blow)?,
                (b"position", Role::Victim) => self.position(name)?,
                (b"items", Role::Victim) => {
                    if std::mem::replace(&mut items, true) {
                        return Err(twice(name));
                    }
                    self.items(name, None)?
                }
                _ => self.any(name)?,
            };
            members.add(name, said);
        }
        Ok((actor, members.object()))
    }

    fn position(&mut self, name: &[u8]) -> Read<Option<u64>> {
        match self.pull.value()? {
            Value::Object => {}
            Value::Null => return Ok(None),
            other => return Err(wrong_type(name, other, "an object")),
        }
        let mut position = [None; 3];
        let mut members = Members::default();
        while let Some(key) = self.pull.key()? {
            let mut unescaped = Vec::new();
            let name = key.bytes(&mut unescaped);
            let said = match name {
                b"x" => self.float(name, &mut position[0])?,
                b"y" => self.float(name, &mut position[1])?,
                b"z" => self.float(name, &mut position[2])?,
                _ => self.any(name)?,
            };
            members.add(name, said);
        }
        self.mail.position = position;
        Ok(Some(members.object()))
    }

    /// A list of items, which may hold others. The parser bounds how deep.
    fn items(&mut self, name: &[u8], parent: Option<usize>) -> Read<Option<u64>> {
        match self.pull.value()? {
            Value::Array => {}
            Value::Null => return Ok(None),
            other => return Err(wrong_type(name, other, "an array")),
        }
        let mut elements = Elements::default();
        while self.pull.element()? {
            match self.pull.value()? {
                Value::Object => {}
                other => return Err(wrong_type(name, other, "an item's object")),
            }
            elements.add(Some(self.item(parent)?));
        }
        Ok(elements.array())
    }

    fn item(&mut self, parent: Option<usize>) -> Read<u64> {
        let place = self.mail.items.len();
        // Its place is taken before what it holds is met.
        self.mail.items.push(Item::default());
        let mut item = Item { parent, ..Item::default() };
        let mut members = Members::default();
        let mut items = false;
        while let Some(key) = self.pull.key()? {
            let mut unescaped = Vec::new();
            let name = key.bytes(&mut unescaped);
            let said = match name {
                b"item_type_id" => self.integer(name, &mut item.item_type)?,
                b"flag" => self.integer(name, &mut item.flag)?,
                b"singleton" => self.integer(name, &mut item.singleton)?,
                b"quantity_dropped" => self.integer(name, &mut item.dropped)?,
                b"quantity_destroyed" => self.integer(name, &mut item.destroyed)?,
                b"items" => {
                    if std::mem::replace(&mut items, true) {
                        return Err(twice(name));
                    }
                    self.items(name, Some(place))?
                }
                _ => self.any(name)?,
            };
            members.add(name, said);
        }
        if item.item_type.is_none() {
            return Err(missing("item_type_id", "an item"));
        }
        self.mail.items[place] = item;
        Ok(members.object())
    }
}

/// Whether a document says all that it should.
fn check(mail: &Mail) -> Read<()> {
    if mail.id.is_none() {
        return Err(missing("killmail_id", "the killmail"));
    }
    if mail.content.is_none() {
        if mail.value.is_none() && mail.hash.is_none() && mail.zkb_hash.is_none() {
            let reason = "the record has no killmail, no hash and no value: nothing to store";
            return Err(whole(NO_KILLMAIL, reason));
        }
        return Ok(());
    }
    let wanted = [
        ("killmail_time", mail.time_us.is_some()),
        ("solar_system_id", mail.solar_system.is_some()),
        ("victim", mail.victim.is_some()),
        ("attackers", mail.has_attackers),
    ];
    if let Some((name, _)) = wanted.iter().find(|(_, there)| !there) {
        return Err(missing(name, "the killmail"));
    }
    if let Some(victim) = &mail.victim
        && victim.damage.is_none()
    {
        return Err(missing("damage_taken", "the victim"));
    }
    for attacker in &mail.attackers {
        if attacker.damage.is_none() {
            return Err(missing("damage_done", "an attacker"));
        }
        if attacker.final_blow.is_none() {
            return Err(missing("final_blow", "an attacker"));
        }
    }
    Ok(())
}

/// `"killID": "hash"`, as a day's history lists them.
fn is_history(name: &[u8], value: Value<'_>) -> bool {
    !name.is_empty() && name.iter().all(u8::is_ascii_digit) && matches!(value, Value::Text(_))
}

#[cold]
fn history() -> RecordFault {
    whole(
        NO_KILLMAIL,
        "a list of ids and hashes holds no killmails: fetch each by its id and hash, \
         and load those",
    )
}

#[cold]
fn crest() -> RecordFault {
    whole(
        "old_format",
        "a killmail in the form of CREST, which is no more: fetch it again by its id and hash \
         from ESI",
    )
}

/// The time of a document's killmail, if it can be found; for documents with faults.
#[cold]
pub(super) fn peek_time(document: &[u8], times: &mut TimeParser) -> Option<i64> {
    let mut pull = Pull::new(document);
    let Ok(Value::Object) = pull.value() else { return None };
    find_time(&mut pull, times)
}

fn find_time(pull: &mut Pull<'_>, times: &mut TimeParser) -> Option<i64> {
    while let Ok(Some(key)) = pull.key() {
        let value = pull.value().ok()?;
        let found = match value {
            Value::Text(text) if key.is(b"killmail_time") => {
                return times.parse(text.raw()).ok();
            }
            Value::Object if [&b"package"[..], b"killmail", b"esi"].iter().any(|k| key.is(k)) => {
                find_time(pull, times)
            }
            other => {
                pull.skip_rest(other).ok()?;
                None
            }
        };
        if found.is_some() {
            return found;
        }
    }
    None
}
