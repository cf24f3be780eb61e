//! Files looked at by several threads at once: compressed ones are decompressed then, and each of
//! those of a store is waited for.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::CommandError;
use crate::limit::SURVEY_THREADS_MAX;
use crate::source::Found;

/// Looks at files by several threads, each at the next one that none has begun. What is found is in
/// the order of the files, and so is the error that is given: none before it was left out.
pub(super) fn side_by_side<T: Send>(
    found: &[Found],
    look_at: impl Fn(&Found) -> Result<T, CommandError> + Sync,
) -> Result<Vec<T>, CommandError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(SURVEY_THREADS_MAX).min(found.len());
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let work = || {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = found.get(at) else { break };
            let outcome = look_at(file);
            failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
            done.push((at, outcome));
        }
        done
    };
    let mut all = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            match other.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, outcome)| outcome).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::source::Location;

    fn files(names: &[String]) -> Vec<Found> {
        let found = |name: &String| Found {
            name: name.clone(),
            location: Location::from(Path::new(name)),
            named: true,
            spool: None,
        };
        names.iter().map(found).collect()
    }

    #[test]
    fn what_is_found_is_in_the_order_of_the_files() {
        let names: Vec<String> = (0..40).map(|at| format!("{at:02}.csv")).collect();
        let looked = side_by_side(&files(&names), |file| {
            // Every third is slow.
            if file.name.as_bytes()[1].is_multiple_of(3) {
                std::thread::sleep(Duration::from_millis(3));
            }
            Ok(file.name.clone())
        });
        assert_eq!(looked.unwrap(), names);
        assert_eq!(side_by_side(&[], |_| Ok(())).unwrap(), []);
    }

    #[test]
    fn of_several_errors_the_first_file_has_it() {
        let found = files(&["a", "slow", "b", "c", "d"].map(str::to_owned));
        for _ in 0..20 {
            let looked = side_by_side(&found, |file| match file.name.as_str() {
                "slow" => {
                    std::thread::sleep(Duration::from_millis(2));
                    Err(CommandError::Refused("slow".to_owned()))
                }
                "b" | "c" => Err(CommandError::Refused(file.name.clone())),
                _ => Ok(()),
            });
            assert_eq!(looked.unwrap_err().to_string(), "slow");
        }
    }
}
