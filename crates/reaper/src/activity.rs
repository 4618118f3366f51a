//! What changed between two looks: the transcript on disk, and processor time.

use serde::{Deserialize, Serialize};
use stopgate_config::ReaperConfig;

/// More children than this are not followed one by one; such a session is kept.
const MAX_CHILDREN: usize = 500;

/// A transcript as one look found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscriptStamp {
    /// Its path.
    pub path: String,
    /// Device and inode: a file that was replaced has another.
    pub file: (u64, u64),
    /// Length in bytes.
    pub length: u64,
    /// Modification time in nanoseconds since the epoch, as far as the file system keeps it.
    pub modified_ns: i64,
}

/// How a transcript changed since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TranscriptDelta {
    /// It is the same.
    Static,
    /// It grew, or was written.
    Grew,
    /// It was cut, replaced, or is another: nothing is known.
    Changed,
    /// There is no earlier look.
    FirstLook,
    /// It cannot be found.
    Unresolved,
}

impl TranscriptDelta {
    /// Compares two looks.
    pub fn between(before: Option<&TranscriptStamp>, now: Option<&TranscriptStamp>) -> Self {
        let Some(now) = now else { return Self::Unresolved };
        let Some(before) = before else { return Self::FirstLook };
        if before == now {
            Self::Static
        } else if (&before.path, before.file) != (&now.path, now.file)
            || now.length < before.length
            || now.modified_ns < before.modified_ns
        {
            Self::Changed
        } else {
            Self::Grew
        }
    }

    /// The words on screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Static => "unchanged",
            Self::Grew => "grew",
            Self::Changed => "cut, replaced or moved",
            Self::FirstLook => "first look",
            Self::Unresolved => "not found",
        }
    }
}

/// Processor time of a harness and its children, as one look found it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuSample {
    /// When, on the kernel's monotonic clock: processor time knows no other.
    pub at_monotonic_ms: u64,
    /// The boot that this clock counts from.
    pub boot_id: String,
    /// The harness process: pid and start time.
    pub main: (u32, u64),
    /// Its own processor time in milliseconds.
    pub main_cpu_ms: u64,
    /// That of its children that have ended.
    pub ended_cpu_ms: u64,
    /// Its descendants: pid, start time, processor time in milliseconds with that of their own ended children.
    pub children: Vec<(u32, u64, u64)>,
}

/// What a harness and its children did between two looks, in cores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum CpuDelta {
    /// Measured.
    Measured {
        /// The harness itself.
        main_cores: f64,
        /// All its descendants together.
        child_cores: f64,
        /// How many descendants there are.
        children: usize,
    },
    /// A descendant has come since the last look, or there is no earlier one: its work is not known.
    NotYet {
        /// How many descendants there are.
        children: usize,
    },
    /// The processes cannot be looked at.
    Unreadable,
}

impl CpuDelta {
    /// Compares two looks. A harness without descendants needs no earlier look for these; doubt is [`Self::NotYet`].
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of processor time")]
    pub fn between(before: Option<&CpuSample>, now: Option<&CpuSample>) -> Self {
        let Some(now) = now else { return Self::Unreadable };
        let children = now.children.len();
        let same = |before: &&CpuSample| before.boot_id == now.boot_id && before.main == now.main;
        let Some(before) = before.filter(same) else { return Self::NotYet { children } };
        let elapsed = now.at_monotonic_ms.saturating_sub(before.at_monotonic_ms);
        if elapsed == 0 || children > MAX_CHILDREN {
            return Self::NotYet { children };
        }
        let mut child_ms = now.ended_cpu_ms.checked_sub(before.ended_cpu_ms);
        for (pid, start, cpu) in &now.children {
            let earlier = before.children.iter().find(|known| (known.0, known.1) == (*pid, *start));
            // Time does not run backwards: a counter that did is not understood.
            let used = earlier.and_then(|earlier| cpu.checked_sub(earlier.2));
            child_ms = child_ms.zip(used).map(|(sum, used)| sum + used);
        }
        match (child_ms, now.main_cpu_ms.checked_sub(before.main_cpu_ms)) {
            (Some(child_ms), Some(main_ms)) => Self::Measured {
                main_cores: main_ms as f64 / elapsed as f64,
                child_cores: child_ms as f64 / elapsed as f64,
                children,
            },
            _ => Self::NotYet { children },
        }
    }

