//! The byte budget: memory is leased before it is allocated and given back when its batch is
//! committed. Leases are taken by the reader alone, in source order, so the batch that is next to
//! be written always has its lease already and no stage waits for a later one.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Cancel;

/// A number of bytes that many hold parts of.
#[derive(Debug)]
pub(super) struct Budget {
    total: usize,
    used: Mutex<usize>,
    freed: Condvar,
}

/// A part of the budget; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Lease {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub fn new(total: usize) -> Arc<Self> {
        Arc::new(Self { total, used: Mutex::new(0), freed: Condvar::new() })
    }

    /// Waits for `bytes`. More than the whole budget is given once nothing else is out. `None`:
    /// cancelled.
    pub fn lease(self: &Arc<Self>, bytes: usize, cancel: &Cancel) -> Option<Arc<Lease>> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while *used > 0 && *used + bytes > self.total {
            if cancel.is_set() {
                return None;
            }
            let waited = self.freed.wait_timeout(used, Duration::from_millis(50));
            used = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *used += bytes;
        Some(Arc::new(Lease { budget: Arc::clone(self), bytes }))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut used = self.budget.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used -= self.bytes;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_waits_for_room_and_an_oversize_one_for_everything() {
        let cancel = Cancel::default();
        let budget = Budget::new(10);
        let first = budget.lease(8, &cancel);
        let waiter = {
            let (budget, cancel) = (Arc::clone(&budget), cancel.clone());
            std::thread::spawn(move || budget.lease(100, &cancel).is_some())
        };
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waiter.is_finished());
        drop(first);
        assert!(waiter.join().unwrap());
        let held = budget.lease(8, &cancel);
        cancel.interrupt();
        assert!(budget.lease(8, &cancel).is_none(), "cancelled while waiting");
        drop(held);
    }
}
