//! This machine: its memory, and the room on its disks. What is said of the server's data counts
//! only when the server runs here.

use std::path::Path;

use crate::report::human;

use super::super::finding::{Finding, Level};

const GB: u64 = 1_000_000_000;
/// Less room than this for data ends a load of any size soon.
const DATA_FAULT: u64 = GB / 2;
const DATA_WARNING: u64 = 10 * GB;
/// Standard input and data to be sorted are kept in the folder for temporary files.
const TEMP_WARNING: u64 = GB;

/// What is known of this machine.
pub(super) struct Machine {
    /// Bytes of memory, where the system says.
    pub memory_bytes: Option<u64>,
}

/// Room in a file system, in bytes.
#[derive(Debug, Clone, Copy)]
struct Room {
    free: u64,
    total: u64,
}

impl Machine {
    pub(super) fn look() -> Self {
        let text = std::fs::read_to_string("/proc/meminfo").ok();
        Self { memory_bytes: text.as_deref().and_then(memory_total) }
    }

    /// Looks at the disks. `data`: the server's data directory, if the server runs here.
    pub(super) fn check(&self, data: Option<&Path>) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(data) = data
            && let Some(room) = room(data)
        {
            findings.push(data_room(data, room));
        }
        let temporary = std::env::temp_dir();
        findings.push(match room(&temporary) {
            Some(room) => temporary_room(&temporary, room),
            None => Finding::advise(
                Level::Warning,
                "temporary files",
                format!("{} cannot be used", temporary.display()),
                "make the folder, or name another in TMPDIR",
                "standard input is kept there while it is loaded",
            ),
        });
        findings
    }
}

fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn room(folder: &Path) -> Option<Room> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(Room {
        free: stat.f_bavail.checked_mul(stat.f_frsize)?,
        total: stat.f_blocks.checked_mul(stat.f_frsize)?,
    })
}

fn shown(folder: &Path, room: Room) -> String {
    let (free, total) = (human::size(room.free), human::size(room.total));
    format!("{free} of {total} free in {}", folder.display())
}

fn data_room(folder: &Path, room: Room) -> Finding {
    let level = match room.free {
        free if free < DATA_FAULT => Level::Fault,
        free if free < DATA_WARNING.min(room.total / 5) => Level::Warning,
        _ => return Finding::ok("disk", shown(folder, room)),
    };
    Finding::advise(
        level,
        "disk",
        shown(folder, room),
        "free some room, or move the data to a larger disk",
        "a load takes about twice the size of its text files for rows, indexes and WAL",
    )
}

fn temporary_room(folder: &Path, room: Room) -> Finding {
    if room.free >= TEMP_WARNING {
        return Finding::ok("temporary files", shown(folder, room));
    }
    Finding::advise(
        Level::Warning,
        "temporary files",
        shown(folder, room),
        "free some room, or name another folder in TMPDIR",
        "standard input is kept there while it is loaded",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_judged() {
        let level = |free, total| data_room(Path::new("/d"), Room { free, total }).level;
        assert_eq!(level(500 * GB, 1_000 * GB), Level::Ok);
        assert_eq!(level(5 * GB, 1_000 * GB), Level::Warning);
        assert_eq!(level(5 * GB, 10 * GB), Level::Ok, "a small disk that is half empty");
        assert_eq!(level(GB / 10, 10 * GB), Level::Fault);
        let temporary = |free| temporary_room(Path::new("/t"), Room { free, total: GB }).level;
        assert_eq!(temporary(GB), Level::Ok);
        assert_eq!(temporary(GB / 2), Level::Warning);
    }

    #[test]
    fn memory_is_read() {
        assert_eq!(memory_total("MemTotal:   1024 kB\n"), Some(1 << 20));
        assert_eq!(memory_total("nothing"), None);
    }

    #[test]
    fn this_machine_is_looked_at() {
        let findings = Machine::look().check(Some(Path::new("/")));
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert_eq!(Machine::look().check(Some(Path::new("/no/such/folder"))).len(), 1);
    }
}
