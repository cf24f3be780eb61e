//! The class of an error: what the program does about it. Each room owns its error type and
//! answers this question; nobody decides on message text.

use std::fmt;

/// What is to be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The connection is gone or the server refuses new work: connect again and redo the batch.
    Reconnect,
    /// The connection is good and the same batch may pass later: wait and redo it.
    Redo,
    /// The rows are at fault: step down the ladder and find them.
    StepDown,
    /// COPY is not possible here, INSERT may be: the whole batch goes by INSERT.
    UseInsert,
    /// Retrying cannot help: stop and tell the user.
    Stop,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Reconnect => "reconnect",
            Class::Redo => "redo",
            Class::StepDown => "step down",
            Class::UseInsert => "use insert",
            Class::Stop => "stop",
        })
    }
}

/// The process exit codes; names and numbers are part of the command-line contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All records accounted for, none rejected.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The command line was wrong.
    Usage = 2,
    /// Done, with rejects.
    Rejects = 3,
    /// Stopped by the error budget.
    Budget = 4,
    /// The accounts do not add up.
    Accounts = 70,
    /// Another run holds the lock.
    Locked = 75,
    /// Interrupted; the same command resumes.
    Interrupted = 130,
}

impl Exit {
    /// The number that the process exits with.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Of two outcomes the one that is reported: 130, 70, 1, 4, 3, 0 in this order.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Exit::Done => 0,
            Exit::Rejects => 1,
            Exit::Budget => 2,
            Exit::Failed => 3,
            Exit::Locked => 4,
            Exit::Usage => 5,
            Exit::Accounts => 6,
            Exit::Interrupted => 7,
        };
        if rank(self) >= rank(other) { self } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_rank_as_the_contract_says() {
        let order = [
            Exit::Interrupted,
            Exit::Accounts,
            Exit::Failed,
            Exit::Budget,
            Exit::Rejects,
            Exit::Done,
        ];
        for pair in order.windows(2) {
            assert_eq!(pair[0].worse(pair[1]), pair[0]);
            assert_eq!(pair[1].worse(pair[0]), pair[0]);
        }
    }
}
