//! The parts of a recipe that few files need: how fields are put right before they are read, and
//! what records hold besides plain values. Used by `recipe` alone.

use serde::{Deserialize, Serialize};

use super::recipe::Bytes;
use crate::mapping::{Quirks, Rewrite};

/// Absent in recipes of files that have none, as of programs that knew none.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WireQuirks {
    idle_skipped: bool,
    zero_untraded: bool,
}

impl WireQuirks {
    /// A record that is replayed stands alone, in no order.
    pub(super) fn of(Quirks { idle_skipped, zero_untraded, order: _ }: Quirks) -> Self {
        Self { idle_skipped, zero_untraded }
    }

    pub(super) fn open(&self) -> Quirks {
        let Self { idle_skipped, zero_untraded } = *self;
        Quirks { idle_skipped, zero_untraded, order: None }
    }

    pub(super) fn are_none(&self) -> bool {
        self.open() == Quirks::default()
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireRewrite {
    Number {
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        comma: bool,
        scale: i8,
        thousands: Option<u8>,
    },
    Words(Vec<(Bytes, Bytes)>),
    CutToMicros,
}

impl WireRewrite {
    pub(super) fn of(rewrite: &Rewrite) -> Self {
        match rewrite {
            Rewrite::Number { comma, scale, thousands } => {
                WireRewrite::Number { comma: *comma, scale: *scale, thousands: *thousands }
            }
            Rewrite::CutToMicros => WireRewrite::CutToMicros,
            Rewrite::Words(words) => {
                let pair = |(from, to): &(String, String)| (Bytes::from(from), Bytes::from(to));
                WireRewrite::Words(words.iter().map(pair).collect())
            }
        }
    }

    pub(super) fn open(self) -> Result<Rewrite, String> {
        Ok(match self {
            WireRewrite::Number { comma, scale, thousands } => {
                Rewrite::Number { comma, scale, thousands }
            }
            WireRewrite::CutToMicros => Rewrite::CutToMicros,
            WireRewrite::Words(words) => {
                let pair = |(from, to): (Bytes, Bytes)| Ok((from.text()?, to.text()?));
                Rewrite::Words(words.into_iter().map(pair).collect::<Result<_, String>>()?)
            }
        })
    }
}
