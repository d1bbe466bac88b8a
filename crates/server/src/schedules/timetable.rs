//! The times of a schedule: a pattern of cron in a time zone, reckoned without a clock.
//!
//! The zones are those of the IANA database as this release was built with it, and not those of the machine, so that
//! every server reckons the same. Where clocks go forward, a pattern with one time of the day that does not exist comes
//! at the end of the gap, and one with many times of the day (`*`, lists, ranges, steps) skips those in the gap; where
//! clocks go back, the first comes once, at the first of the two, and the second at both. These are Vixie cron's rules.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};
use std::sync::LazyLock;
use std::time::Duration;

/// The longest pattern, and the longest name of a zone, in bytes.
const MAX_TEXT: usize = 200;
const DAY: u32 = 24 * 60 * 60;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The times of a schedule.
#[derive(Debug, Clone)]
pub(crate) struct Timetable {
    cron: Cron,
    zone: TimeZone,
}

/// The times of a schedule that have come since it was last settled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PassedTimes {
    /// The newest of them, ascending, in Unix seconds.
    pub(crate) times: Vec<i64>,
    /// The next one. `None` if there is none before the year 5000.
    pub(crate) next: Option<i64>,
}

impl Timetable {
    /// Reads a pattern and the name of a zone.
    ///
    /// # Errors
    /// The field, and a clause that states what is wrong with it.
    pub(crate) fn parse(cron: &str, zone: &str) -> Result<Self, String> {
        for (field, text) in [("cron", cron), ("timezone", zone)] {
            if text.len() > MAX_TEXT {
                return Err(format!(
                    "{field}: more than {MAX_TEXT} bytes: got {}. Write less",
                    text.len()
                ));
            }
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build();
        let zone = ZONES.get(zone).map_err(|_| {
            format!("timezone: not a zone of the IANA database: got {zone:?}. Write one such as Europe/Berlin or UTC")
        })?;
        let cron = parser.parse(cron).map_err(|error| {
            format!("cron: not a pattern: got {cron:?} ({error}). Write minute, hour, day of the month, month and day of the week, such as */5 * * * *")
        })?;
        Ok(Self { cron, zone })
    }

    /// The shortest time between two of its times, as the fields of the time of the day have it. A pattern whose days do
    /// not follow each other may have longer ones.
    pub(crate) fn least_gap(&self) -> Duration {
        let of = |field: &croner::CronComponent| -> Vec<u32> {
            field.values().into_iter().map(u32::from).collect()
        };
        let pattern = &self.cron.pattern;
        let (hours, minutes) = (of(&pattern.hours), of(&pattern.minutes));
        let seconds = of(&pattern.seconds);
        let times = hours.iter().flat_map(|hour| {
            let minutes = minutes.iter().map(move |minute| hour * 60 + minute);
            minutes.flat_map(|minute| seconds.iter().map(move |second| minute * 60 + second))
        });
        let (mut first, mut before, mut least) = (None, None, DAY);
        for time in times {
            first.get_or_insert(time);
            if let Some(before) = before.replace(time) {
                least = least.min(time - before);
            }
        }
        if let (Some(first), Some(last)) = (first, before) {
            least = least.min(DAY - last + first);
        }
        Duration::from_secs(u64::from(least))
    }

    /// The first time after this one, in Unix seconds. `None` if there is none before the year 5000.
    pub(crate) fn next(&self, after: i64) -> Option<i64> {
        let next = self
            .cron
            .find_next_occurrence(&self.at(after)?, false)
            .ok()?;
        Some(next.timestamp().as_second())
    }

    /// The next times after this one, at most `most`.
    pub(crate) fn upcoming(&self, after: i64, most: usize) -> Vec<i64> {
        let first = self.next(after);
        std::iter::successors(first, |before| self.next(*before))
            .take(most)
            .collect()
    }

    /// The times after `settled` up to `now`, at most the newest `most`, however many there are.
    pub(crate) fn passed(&self, settled: i64, now: i64, most: usize) -> PassedTimes {
        // A year may have passed, with half a million times: they are counted from the newest.
        let mut start = now;
        for count in 0..most {
            let before = self
                .at(start)
                .and_then(|at| self.cron.find_previous_occurrence(&at, count == 0).ok());
            let Some(before) = before.map(|before| before.timestamp().as_second()) else {
                break;
            };
            start = before.min(start);
            if start <= settled {
                break;
            }
        }
        let mut times = vec![];
        let mut next = self.next(settled.max(start - 1));
        while let Some(time) = next.filter(|time| *time <= now) {
            times.push(time);
            next = self.next(time);
        }
        let extra = times.len().saturating_sub(most);
        times.drain(..extra);
        PassedTimes { times, next }
    }

    fn at(&self, second: i64) -> Option<Zoned> {
        let time = Timestamp::from_second(second).ok()?;
        Some(time.to_zoned(self.zone.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(cron: &str, zone: &str) -> Timetable {
        Timetable::parse(cron, zone).unwrap()
    }

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    fn upcoming(cron: &str, zone: &str, after: &str, most: usize) -> Vec<String> {
        let times = table(cron, zone).upcoming(at(after), most);
        let text = |second| Timestamp::from_second(second).unwrap().to_string();
        times.into_iter().map(text).collect()
    }

    /// In Berlin, 2026-03-29 has no time from 02:00 to 03:00, which is 01:00 UTC.
    #[test]
    fn a_time_that_does_not_exist_comes_at_the_end_of_the_gap() {
        assert_eq!(
            upcoming("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        );
        assert_eq!(
            upcoming("*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
            ["2026-03-30T00:00:00Z", "2026-03-30T00:30:00Z"]
        );
        assert_eq!(
            upcoming("0 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 2),
            ["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"]
        );
    }

    /// In Berlin, 2026-10-25 has the time from 02:00 to 03:00 twice: at 00:00 UTC and at 01:00 UTC.
    #[test]
    fn a_time_that_comes_twice_is_one_time_of_a_day_but_two_of_many() {
        assert_eq!(
            upcoming("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
        assert_eq!(
            upcoming("*/30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 5),
            [
                "2026-10-25T00:00:00Z",
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-26T01:00:00Z"
            ]
        );
    }

    /// A pass in the middle of such an hour, at each of its seconds, takes each time once.
    #[test]
    fn passes_take_each_time_once_over_every_change_of_clocks() {
        for (cron, zone, from, to) in [
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-10-24T20:00:00Z",
                "2026-10-25T04:00:00Z",
            ),
            (
                "*/30 2 * * *",
                "Europe/Berlin",
                "2026-10-24T20:00:00Z",
                "2026-10-25T04:00:00Z",
            ),
            (
                "*/7 * * * *",
                "Europe/Berlin",
                "2026-03-28T20:00:00Z",
                "2026-03-29T04:00:00Z",
            ),
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-03-28T20:00:00Z",
                "2026-03-29T04:00:00Z",
            ),
            // Half an hour of daylight saving.
            (
                "*/10 * * * *",
                "Australia/Lord_Howe",
                "2026-04-04T10:00:00Z",
                "2026-04-04T20:00:00Z",
            ),
            (
                "15 2 * * *",
                "Australia/Lord_Howe",
                "2026-10-03T10:00:00Z",
                "2026-10-03T20:00:00Z",
            ),
            // A day that has no midnight.
            (
                "0 0 * * *",
                "America/Santiago",
                "2026-09-05T20:00:00Z",
                "2026-09-06T12:00:00Z",
            ),
        ] {
            let table = table(cron, zone);
            let (from, to) = (at(from), at(to));
            let whole = table.passed(from, to, 1000).times;
            assert!(!whole.is_empty(), "{cron} {zone}");
            for step in [61, 600, 1801, 3600] {
                let (mut settled, mut taken) = (from, vec![]);
                while settled < to {
                    let now = (settled + step).min(to);
                    taken.extend(table.passed(settled, now, 1000).times);
                    settled = now;
                }
                assert_eq!(taken, whole, "{cron} {zone} by {step}");
            }
        }
    }

    #[test]
    fn only_the_newest_of_very_many_times_are_reckoned() {
        let table = table("* * * * *", "UTC");
        let (settled, now) = (at("2020-01-01T00:00:00Z"), at("2026-01-01T00:00:30Z"));
        let began = std::time::Instant::now();
        let passed = table.passed(settled, now, 3);
        assert!(began.elapsed() < Duration::from_secs(1));
        assert_eq!(passed.times, [now - 150, now - 90, now - 30]);
        assert_eq!(passed.next, Some(now + 30));
        // A time that is now is one of them, and not the next.
        let passed = table.passed(now - 30, now + 30, 3);
        assert_eq!(
            (passed.times, passed.next),
            (vec![now + 30], Some(now + 90))
        );
        // The clock went back.
        let passed = table.passed(now, settled, 3);
        assert_eq!((passed.times, passed.next), (vec![], Some(now + 30)));
    }

    #[test]
    fn the_least_gap_is_that_of_the_fields() {
        for (cron, seconds) in [
            ("* * * * *", 60),
            ("*/5 * * * *", 300),
            ("0,59 0,23 * * *", 60),
            ("0 0 * * *", 86_400),
            ("30 * * * * *", 60),
            ("0,30 * * * * *", 30),
            ("* * * * * *", 1),
            ("0 9-17 * * MON-FRI", 3600),
            ("@hourly", 3600),
        ] {
            let gap = table(cron, "UTC").least_gap();
            assert_eq!(gap.as_secs(), seconds, "{cron}");
        }
    }

    #[test]
    fn patterns_that_never_come_end_soon() {
        let began = std::time::Instant::now();
        for cron in ["0 0 30 2 *", "59 59 23 31 2,4,6,9,11 *", "0 0 31 11 +MON#5"] {
            assert_eq!(table(cron, "Europe/Berlin").next(0), None, "{cron}");
        }
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let long = "1,".repeat(200);
        for (cron, zone, words) in [
            ("", "UTC", "cron: not a pattern"),
            ("* * *", "UTC", "cron: not a pattern"),
            ("61 * * * *", "UTC", "cron: not a pattern"),
            ("0 0 0 1 1 * 2030", "UTC", "cron: not a pattern"),
            ("* * * * *", "Mars/Olympus", "timezone: not a zone"),
            ("* * * * *", "", "timezone: not a zone"),
            (&*long, "UTC", "cron: more than 200"),
        ] {
            let problem = Timetable::parse(cron, zone).unwrap_err();
            assert!(problem.starts_with(words), "{cron} {zone}: {problem}");
        }
    }
}
