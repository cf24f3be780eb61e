//! The shape of JSON in a recipe.

use serde::{Deserialize, Serialize};

use super::{Bytes, texts};
use crate::mapping::{JsonRecords, JsonShape};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireJson {
    records: WireRecords,
    fields: Vec<Vec<Bytes>>,
    elements: Option<(usize, usize)>,
    nulls: Vec<Bytes>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireRecords {
    Lines,
    Documents,
    Members,
    Array(Vec<Bytes>),
}

fn keys(keys: &[String]) -> Vec<Bytes> {
    keys.iter().map(Bytes::from).collect()
}

impl WireJson {
    pub fn of(shape: &JsonShape) -> Self {
        Self {
            records: match &shape.records {
                JsonRecords::Lines => WireRecords::Lines,
                JsonRecords::Documents => WireRecords::Documents,
                JsonRecords::Members => WireRecords::Members,
                JsonRecords::Array(path) => WireRecords::Array(keys(path)),
            },
            fields: shape.fields.iter().map(|path| keys(path)).collect(),
            elements: shape.elements,
            nulls: shape.nulls.iter().map(Bytes::from).collect(),
        }
    }

    pub fn open(self) -> Result<JsonShape, String> {
        Ok(JsonShape {
            records: match self.records {
                WireRecords::Lines => JsonRecords::Lines,
                WireRecords::Documents => JsonRecords::Documents,
                WireRecords::Members => JsonRecords::Members,
                WireRecords::Array(path) => JsonRecords::Array(texts(path)?),
            },
            fields: self.fields.into_iter().map(texts).collect::<Result<_, _>>()?,
            elements: self.elements,
            nulls: self.nulls.into_iter().map(Bytes::open).collect::<Result<_, _>>()?,
        })
    }
}