    /// Whether the children work, or may: existence is not work, but what is not measured is.
    pub fn children_work(&self, config: &ReaperConfig) -> bool {
        match self {
            Self::Measured { child_cores, .. } => *child_cores > config.child_active_cores,
            Self::NotYet { children } => *children > 0,
            Self::Unreadable => true,
        }
    }

    /// Whether the harness itself works.
    pub fn main_works(&self, config: &ReaperConfig) -> bool {
        matches!(self, Self::Measured { main_cores, .. } if *main_cores > config.main_active_cores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(length: u64, modified_ns: i64) -> TranscriptStamp {
        TranscriptStamp { path: "/t".into(), file: (1, 2), length, modified_ns }
    }

    #[test]
    fn a_transcript_that_shrank_or_was_replaced_is_unknown_not_static() {
        let before = stamp(10, 100);
        let delta = |now: TranscriptStamp| TranscriptDelta::between(Some(&before), Some(&now));
        assert_eq!(delta(stamp(10, 100)), TranscriptDelta::Static);
        assert_eq!(delta(stamp(11, 100)), TranscriptDelta::Grew);
        assert_eq!(delta(stamp(10, 101)), TranscriptDelta::Grew);
        assert_eq!(delta(stamp(9, 101)), TranscriptDelta::Changed, "cut");
        assert_eq!(delta(stamp(10, 99)), TranscriptDelta::Changed, "an older file in its place");
        assert_eq!(delta(TranscriptStamp { file: (1, 3), ..stamp(10, 100) }), TranscriptDelta::Changed);
        assert_eq!(delta(TranscriptStamp { path: "/u".into(), ..stamp(10, 100) }), TranscriptDelta::Changed);
        assert_eq!(TranscriptDelta::between(None, Some(&before)), TranscriptDelta::FirstLook);
        assert_eq!(TranscriptDelta::between(Some(&before), None), TranscriptDelta::Unresolved);
    }

    fn sample(at: u64, main: u64, ended: u64, children: &[(u32, u64, u64)]) -> CpuSample {
        CpuSample {
            at_monotonic_ms: at,
            boot_id: "b".into(),
            main: (7, 70),
            main_cpu_ms: main,
            ended_cpu_ms: ended,
            children: children.to_vec(),
        }
    }

    fn works(before: &CpuSample, now: &CpuSample) -> (bool, bool) {
        let config = ReaperConfig::default();
        let delta = CpuDelta::between(Some(before), Some(now));
        (delta.children_work(&config), delta.main_works(&config))
    }

    #[test]
    fn children_count_by_what_they_use_not_by_being_there() {
        let before = sample(0, 0, 0, &[(8, 80, 500)]);
        assert_eq!(works(&before, &sample(100_000, 100, 0, &[(8, 80, 500)])), (false, false), "a wedged child");
        assert_eq!(works(&before, &sample(100_000, 100, 0, &[(8, 80, 2_500)])), (false, false), "at the limit");
        assert_eq!(works(&before, &sample(100_000, 100, 0, &[(8, 80, 2_600)])), (true, false));
        assert_eq!(works(&before, &sample(100_000, 100, 3_000, &[])), (true, false), "one that has ended");
        assert_eq!(works(&before, &sample(100_000, 100, 0, &[(8, 80, 500), (9, 90, 0)])), (true, false), "a new one");
        assert_eq!(works(&before, &sample(100_000, 100, 0, &[(8, 81, 500)])), (true, false), "a reused pid");
        assert_eq!(works(&before, &sample(100_000, 100, 0, &[(8, 80, 400)])), (true, false), "a counter runs back");
        assert_eq!(works(&before, &sample(100_000, 10_001, 0, &[(8, 80, 500)])), (false, true), "the harness itself");
    }

    #[test]
    fn without_an_earlier_look_only_a_harness_without_children_is_quiet() {
        let config = ReaperConfig::default();
        let first = |children: &[(u32, u64, u64)]| CpuDelta::between(None, Some(&sample(1, 1, 1, children)));
        assert!(!first(&[]).children_work(&config));
        assert!(first(&[(8, 80, 0)]).children_work(&config));
        assert!(CpuDelta::between(None, None).children_work(&config));
        let rebooted = CpuSample { boot_id: "c".into(), ..sample(1, 1, 1, &[(8, 80, 0)]) };
        assert_eq!(works(&sample(0, 0, 0, &[(8, 80, 0)]), &rebooted), (true, false));
    }
}
