//! Hours, days, weeks, months and years, by their number.
//!
//! Two times are in the same period exactly when it has the same number for both. Civil dates are
//! of the Gregorian calendar, reckoned back as well; months from days as in Howard Hinnant,
//! "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.

use places::Time;

/// A stretch of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday on.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// By how much a place's clocks differ from UTC, in seconds east.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UtcOffset(i32);

impl UtcOffset {
    /// None.
    pub const UTC: Self = Self(0);

    /// East of Greenwich is positive. `None` for a day or more.
    pub fn from_seconds(seconds: i32) -> Option<Self> {
        (seconds.unsigned_abs() < 86_400).then_some(Self(seconds))
    }

    /// In seconds, east is positive.
    pub fn seconds(self) -> i32 {
        self.0
    }
}

impl Period {
    /// The number of the period that a time lies in.
    pub(super) fn number(self, time: Time, offset: UtcOffset) -> i64 {
        let millis = time.as_millis().saturating_add(i64::from(offset.0) * 1000);
        let days = millis.div_euclid(DAY_MILLIS);
        match self {
            Self::Hour => millis.div_euclid(HOUR_MILLIS),
            Self::Day => days,
            // 1970-01-01 was a Thursday.
            Self::Week => (days + 3).div_euclid(7),
            Self::Month => month(days),
            Self::Year => month(days).div_euclid(12),
        }
    }
}

const HOUR_MILLIS: i64 = 3_600_000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;

/// Months since the year 0, of a day counted from 1970-01-01.
fn month(days: i64) -> i64 {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    // Years begin in March here, so that the odd day is the last one.
    let month_from_march = (5 * day_of_year + 2) / 153;
    (era * 400 + year) * 12 + month_from_march + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_SECONDS: i64 = 86_400;

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    #[test]
    fn months_and_years_begin_where_the_calendar_says() {
        // Counted out by hand, leap years too.
        let lengths = |year: i64| {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        };
        let mut days = 0;
        for year in 1970..2110 {
            for (index, length) in lengths(year).into_iter().enumerate() {
                for day in [days, days + length - 1] {
                    let time = at(day * DAY_SECONDS);
                    let month = Period::Month.number(time, UtcOffset::UTC);
                    assert_eq!(month, year * 12 + index as i64, "{year}, month {index}");
                    assert_eq!(Period::Year.number(time, UtcOffset::UTC), year);
                }
                days += length;
            }
        }
    }

    #[test]
    fn weeks_begin_on_monday() {
        // 2026-11-22 is a Sunday, 20,779 days after 1970-01-01.
        let sunday = 20_779 * DAY_SECONDS;
        let week = |seconds| Period::Week.number(at(seconds), UtcOffset::UTC);
        assert_eq!(week(sunday), week(sunday - 6 * DAY_SECONDS));
        assert_eq!(week(sunday) + 1, week(sunday + DAY_SECONDS));
        assert_eq!(week(sunday) - 1, week(sunday - 7 * DAY_SECONDS));
    }

    #[test]
    fn a_day_begins_where_the_offset_says() {
        let east = UtcOffset::from_seconds(2 * 3600).unwrap();
        let evening = at(22 * 3600);
        assert_eq!(Period::Day.number(evening, UtcOffset::UTC), 0);
        assert_eq!(Period::Day.number(evening, east), 1);
        assert_eq!(Period::Hour.number(evening, east), 24);
        assert_eq!(UtcOffset::from_seconds(86_400), None);
    }

    #[test]
    fn times_before_1970_and_at_both_ends_have_a_number() {
        assert_eq!(Period::Day.number(at(-1), UtcOffset::UTC), -1);
        assert_eq!(Period::Year.number(at(-1), UtcOffset::UTC), 1969);
        for millis in [i64::MIN, i64::MAX] {
            for period in [Period::Hour, Period::Day, Period::Week, Period::Month, Period::Year] {
                period.number(Time::from_millis(millis), UtcOffset(86_399));
            }
        }
    }
}
