//! Finding a content again by the name under which it was loaded.

use std::path::Path;

use super::find::is_url;
use super::walk::{Content, Seen, Visitor, Want, look_into};
use super::{Found, Remotes, Spooler};

/// The content that was loaded as `name` (see [`Seen::name`]), if it still is there and has this
/// hash. What cannot be read is not there.
pub fn find_again(
    name: &str,
    hash: &[u8],
    remotes: &Remotes,
    spooler: &Spooler,
) -> Option<Content> {
    let mut ends = name.match_indices('!').map(|(at, _)| at).chain([name.len()]);
    let (file, found) = ends.find_map(|end| {
        let file = &name[..end];
        let found = match is_url(file) {
            true => remotes.find(file, spooler).ok()?.pop()?,
            false if Path::new(file).is_file() => Found::plain(Path::new(file).to_owned(), true),
            false => return None,
        };
        Some((file, found))
    })?;
    let mut search = Search { name, found: None };
    // A fault behind the content does not matter.
    let _ = look_into(&found.location, file, spooler, &mut search);
    let content = search.found.filter(|content| content.fingerprint.hash == hash)?;
    let spool = content.spool.or(found.spool);
    Some(Content { spool, ..content })
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
