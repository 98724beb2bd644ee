//! Times as people write and read them, in UTC unless they say otherwise.
//!
//! A time names all that it does not say: `2026-11-22` is the whole day, `2026-11-22T10:00` the
//! whole minute. So what a listing shows can be typed back. DESIGN.md §15.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use strongroom::{Time, Timestamp};

/// The last millisecond of what a text names: a day, a minute, a second.
pub(crate) fn parse_end(text: &str) -> Result<Time, String> {
    parse_span(text).map(|(_, end)| end)
}

/// The first millisecond of what a text names.
pub(crate) fn parse_start(text: &str) -> Result<Time, String> {
    parse_span(text).map(|(start, _)| start)
}

/// The first and the last millisecond of what a text names.
fn parse_span(text: &str) -> Result<(Time, Time), String> {
    let expected = || {
        format!(
            "{text:?} is not a time; write 2026-11-22, 2026-11-22T10:00 or 2026-11-22T10:00:00Z"
        )
    };
    let (date, clock) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    };
    let (clock, offset) = match clock.find(['Z', 'z', '+', '-']) {
        Some(at) => clock.split_at(at),
        None => (clock, ""),
    };
    let (clock, span_millis) = match clock.matches(':').count() {
        0 if text.len() == date.len() => ("00:00", 86_400_000),
        1 => (clock, 60_000),
        2 if clock.contains('.') => (clock, 1),
        2 => (clock, 1000),
        _ => return Err(expected()),
    };
    let civil: DateTime = format!("{date}T{clock}").parse().map_err(|_| expected())?;
    let offset = read_offset(offset).ok_or_else(expected)?;
    let start = offset.to_timestamp(civil).map_err(|_| expected())?;
    let start = start.as_millisecond();
    Ok((Time::from_millis(start), Time::from_millis(start + span_millis - 1)))
}

/// An offset from UTC such as `+02:00`, in seconds east.
pub(crate) fn parse_offset(text: &str) -> Option<i32> {
    read_offset(text).filter(|_| !text.is_empty()).map(Offset::seconds)
}

/// A span such as `30d`, `12h` or `1y6m`: hours, days, weeks, months of 30 days, years of 365.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("{text:?} is not a span; write 12h, 30d, 8w or 1y6m");
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() || text.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| expected())?;
        let hours = match rest[digits..].chars().next() {
            Some('h') => 1,
            Some('d') => 24,
            Some('w') => 7 * 24,
            Some('m') => 30 * 24,
            Some('y') => 365 * 24,
            _ => return Err(expected()),
        };
        let part = number.checked_mul(hours * 3600);
        seconds = part.and_then(|part| seconds.checked_add(part)).ok_or_else(expected)?;
        rest = &rest[digits + 1..];
    }
    Ok(Duration::from_secs(seconds))
}

fn read_offset(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.as_bytes() {
        [] | [b'Z' | b'z'] => return Some(Offset::UTC),
        [b'+', ..] => (1, &text[1..]),
        [b'-', ..] => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..=23).contains(&hours) || !(0..=59).contains(&minutes) {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

/// A time to the second, as in `2026-11-22T10:00:00Z`.
pub(crate) fn show(time: Time) -> String {
    match jiff::Timestamp::from_millisecond(time.as_millis()) {
        Ok(timestamp) => timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => format!("{} ms after 1970", time.as_millis()),
    }
}

/// A time with all that is known of it.
pub(crate) fn show_exact(time: Time) -> String {
    let timestamp = jiff::Timestamp::from_millisecond(time.as_millis());
    timestamp.map_or_else(|_| show(time), |timestamp| timestamp.to_string())
}

/// A file's time, to the second.
pub(crate) fn show_file(time: Timestamp) -> String {
    show(Time::from_millis(time.seconds.saturating_mul(1000)))
}

/// A file's time, to the nanosecond.
pub(crate) fn show_file_exact(time: Timestamp) -> String {
    let timestamp = jiff::Timestamp::new(time.seconds, time.nanos as i32);
    timestamp.map_or_else(|_| show_file(time), |timestamp| timestamp.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_names_all_that_it_does_not_say() {
        for (text, end) in [
            ("2026-11-22", "2026-11-22T23:59:59.999Z"),
            ("2026-11-22T10:00", "2026-11-22T10:00:59.999Z"),
            ("2026-11-22T10:00:07", "2026-11-22T10:00:07.999Z"),
            ("2026-11-22T10:00:07.5Z", "2026-11-22T10:00:07.5Z"),
            ("2026-11-22T10:00+02:00", "2026-11-22T08:00:59.999Z"),
            ("2026-11-22T23:30:00-01:30", "2026-11-23T01:00:00.999Z"),
            ("2026-11-22 10:00", "2026-11-22T10:00:59.999Z"),
        ] {
            assert_eq!(parse_end(text).map(show_exact), Ok(end.to_owned()), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "2026-11-22T",
            "2026-11-22T10",
            "T10:00",
            "2026-11-22T10:00+99:00",
            "2026-11-22+01:00x",
        ] {
            assert!(parse_end(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_span_is_the_sum_of_its_parts() {
        for (text, hours) in [("12h", 12), ("2d", 48), ("1w1d", 192), ("1y6m", (365 + 180) * 24)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(hours * 3600)), "{text}");
        }
        for text in ["", "d", "12", "1 d", "3x", "-1d", "1dd", "99999999999999999999h", "5é"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        let most = format!("{}y", u64::MAX);
        assert!(parse_duration(&most).is_err());
    }

    #[test]
    fn what_is_shown_can_be_typed_back() {
        assert_eq!(parse_start("2026-11-22").map(show), Ok("2026-11-22T00:00:00Z".to_owned()));
        let time = Time::from_millis(1_763_805_845_123);
        assert!(parse_end(&show(time)).unwrap() >= time);
        assert_eq!(show(time), "2025-11-22T10:04:05Z");
        assert_eq!(show(Time::from_millis(i64::MAX)), "9223372036854775807 ms after 1970");
    }
}
