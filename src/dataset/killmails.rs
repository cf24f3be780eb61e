//! EVE Online killmails.

use super::{Child, Column, ConflictPolicy, Dataset, Meeting, TableName};

/// The dataset `killmails`: one record is a killmail with all who took part in it and all that was
/// lost, in three tables. Its columns are made from a document as a whole, never one by one from
/// fields; they stand here in the order in which the decoder makes them.
///
/// A stored killmail is replaced by default, and only if what it says has changed: two documents
/// that spell the same differently are the same. A hash or a value that one envelope knows is not
/// taken away by another that does not know it.
pub const KILLMAILS: Dataset = Dataset {
    name: "killmails",
    title: "EVE Online killmails, with their participants and items",
    domain: "killmails",
    table: TableName::public("killmails_raw"),
    children: &[PARTICIPANTS, ITEMS],
    columns: &[
        Column::integer("killmail_id", "the killmail").required(),
        Column::text("killmail_hash", "its hash; empty where no source says it")
            .meeting(Meeting::Adds),
        Column::time("killmail_time", "when it happened, UTC").required(),
        Column::integer("solar_system_id", "where it happened").required(),
        Column::integer("war_id", "the war that it belongs to"),
        Column::integer("moon_id", "the moon that it happened at"),
        Column::integer("victim_character_id", "empty for NPCs and structures"),
        Column::integer("victim_corporation_id", "the victim's corporation"),
        Column::integer("victim_alliance_id", "the victim's alliance"),
        Column::integer("victim_faction_id", "the victim's faction"),
        Column::integer("victim_ship_type_id", "what was lost"),
        Column::integer("victim_damage_taken", "hit points").required(),
        Column::float("position_x", "metres; empty in old killmails"),
        Column::float("position_y", "metres"),
        Column::float("position_z", "metres"),
        Column::integer("attacker_count", "attackers").required(),
        Column::decimal("total_value", "ISK, as zKillboard values it").meeting(Meeting::Adds),
        Column::integer("content_hash", "equal for killmails that say the same")
            .required()
            .meeting(Meeting::Content),
        Column::json("raw_data", "the document, envelope and all").required(),
    ],
    key: &["killmail_id"],
    position: None,
    time: Some("killmail_time"),
    partitioned: false,
    ticker: None,
    rules: &[],
    series: None,
    on_conflict: ConflictPolicy::Update,
    together: &[],
    marks: &[],
};

const PARTICIPANTS: Child = Child {
    table: TableName::public("participants"),
    columns: &[
        Column::integer("killmail_id", "the killmail").required(),
        Column::integer("seq", "0 for the victim, then its attackers").required(),
        Column::time("killmail_time", "that of the killmail").required(),
        Column::integer("character_id", "empty for NPCs and structures"),
        Column::integer("corporation_id", "the corporation"),
        Column::integer("alliance_id", "the alliance"),
        Column::integer("faction_id", "the faction"),
        Column::integer("ship_type_id", "the ship"),
        Column::integer("weapon_type_id", "the weapon"),
        Column::integer("damage", "done; by the victim: taken").required(),
        Column::float("security_status", "-10 to 10; empty for the victim"),
        Column::flag("is_victim", "whether it is the victim").required(),
        Column::flag("final_blow", "whether it made the kill").required(),
    ],
    root_key: &["killmail_id"],
};

const ITEMS: Child = Child {
    table: TableName::public("killmail_items"),
    columns: &[
        Column::integer("killmail_id", "the killmail").required(),
        Column::integer("seq", "from 1, a container before what is in it").required(),
        Column::integer("parent_seq", "the container's seq; empty outside of one"),
        Column::integer("item_type_id", "the thing").required(),
        Column::integer("flag", "where it was: a slot, the cargo hold"),
        Column::integer("singleton", "1 for a single thing, 2 for a blueprint's copy"),
        Column::integer("quantity_dropped", "things"),
        Column::integer("quantity_destroyed", "things"),
    ],
    root_key: &["killmail_id"],
};
