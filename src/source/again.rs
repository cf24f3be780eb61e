//! Finding a content again by the name under which it was loaded.

use std::path::Path;

use super::Spooler;
use super::walk::{Content, Seen, Visitor, Want, look_into};

/// The content that was loaded as `name` (see [`Seen::name`]), if it still is there and has this
/// hash. What cannot be read is not there.
pub fn find_again(name: &str, hash: &[u8], spooler: &mut Spooler) -> Option<Content> {
    let ends = name.match_indices('!').map(|(at, _)| at).chain([name.len()]);
    let path = ends.map(|end| &name[..end]).find(|path| Path::new(path).is_file())?;
    let mut search = Search { name, found: None };
    // A fault behind the content does not matter.
    let _ = look_into(Path::new(path), path, spooler, &mut search);
    search.found.filter(|content| content.fingerprint.hash == hash)
}

struct Search<'a> {
    name: &'a str,
    found: Option<Content>,
}

impl Visitor for Search<'_> {
    type Known = ();

    fn look(&mut self, seen: &Seen<'_>) -> Want<()> {
        if seen.name == self.name { Want::This(()) } else { Want::No }
    }

    fn take(&mut self, (): (), content: Content) {
        self.found = Some(content);
    }

    fn ignored(&mut self, _: String, _: String) {}

    fn failed(&mut self, _: String, _: String) {}
}
