//! The outer shape of a delimited text as a recipe's JSON.

use serde::{Deserialize, Serialize};

use super::{Bytes, texts};
use crate::mapping::TextShape;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireShape {
    delimiter: Bytes,
    quote: Bytes,
    head_lines: usize,
    header: Option<Vec<Bytes>>,
    header_bytes: Bytes,
    fields_min: usize,
    fields_max: usize,
    nulls: Vec<Bytes>,
}

impl WireShape {
    pub(super) fn of(shape: &TextShape) -> Self {
        let names = |names: &Vec<String>| names.iter().map(Bytes::from).collect();
        Self {
            delimiter: Bytes::from([shape.delimiter]),
            quote: Bytes::from([shape.quote]),
            head_lines: shape.head_lines,
            header: shape.header.as_ref().map(names),
            header_bytes: Bytes::from(&shape.header_bytes),
            fields_min: shape.fields_min,
            fields_max: shape.fields_max,
            nulls: shape.nulls.iter().map(Bytes::from).collect(),
        }
    }

    pub(super) fn open(self) -> Result<TextShape, String> {
        Ok(TextShape {
            delimiter: self.delimiter.byte()?,
            quote: self.quote.byte()?,
            head_lines: self.head_lines,
            header: self.header.map(texts).transpose()?,
            header_bytes: self.header_bytes.open()?,
            fields_min: self.fields_min,
            fields_max: self.fields_max,
            nulls: self.nulls.into_iter().map(Bytes::open).collect::<Result<_, _>>()?,
        })
    }
}
