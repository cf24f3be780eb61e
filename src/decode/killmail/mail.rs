//! What one document says of a killmail, before it is rows. Reused from document to document.

/// A killmail as it was read.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// Its id.
    pub id: Option<i64>,
    /// Its hash: the one that the document itself names goes before that of its `zkb` block.
    pub hash: Option<String>,
    /// The hash of the `zkb` block.
    pub zkb_hash: Option<String>,
    /// When it happened, in microseconds from 1970 UTC.
    pub time_us: Option<i64>,
    pub solar_system: Option<i64>,
    pub war: Option<i64>,
    pub moon: Option<i64>,
    /// What was lost and dropped, in ISK: a decimal literal.
    pub value: Option<String>,
    /// The digest of its body, if the document has one.
    pub content: Option<u64>,
    pub victim: Option<Actor>,
    /// Where the victim was.
    pub position: [Option<f64>; 3],
    pub attackers: Vec<Actor>,
    /// Whether there is a list of attackers at all.
    pub has_attackers: bool,
    /// In the order in which they are met, each container before what it holds.
    pub items: Vec<Item>,
    /// Whether the document says that there is nothing.
    pub idle: bool,
}

/// The victim or an attacker.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Actor {
    pub character: Option<i64>,
    pub corporation: Option<i64>,
    pub alliance: Option<i64>,
    pub faction: Option<i64>,
    pub ship_type: Option<i64>,
    pub weapon_type: Option<i64>,
    /// Done, or taken by the victim.
    pub damage: Option<i64>,
    pub security_status: Option<f64>,
    pub final_blow: Option<bool>,
}

/// Something that the victim had with it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Item {
    /// Position in [`Mail::items`] of the container that holds it.
    pub parent: Option<usize>,
    pub item_type: Option<i64>,
    pub flag: Option<i64>,
    pub singleton: Option<i64>,
    pub dropped: Option<i64>,
    pub destroyed: Option<i64>,
}

impl Mail {
    /// Forgets the document; keeps the room.
    pub fn clear(&mut self) {
        let (mut attackers, mut items) =
            (std::mem::take(&mut self.attackers), std::mem::take(&mut self.items));
        attackers.clear();
        items.clear();
        *self = Self { attackers, items, ..Self::default() };
    }
}
