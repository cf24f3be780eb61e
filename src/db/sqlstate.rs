//! The one table from SQLSTATE to what is done about it. Decisions are made on codes, never on
//! message text, which is translated and reworded. Writers, the ledger and commands ask here.

use std::io;

use tokio_postgres::error::Severity;

use crate::error::Class;

/// How a row of [`TABLE`] matches a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codes {
    /// This code alone.
    One(&'static str),
    /// Every code that starts with these two characters.
    All(&'static str),
}

/// First match decides; what is not listed stops.
const TABLE: &[(Codes, Class)] = &[
    // The connection, or the server behind it, went away or takes nobody at the moment.
    (Codes::All("08"), Class::Reconnect),
    (Codes::One("57P01"), Class::Reconnect),
    (Codes::One("57P02"), Class::Reconnect),
    (Codes::One("57P03"), Class::Reconnect),
    (Codes::One("57P05"), Class::Reconnect),
    (Codes::One("53300"), Class::Reconnect),
    (Codes::One("25P03"), Class::Reconnect),
    (Codes::One("25P04"), Class::Reconnect),
    // The same batch may pass later. 57014 once, with twice the timeout (`write/patience.rs`);
    // 53100 and 53200 wait for room.
    (Codes::One("40001"), Class::Redo),
    (Codes::One("40P01"), Class::Redo),
    (Codes::One("55P03"), Class::Redo),
    (Codes::One("57014"), Class::Redo),
    (Codes::One("53100"), Class::Redo),
    (Codes::One("53200"), Class::Redo),
    // A pooler handed out a session with, or without, somebody's named statement.
    (Codes::One("42P05"), Class::Redo),
    (Codes::One("26000"), Class::Redo),
    // An encoder's bug would make a million rejects.
    (Codes::One("22P03"), Class::Stop),
    (Codes::One("22P04"), Class::Stop),
    // The rows are at fault.
    (Codes::All("22"), Class::StepDown),
    (Codes::All("23"), Class::StepDown),
    (Codes::One("P0001"), Class::StepDown),
    (Codes::One("44000"), Class::StepDown),
    (Codes::One("54000"), Class::StepDown),
    // COPY under row security. From anything but COPY it means stop.
    (Codes::One("0A000"), Class::UseInsert),
];

/// What to do about a SQLSTATE. `closed` tells whether the connection ended with it: a protocol
/// violation (08P01) on a live connection is our bug, on a closed one a pooler's doing.
///
/// [`Class::UseInsert`] (0A000) holds for COPY; after any other statement it means stop.
pub fn class_of(code: &str, closed: bool) -> Class {
    if code == "08P01" && !closed {
        return Class::Stop;
    }
    TABLE
        .iter()
        .find(|(codes, _)| match codes {
            Codes::One(one) => *one == code,
            Codes::All(class) => code.starts_with(class),
        })
        .map_or(Class::Stop, |&(_, class)| class)
}

/// What to do about an error of the client library: by SQLSTATE if the server sent one, else a
/// lost connection reconnects, and the rest (values that cannot be sent, TLS refused) stops.
///
/// `closed` is what `Connection::is_closed` says; an error of severity FATAL implies it.
pub fn classify(error: &tokio_postgres::Error, closed: bool) -> Class {
    if let Some(server) = error.as_db_error() {
        let fatal = matches!(server.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
        return class_of(server.code().code(), closed || fatal);
    }
    if error.is_closed() {
        return Class::Reconnect;
    }
    let cause = std::error::Error::source(error).and_then(|e| e.downcast_ref::<io::Error>());
    match cause.map(io::Error::kind) {
        // What the library could not encode or parse, and certificates that do not hold.
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) | None => Class::Stop,
        Some(_) => Class::Reconnect,
    }
}

/// Whether the server said that no partition takes a row: a check violation that names no
/// constraint.
pub fn is_no_partition(error: &tokio_postgres::Error) -> bool {
    error
        .as_db_error()
        .is_some_and(|server| server.code().code() == "23514" && server.constraint().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! rows {
        ($($name:ident: $code:literal, $closed:literal => $class:ident;)*) => {
            $(#[test]
            fn $name() {
                assert_eq!(class_of($code, $closed), Class::$class);
            })*
        };
    }

    rows! {
        connection_failure_reconnects: "08006", true => Reconnect;
        connection_refused_by_server_reconnects: "08004", false => Reconnect;
        protocol_violation_of_a_pooler_reconnects: "08P01", true => Reconnect;
        protocol_violation_on_a_live_connection_stops: "08P01", false => Stop;
        admin_shutdown_reconnects: "57P01", true => Reconnect;
        crash_shutdown_reconnects: "57P02", true => Reconnect;
        cannot_connect_now_reconnects: "57P03", true => Reconnect;
        idle_session_timeout_reconnects: "57P05", true => Reconnect;
        too_many_connections_reconnects: "53300", true => Reconnect;
        idle_in_transaction_timeout_reconnects: "25P03", true => Reconnect;
        transaction_timeout_reconnects: "25P04", true => Reconnect;
        serialization_failure_redoes: "40001", false => Redo;
        deadlock_redoes: "40P01", false => Redo;
        lock_not_available_redoes: "55P03", false => Redo;
        query_canceled_redoes: "57014", false => Redo;
        disk_full_redoes: "53100", false => Redo;
        out_of_memory_redoes: "53200", false => Redo;
        duplicate_statement_redoes: "42P05", false => Redo;
        unknown_statement_redoes: "26000", false => Redo;
        bad_binary_value_stops: "22P03", false => Stop;
        bad_copy_format_stops: "22P04", false => Stop;
        out_of_range_steps_down: "22003", false => StepDown;
        unique_violation_steps_down: "23505", false => StepDown;
        no_partition_steps_down: "23514", false => StepDown;
        raise_exception_steps_down: "P0001", false => StepDown;
        with_check_option_steps_down: "44000", false => StepDown;
        program_limit_steps_down: "54000", false => StepDown;
        copy_under_row_security_uses_insert: "0A000", false => UseInsert;
        cardinality_violation_stops: "21000", false => Stop;
        undefined_table_stops: "42P01", false => Stop;
        insufficient_privilege_stops: "42501", false => Stop;
        duplicate_table_stops: "42P07", false => Stop;
        invalid_object_stops: "42P17", false => Stop;
        read_only_transaction_stops: "25006", false => Stop;
        bad_password_stops: "28P01", true => Stop;
        unknown_database_stops: "3D000", true => Stop;
        object_not_ready_stops: "55000", false => Stop;
        io_error_of_the_server_stops: "58030", false => Stop;
        internal_error_stops: "XX000", false => Stop;
        unlisted_stops: "72000", false => Stop;
        empty_stops: "", false => Stop;
    }
}
