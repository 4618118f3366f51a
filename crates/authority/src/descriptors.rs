//! The authority's own file descriptors: a process that has none left accepts nobody, and every hook lets go.

use rustix::process::{Resource, getrlimit};

/// Part of the limit from which somebody is told, in percent: late enough for a busy moment, early enough to act.
const TOLD_FROM_PERCENT: u64 = 80;

/// What is wrong, if the process is about to run out of file descriptors.
pub(crate) fn problem() -> Option<String> {
    let limit = getrlimit(Resource::Nofile).current?;
    let open = u64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()?;
    is_scarce(open, limit).then(|| {
        format!(
            "{open} of {limit} file descriptors are open: with none left no stop is judged; `stopgate authority stop` \
             ends it, and the next session starts a new one (`ulimit -n` is the limit of what it starts with)"
        )
    })
}

fn is_scarce(open: u64, limit: u64) -> bool {
    open.saturating_mul(100) >= limit.saturating_mul(TOLD_FROM_PERCENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_before_the_last_one_is_gone() {
        assert!(!is_scarce(30, 1_024) && !is_scarce(819, 1_024));
        assert!(is_scarce(820, 1_024) && is_scarce(1_024, 1_024));
        assert!(!is_scarce(u64::MAX / 1_000, u64::MAX), "no limit at all");
    }
}
