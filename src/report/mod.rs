//! What a person or a machine is told about a run: the report as JSON, as a page and as metrics,
//! the tables at its end, the progress while it runs, and the lists of the smaller commands.
//!
//! This room renders plain data that others counted. It starts no threads, opens no sockets, reads
//! no clock (times come with the data) and decides nothing: exit codes and warnings are made
//! elsewhere. `command/` fills the structs, `main.rs` and `cli/` choose where the text goes.

pub mod coverage;
pub mod earlier;
pub mod file;
mod html;
pub mod human;
pub mod list;
pub mod live;
pub mod model;
pub mod nightly;
pub mod progress;
mod prom;
pub mod table;
pub mod timeline;

pub use file::{ReportFile, ReportForm, write_all};
pub use list::{Cell, Grid, Style};
pub use model::{
    Database, FileReport, Ladder, RejectExample, Report, ReportError, Throughput, Totals,
};
pub use progress::{Progress, ProgressMode, Queues, Snapshot};
pub use table::{Look, render};
