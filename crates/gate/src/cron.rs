//! Whether a schedule in the form of `cron` comes up soon.

/// A minute on the clock on the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallMinute {
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 23.
    pub hour: u8,
    /// Day of the month, from 1.
    pub day: u8,
    /// From 1.
    pub month: u8,
    /// Day of the week, from 0, which is Sunday.
    pub weekday: u8,
}

/// Whether `schedule`, five fields of numbers, comes up at one of `minutes`; `None` if it is not understood.
pub fn comes_up(schedule: &str, minutes: impl IntoIterator<Item = WallMinute>) -> Option<bool> {
    let fields: Vec<&str> = schedule.split_ascii_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else { return None };
    let minute = Field::parse(minute, 0, 59)?;
    let hour = Field::parse(hour, 0, 23)?;
    let day = Field::parse(day, 1, 31)?;
    let month = Field::parse(month, 1, 12)?;
    let weekday = Field::parse(weekday, 0, 7)?;
    let is_day = |at: WallMinute| {
        let of_month = day.has(at.day);
        let of_week = weekday.has(at.weekday) || (at.weekday == 0 && weekday.has(7));
        // Two that are narrowed down are alternatives.
        if day.is_any || weekday.is_any { of_month && of_week } else { of_month || of_week }
    };
    let is_up = |at: &WallMinute| minute.has(at.minute) && hour.has(at.hour) && month.has(at.month) && is_day(*at);
    Some(minutes.into_iter().any(|at| is_up(&at)))
}

/// A field of a schedule: a bit for each number.
struct Field {
    bits: u64,
    is_any: bool,
}

impl Field {
    /// `*`, `7`, `1-5`, each perhaps with `/2`, and lists of them.
    fn parse(text: &str, least: u8, most: u8) -> Option<Self> {
        let mut bits = 0;
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0)?),
                None => (part, 1),
            };
            let number = |text: &str| text.parse::<u8>().ok().filter(|number| (least..=most).contains(number));
            let (from, to) = match range.split_once('-') {
                _ if range == "*" => (least, most),
                Some((from, to)) => (number(from)?, number(to)?),
                None if step > 1 => (number(range)?, most),
                None => (number(range)?, number(range)?),
            };
            for at in (from..=to).step_by(step) {
                bits |= 1 << at;
            }
        }
        Some(Self { bits, is_any: text.starts_with('*') })
    }

    fn has(&self, number: u8) -> bool {
        self.bits >> number & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// From 11:30 on the 30th of November, a Monday, for an hour.
    fn hour() -> impl Iterator<Item = WallMinute> {
        (30..=90).map(|at| WallMinute { minute: at % 60, hour: 11 + at / 60, day: 30, month: 11, weekday: 1 })
    }

    #[rstest]
    #[case("* * * * *", Some(true))]
    #[case("*/20 * * * *", Some(true))]
    #[case("7 12 * * *", Some(true))]
    #[case("7 12 30 11 *", Some(true))]
    #[case("0 9-17/3 * * 1-5", Some(true))]
    #[case("0 9-17/4 * * 1-5", Some(false))]
    #[case("11 22 * * *", Some(false))]
    #[case("7 12 1 * *", Some(false))]
    #[case("7 12 1 * 1", Some(true))]
    #[case("7 12 * * 0", Some(false))]
    #[case("7 12 * * 7", Some(false))]
    #[case("0,15,31 11 * 10,11 *", Some(true))]
    #[case("0 0 1 1 *", Some(false))]
    #[case("@daily", None)]
    #[case("0 9 * * MON", None)]
    #[case("61 * * * *", None)]
    #[case("*/0 * * * *", None)]
    #[case("5-1 * * * *", Some(false))]
    #[case("", None)]
    fn a_schedule_comes_up_within_the_hour_or_does_not(#[case] schedule: &str, #[case] expected: Option<bool>) {
        assert_eq!(comes_up(schedule, hour()), expected, "{schedule}");
    }

    #[test]
    fn sunday_has_two_numbers() {
        let sunday = WallMinute { minute: 7, hour: 12, day: 29, month: 11, weekday: 0 };
        for schedule in ["7 12 * * 0", "7 12 * * 7", "7 12 * * 5-7"] {
            assert_eq!(comes_up(schedule, [sunday]), Some(true), "{schedule}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_schedule_panics(schedule in "[0-9*/, -]{0,30}") {
            let _ = comes_up(&schedule, hour());
        }
    }
}
