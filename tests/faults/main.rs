//! The matrix of faults and hooks: whatever is broken, each hook allows (or, if what it needs still works, blocks) with
//! exit 0 and within its deadline, says in its log what was wrong, `stopgate status` and `installer doctor` say it
//! too, and what was acknowledged is not lost. `docs/faults.md` is written from it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod authority;
mod ceilings;
mod cell;
mod clock;
mod database;
mod doctor;
mod errors;
mod home;
mod limits;
mod load;
mod long_home;
mod lost;
mod mounts;
mod place;
mod signals;
mod socket;
mod table;

/// Names the rows, makes a test of each, and [`table::ROWS`].
macro_rules! matrix {
    ($($subject:ident { $($fault:ident)* })*) => {
        /// All rows, in the order of the page.
        static ROWS: std::sync::LazyLock<Vec<table::Row>> = std::sync::LazyLock::new(|| vec![$($(
            table::Row::new(stringify!($subject), stringify!($fault), $subject::$fault),
        )*)*]);
        mod row {
            $(mod $subject {
                $(#[test]
                fn $fault() {
                    crate::table::check(stringify!($subject), stringify!($fault));
                })*
            })*
        }
    };
}

matrix! {
    authority { killed_before killed_during killed_after paused restarted_during older newer two_at_once }
    socket {
        missing removed stale directory file fifo link_to_nowhere link_to_itself wrong_mode wrong_owner foreign_listener
    }
    database { locked locked_for_all corrupt read_only missing removed from_the_future }
    home {
        disk_full disk_full_without_authority read_only no_writing missing wrong_owner odd_path temp_gone
        temp_gone_before
    }
    limits { hook_without_descriptors authority_without_descriptors no_processes }
    clock { a_day_ahead a_day_back }
}
