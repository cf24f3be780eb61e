//! Everything that is derived from loaded tables, in the order in which it is refreshed.

use super::super::CommandError;

/// How something is refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Buckets of so many minutes, those that were touched.
    Bars {
        /// Width of a bucket.
        minutes: i32,
    },
    /// A function of a range of time.
    Call {
        /// Its name.
        function: &'static str,
    },
    /// A materialized view, as a whole.
    View {
        /// Settings of its transaction.
        settings: &'static str,
        /// A query that sums up what it is made of.
        content: Option<&'static str>,
    },
    /// The partial index over the last days.
    RecentIndex,
}

/// Something that is derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Derived {
    /// Its name, as `schema.name`.
    pub name: &'static str,
    /// The domain whose migrations make it.
    pub domain: &'static str,
    /// A table that must be there for it.
    pub needs: &'static str,
    /// The tables it is made of; none: it depends on the time of day, and is always refreshed.
    pub made_of: &'static [&'static str],
    /// Refreshed where no name is given.
    pub unasked: bool,
    /// How.
    pub kind: Kind,
}

const fn view(
    domain: &'static str,
    name: &'static str,
    made_of: &'static [&'static str],
    content: Option<&'static str>,
) -> Derived {
    let kind = Kind::View { settings: "SELECT 1", content };
    Derived { name, domain, needs: name, made_of, unasked: true, kind }
}

const fn bars(name: &'static str, minutes: i32) -> Derived {
    let kind = Kind::Bars { minutes };
    Derived { name, domain: "options", needs: name, made_of: MINUTES, unasked: true, kind }
}

const MINUTES: &[&str] = &["public.fo_option_strike_bars"];
const KILLMAILS: &[&str] = &["public.killmails_raw"];
const GAMES: &[&str] = &["kalshi.markets", "kalshi.trades", "espn.games", "espn.game_states"];
/// Sums do not depend on the order of rows; a killmail whose content, or value, changes, changes
/// them.
const KILLMAIL_CONTENT: Option<&str> = Some(
    "SELECT concat_ws(' ', count(*), sum(content_hash), sum(total_value), count(total_value)) \
     FROM public.killmails_raw",
);

/// One hash table for all seconds with trades, about 600 bytes each.
const FEATURE_SETTINGS: &str = "SET LOCAL work_mem = '2GB'; SET LOCAL hash_mem_multiplier = 1.2; \
     SET LOCAL enable_hashagg = on";

/// All of them.
pub(super) const KNOWN: &[Derived] = &[
    Derived {
        name: "public.market_data_recent_idx",
        domain: "market",
        needs: "public.market_data_latest_idx",
        made_of: &["public.market_data"],
        unasked: true,
        kind: Kind::RecentIndex,
    },
    view("trading", "public.mv_24h_statistics", &[], None),
    Derived {
        name: "public.fo_option_strike_bars",
        domain: "options",
        needs: "public.fo_option_strike_bars_5min",
        made_of: &["public.option_bars"],
        unasked: false,
        kind: Kind::Call { function: "public.derive_option_strike_bars" },
    },
    bars("public.fo_option_strike_bars_5min", 5),
    bars("public.fo_option_strike_bars_15min", 15),
    view("options", "public.fo_option_strike_latest", MINUTES, None),
    Derived {
        name: "derived.snapshot_features_trade_v1",
        domain: "kalshi",
        needs: "derived.snapshot_features_trade_v1",
        made_of: GAMES,
        unasked: true,
        kind: Kind::View { settings: FEATURE_SETTINGS, content: None },
    },
    view("killmails", "public.character_activity_summary", KILLMAILS, KILLMAIL_CONTENT),
    view("killmails", "public.corporation_member_summary", KILLMAILS, KILLMAIL_CONTENT),
];

/// The one called so, with its schema or without.
pub(super) fn find(name: &str) -> Result<&'static Derived, CommandError> {
    let is = |known: &&Derived| {
        known.name == name || known.name.split_once('.').is_some_and(|(_, bare)| bare == name)
    };
    KNOWN.iter().find(is).ok_or_else(|| {
        let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
        CommandError::Usage(format!("nothing is called {name:?}: there are {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_with_their_schema_and_without() {
        assert_eq!(find("mv_24h_statistics").unwrap(), find("public.mv_24h_statistics").unwrap());
        assert!(find("snapshot_features_trade_v1").unwrap().name.starts_with("derived."));
        let error = find("mv_48h").unwrap_err().to_string();
        assert!(error.contains("public.fo_option_strike_bars_5min"), "{error}");
    }
}
