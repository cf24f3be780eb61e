//! The server's settings, scaled to the machine. Durability is never traded: fsync and
//! synchronous_commit stay on.

use std::fmt::Write as _;
use std::path::Path;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// What is assumed where memory cannot be asked for.
const MEMORY_UNKNOWN: u64 = 4 * GIB;

/// The settings file for data in `folder`.
pub(super) fn text(folder: &Path) -> String {
    for_machine(memory(), free_space(folder))
}

fn for_machine(memory: u64, free: Option<u64>) -> String {
    let shared = (memory / 4).clamp(128 * MIB, 4 * GIB) / MIB;
    let cache = (memory / 4 * 3).max(256 * MIB) / MIB;
    let maintenance = (memory / 16).clamp(64 * MIB, GIB) / MIB;
    // WAL may take this much; on a small disk it must not take it all.
    let wal = free.map_or(8 * GIB, |free| (free / 4).clamp(GIB, 8 * GIB)) / MIB;
    // Where the kernel has no advice for reads ahead, only 0 is accepted.
    let io = if cfg!(target_os = "linux") { 200 } else { 0 };
    let mut text = String::from("# Written by tidegate when the server was made; yours to edit.\n");
    let lines = [
        ("listen_addresses", "''".to_owned()),
        ("unix_socket_permissions", "0700".to_owned()),
        ("max_connections", "100".to_owned()),
        ("fsync", "on".to_owned()),
        ("synchronous_commit", "on".to_owned()),
        ("shared_buffers", format!("{shared}MB")),
        ("effective_cache_size", format!("{cache}MB")),
        ("maintenance_work_mem", format!("{maintenance}MB")),
        ("max_wal_size", format!("{wal}MB")),
        ("checkpoint_timeout", "15min".to_owned()),
        ("checkpoint_completion_target", "0.9".to_owned()),
        ("effective_io_concurrency", io.to_string()),
        ("timezone", "'UTC'".to_owned()),
        ("log_timezone", "'UTC'".to_owned()),
        ("cluster_name", "'tidegate'".to_owned()),
        ("logging_collector", "off".to_owned()),
        ("log_line_prefix", "'%m [%p] %q%u@%d '".to_owned()),
    ];
    for (name, value) in lines {
        let _ = writeln!(text, "{name} = {value}");
    }
    text
}

/// Bytes of memory: the machine's, or the control group's limit if that is less.
fn memory() -> u64 {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| meminfo_total(&text)).or_else(sysctl);
    let limit = read("/sys/fs/cgroup/memory.max")
        .or_else(|| read("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
        .and_then(|text| text.trim().parse::<u64>().ok());
    let machine = machine.unwrap_or(MEMORY_UNKNOWN);
    limit.map_or(machine, |limit| limit.min(machine))
}

fn meminfo_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Systems without /proc.
fn sysctl() -> Option<u64> {
    let output = std::process::Command::new("sysctl").args(["-n", "hw.memsize"]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

fn free_space(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    stat.f_bavail.checked_mul(stat.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_follow_the_machine() {
        let small = for_machine(GIB, Some(6 * GIB));
        assert!(small.contains("shared_buffers = 256MB\n"), "{small}");
        assert!(small.contains("max_wal_size = 1536MB\n"), "{small}");
        let large = for_machine(256 * GIB, None);
        assert!(large.contains("shared_buffers = 4096MB\n"), "{large}");
        assert!(large.contains("maintenance_work_mem = 1024MB\n"), "{large}");
        assert!(large.contains("max_wal_size = 8192MB\n"), "{large}");
        assert!(large.contains("fsync = on\n") && large.contains("synchronous_commit = on\n"));
    }

    #[test]
    fn meminfo_is_read() {
        assert_eq!(
            meminfo_total("MemTotal:       24684084 kB\nMemFree: 1 kB\n"),
            Some(24_684_084 << 10)
        );
        assert_eq!(meminfo_total("nothing"), None);
    }
}
