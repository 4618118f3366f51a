//! `/proc/PID/stat`, as proc(5) describes it.

use std::io;
use std::time::Duration;

/// What the kernel says of a process in one line. The command stands in parentheses and may itself hold blanks and
/// parentheses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    text: String,
    /// Where the command begins and ends.
    command: (usize, usize),
}

impl Stat {
    /// That of the process `pid`.
    pub fn of(pid: u32) -> io::Result<Self> {
        Self::parse(&std::fs::read(format!("/proc/{pid}/stat"))?).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Reads such a line; `None` if it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let command = (text.find('(')? + 1, text.rfind(')')?);
        let is_whole = text.get(command.0..command.1).is_some() && text.get(command.1 + 2..).is_some();
        is_whole.then_some(Self { text, command })
    }

    /// Name of the command as the kernel keeps it.
    pub fn command(&self) -> &str {
        &self.text[self.command.0..self.command.1]
    }

    /// The letter for its state: `T` stands still, `Z` has ended.
    pub fn state(&self) -> Option<char> {
        self.field(3)?.chars().next()
    }

    /// Whether it has ended, and only waits for its parent to take note.
    pub fn is_zombie(&self) -> bool {
        matches!(self.state(), Some('Z' | 'X'))
    }

    /// A field behind the command that is a number; the fields are counted from 1, as in proc(5).
    pub fn number(&self, field: usize) -> Option<u64> {
        self.field(field)?.parse().ok()
    }

    /// The parent's process id.
    pub fn parent(&self) -> Option<u32> {
        self.field(4)?.parse().ok()
    }

    /// The number of the terminal that controls it; 0 for none.
    pub fn terminal(&self) -> Option<u64> {
        self.field(7)?.parse::<i64>().ok().map(i64::cast_unsigned)
    }

    /// Start time in clock ticks since boot.
    pub fn start_ticks(&self) -> Option<u64> {
        self.number(22)
    }

    /// Processor time of the process itself.
    pub fn cpu(&self) -> Option<Duration> {
        Some(ticks(self.number(14)? + self.number(15)?))
    }

    /// Processor time of its ended children that it has waited for.
    pub fn waited_cpu(&self) -> Option<Duration> {
        Some(ticks(self.number(16)? + self.number(17)?))
    }

    /// Resident memory in bytes; pages that several processes share count for each.
    pub fn resident_bytes(&self) -> Option<u64> {
        Some(self.number(24)? * u64::try_from(rustix::param::page_size()).unwrap_or(4_096))
    }

    fn field(&self, field: usize) -> Option<&str> {
        self.text[self.command.1 + 2..].split_ascii_whitespace().nth(field.checked_sub(3)?)
    }
}

fn ticks(count: u64) -> Duration {
    let tick_ms = 1_000 / rustix::param::clock_ticks_per_second().clamp(1, 1_000);
    Duration::from_millis(count * tick_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_the_manual() {
        let line = b"12 (a) b (c)) S 34 5 6 7 8 9 10 11 12 13 140 150 160 170 18 19 20 21 4242 23 24 25\n";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.command(), stat.state(), stat.is_zombie()), ("a) b (c)", Some('S'), false));
        assert_eq!((stat.parent(), stat.start_ticks(), stat.number(6)), (Some(34), Some(4242), Some(6)));
        assert_eq!((stat.cpu(), stat.waited_cpu()), (Some(ticks(290)), Some(ticks(330))));
        assert_eq!(stat.resident_bytes().unwrap() % 24, 0);
        assert_eq!(stat.number(26), None);
        assert!(Stat::parse(b"12 (a) Z 34").unwrap().is_zombie());
    }

    #[test]
    fn what_is_no_such_line_is_none() {
        for text in ["", "garbage", ")(", "12 (a)", "12 (a) "] {
            let stat = Stat::parse(text.as_bytes());
            assert!(stat.as_ref().is_none_or(|stat| stat.parent().is_none()), "{text:?}: {stat:?}");
        }
    }

    #[test]
    fn this_process_is_in_the_real_table() {
        let own = Stat::of(std::process::id()).unwrap();
        assert!(own.resident_bytes().unwrap() > 0 && own.parent() == Some(std::os::unix::process::parent_id()));
    }
}
