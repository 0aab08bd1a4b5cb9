//! When syncs run: timetables from the configuration, and the decision which sync starts at which moment.
//! Not here: the clock, the runs themselves, and the store that keeps the state; time is always an argument.
//! Called by the project file's check, and by the server, which waits, starts runs and saves.
//!
//! # Intervals
//! `every: 45m` has its ticks on a fixed grid: whole multiples of the interval since 1970-01-01 00:00 UTC, shifted by
//! the sync's phase. The phase follows from the sync's name alone and is at most a tenth of the interval and at most ten
//! minutes, so that syncs of the same interval do not all start at once. Neither the length of a run nor a restart
//! moves the grid.
//!
//! # Cron
//! Five fields, as in Vixie cron: a day counts if it fits the day of month or the day of week where both are given. A
//! field is given unless it is a bare `*`. Cron ticks are not jittered: who writes six o'clock means it.
//!
//! Where the clocks of the time zone change:
//! - A pattern with given hours (`30 2 * * *`, `0 2,14 * * *`, `*/20 1-5 * * *`) keeps the calendar. A time that is
//!   skipped that day ticks at the moment the clocks go forward, once for all times skipped; a time that comes twice
//!   ticks the first time only.
//! - A pattern for every hour (`*/15 * * * *`, `30 * * * *`) goes on in real time: it ticks whenever the clock on the
//!   wall shows a fitting time, in both halves of an hour that comes twice, and skipped times are left out.
//!
//! # Runs
//! A sync never runs twice at once, and never more syncs run at once than the limit. Ticks that find their sync running,
//! no room, or no server are not counted: however many they are, [`Misfire`] says whether one run makes up for them.

mod calendar;
mod scheduler;
mod state;
#[cfg(test)]
mod tests;
mod timetable;

pub use scheduler::{Plan, Scheduler, Start};
pub use state::{Asked, BackOff, Cause, Misfire, Retry, Running, SyncState};
pub use timetable::{ScheduleError, Timetable};
