//! The parts of a recipe that few files need: how fields are put right before they are read, and
//! what records hold besides plain values. Used by `recipe` alone.

use serde::{Deserialize, Serialize};

use super::recipe::{Bytes, WireFormat};
use crate::mapping::{OccPart, Quirks, Rewrite, Sieve};

/// Absent in recipes of files that have none, as of programs that knew none.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WireQuirks {
    idle_skipped: bool,
    zero_untraded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sieve: Option<WireSieve>,
}

impl WireQuirks {
    /// A record that is replayed stands alone, in no order.
    pub(super) fn of(quirks: &Quirks) -> Self {
        let Quirks { idle_skipped, zero_untraded, sieve, order: _ } = quirks;
        let sieve = sieve.as_ref().map(|Sieve { field, words, takes }| WireSieve {
            field: *field,
            words: words.iter().map(Bytes::from).collect(),
            takes: *takes,
        });
        Self { idle_skipped: *idle_skipped, zero_untraded: *zero_untraded, sieve }
    }

    pub(super) fn open(self) -> Result<Quirks, String> {
        let sieve = |WireSieve { field, words, takes }| {
            let words = words.into_iter().map(Bytes::text).collect::<Result<_, String>>()?;
            Ok::<_, String>(Sieve { field, words, takes })
        };
        Ok(Quirks {
            idle_skipped: self.idle_skipped,
            zero_untraded: self.zero_untraded,
            order: None,
            sieve: self.sieve.map(sieve).transpose()?,
        })
    }

    pub(super) fn are_none(&self) -> bool {
        !self.idle_skipped && !self.zero_untraded && self.sieve.is_none()
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSieve {
    field: usize,
    words: Vec<Bytes>,
    takes: bool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireOcc {
    Underlying,
    Expiry,
    Strike,
    OptionType,
}

impl WireOcc {
    fn of(part: OccPart) -> Self {
        match part {
            OccPart::Underlying => WireOcc::Underlying,
            OccPart::Expiry => WireOcc::Expiry,
            OccPart::Strike => WireOcc::Strike,
            OccPart::OptionType => WireOcc::OptionType,
        }
    }

    fn open(self) -> OccPart {
        match self {
            WireOcc::Underlying => OccPart::Underlying,
            WireOcc::Expiry => OccPart::Expiry,
            WireOcc::Strike => OccPart::Strike,
            WireOcc::OptionType => OccPart::OptionType,
        }
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
    Amount {
        comma: bool,
    },
    Words(Vec<(Bytes, Bytes)>),
    CutToMicros,
    Bytes {
        big_endian: bool,
        scale: i8,
    },
    Nanos,
    Occ(WireOcc),
    IsoDay(WireFormat),
}

impl WireRewrite {
    pub(super) fn of(rewrite: &Rewrite) -> Self {
        match rewrite {
            Rewrite::Number { comma, scale, thousands } => {
                WireRewrite::Number { comma: *comma, scale: *scale, thousands: *thousands }
            }
            Rewrite::Amount { comma } => WireRewrite::Amount { comma: *comma },
            Rewrite::CutToMicros => WireRewrite::CutToMicros,
            Rewrite::Bytes { big_endian, scale } => {
                WireRewrite::Bytes { big_endian: *big_endian, scale: *scale }
            }
            Rewrite::Nanos => WireRewrite::Nanos,
            Rewrite::Occ(part) => WireRewrite::Occ(WireOcc::of(*part)),
            Rewrite::IsoDay(format) => WireRewrite::IsoDay(WireFormat::of(format)),
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
            WireRewrite::Amount { comma } => Rewrite::Amount { comma },
            WireRewrite::CutToMicros => Rewrite::CutToMicros,
            WireRewrite::Bytes { big_endian, scale } => Rewrite::Bytes { big_endian, scale },
            WireRewrite::Nanos => Rewrite::Nanos,
            WireRewrite::Occ(part) => Rewrite::Occ(part.open()),
            WireRewrite::IsoDay(format) => Rewrite::IsoDay(format.open()?),
            WireRewrite::Words(words) => {
                let pair = |(from, to): (Bytes, Bytes)| Ok((from.text()?, to.text()?));
                Rewrite::Words(words.into_iter().map(pair).collect::<Result<_, String>>()?)
            }
        })
    }
}
