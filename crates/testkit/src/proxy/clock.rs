//! The times in what a server says, as of a clock that is some seconds off.
//!
//! Headers and lists carry times in two forms; both are read, shifted and written back.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::DateTime;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::http::{Headers, RequestHead};

/// Whether a server whose clock is so many seconds off refuses the time in a signature.
pub(super) fn is_skewed(head: &RequestHead, seconds: i64) -> bool {
    let signed = head.headers.get("x-amz-date").and_then(parse_signed_time);
    signed.is_none_or(|signed| (signed - now() - seconds).abs() > SKEW_MAX_SECONDS)
}

/// What a clock so many seconds off says now, as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn dated_now(seconds: i64) -> String {
    dated(Timestamp::from_second(now() + seconds).expect("tests shift clocks by days"))
}

/// Shifts the times in an answer's head.
pub(super) fn shift_headers(headers: &mut Headers, seconds: i64) {
    for name in ["Date", "Last-Modified"] {
        let Some(text) = headers.get(name) else { continue };
        let Ok(time) = DateTimeParser::new().parse_timestamp(text) else { continue };
        headers.set(name, dated(time + SignedDuration::from_secs(seconds)));
    }
}

/// Shifts the times in a list of objects.
pub(super) fn shift_list(xml: &str, seconds: i64) -> String {
    let mut parts = xml.split(OPEN);
    let mut shifted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (time, rest) = part.split_once('<').unwrap_or((part, ""));
        let later = |time: Timestamp| (time + SignedDuration::from_secs(seconds)).to_string();
        let time = time.parse().map_or_else(|_| time.to_owned(), later);
        shifted.extend([OPEN, &time, "<", rest]);
    }
    shifted
}

/// Seconds since 1970 of `YYYYMMDDTHHMMSSZ`.
fn parse_signed_time(text: &str) -> Option<i64> {
    let parsed = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    Some(TimeZone::UTC.to_timestamp(parsed).ok()?.as_second())
}

fn dated(time: Timestamp) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).expect("its year is after 0")
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}

const OPEN: &str = "<LastModified>";
const SKEW_MAX_SECONDS: i64 = 15 * 60;
