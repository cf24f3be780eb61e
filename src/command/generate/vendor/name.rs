//! What a vendor's file is called: the layout's example, with what it says of the symbol and the
//! interval put right.

use super::Inverse;
use crate::generate::Records;
use crate::layout::Pattern;

/// Which records a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOf {
    /// The one ticker, where the records do not tell it.
    pub symbol: Option<String>,
}

impl Inverse {
    /// Whether files are called as the layout says, because their names tell something.
    pub fn names_tell(&self) -> bool {
        let facts = &self.layout.facts;
        let told = |fact: &str| self.tells(fact) || !facts.tell(fact);
        self.layout.recognise.by_name || !told("symbol") || !told("interval")
    }

    /// The path of a file: the first of some spellings that reads as it is meant.
    ///
    /// # Errors
    /// Why there is none.
    pub fn path(&self, of: &FileOf, first: &Records) -> Result<String, String> {
        let Some(example) = &self.layout.facts.example else {
            return Err("it has no example of a file's name".to_owned());
        };
        let mut example = example.as_str();
        for ending in [".gz", ".zst", ".zip", ".bz2", ".xz"] {
            example = example.strip_suffix(ending).unwrap_or(example);
        }
        let mut why = None;
        let facts = &self.layout.facts;
        for pattern in facts.names.iter().chain(&facts.paths) {
            for symbol in self.spellings("symbol", of.symbol.as_deref()) {
                for interval in self.spellings("interval", self.interval.as_deref()) {
                    let values = [("symbol", &symbol), ("interval", &interval)];
                    let Some(path) = put(pattern, example, &values) else { continue };
                    match self.check(&path, of, first) {
                        Ok(()) => return Ok(path),
                        Err(error) => {
                            why.get_or_insert(error);
                        }
                    }
                }
            }
        }
        let nothing = || format!("names such as {example} say nothing of what is in them");
        Err(why.unwrap_or_else(nothing))
    }

    /// How a vendor may spell a fact of ours.
    fn spellings(&self, fact: &str, ours: Option<&str>) -> Vec<String> {
        let Some(ours) = ours else { return vec![String::new()] };
        let mut all = Vec::new();
        if let Some(rule) = self.layout.facts.rules.get(fact) {
            let theirs = rule.map.iter().filter(|(_, value)| *value == ours);
            all.extend(theirs.map(|(name, _)| name.clone()));
            let mut replaced = ours.to_owned();
            for (from, turns) in rule.replace.iter().rev() {
                for to in turns.iter().filter(|to| !to.is_empty()) {
                    replaced = replaced.replace(to.as_str(), from);
                }
            }
            all.push(replaced);
        }
        all.push(ours.to_owned());
        if fact == "interval" {
            let split = ours.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
            let (number, unit) = ours.split_at(split);
            let long = match unit {
                "m" => ["min", "minute", "M"],
                "h" => ["hour", "hour", "H"],
                _ => ["day", "daily", "D"],
            };
            all.extend(long.iter().map(|unit| (*unit).to_owned()));
            all.extend(long.iter().map(|unit| format!("{number}{unit}")));
            all.push(format!("{}{number}", long[2]));
        }
        let lower: Vec<String> = all.iter().map(|one| one.to_lowercase()).collect();
        all.extend(lower);
        all
    }
}

/// The example with other values where a pattern finds them; what stands behind the last of them
/// goes, but for the ending: it is of another day.
fn put(pattern: &Pattern, example: &str, values: &[(&str, &String)]) -> Option<String> {
    let start = example.rfind('/').map_or(0, |at| at + 1);
    let (offset, text) = match pattern.captures(&example[start..]) {
        Some(_) => (start, &example[start..]),
        None => (0, example),
    };
    let found = pattern.captures(text)?;
    let mut spans: Vec<(usize, usize, &String)> = values
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| {
            let group = found.name(name)?;
            Some((offset + group.start(), offset + group.end(), *value))
        })
        .collect();
    spans.sort_by_key(|span| std::cmp::Reverse(span.0));
    let mut path = example.to_owned();
    for (from, to, value) in spans {
        path.replace_range(from..to, value);
    }
    Some(path)
}
