//! Shares, spans and rates as people write them: `5%`, `30d`, `20MiB/s`.
//!
//! Each says its unit; a number alone is refused where it could mean two things.

use std::num::NonZeroU64;
use std::time::Duration;

use strongroom::Fraction;

use crate::sizes;

/// Reads a share such as `5%` or `0.5%`.
pub(crate) fn parse_share(text: &str) -> Result<Fraction, String> {
    let expected = || "a share is above 0% and at most 100%, such as 5%".to_owned();
    let number = text.trim().strip_suffix('%').ok_or_else(expected)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let are_digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 3
        || part.len() > 4
        || !are_digits(whole)
        || !are_digits(part)
    {
        return Err(expected());
    }
    let digits = format!("{whole}{part:0<4}");
    let millionths = digits.parse().map_err(|_| expected())?;
    Fraction::from_millionths(millionths).ok_or_else(expected)
}

/// Reads a span such as `30d`, `12h`, `4w`.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    let expected = || "a span is a number and s, min, h, d, w or y, such as 30d".to_owned();
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| expected())?;
    let seconds: u64 = match unit {
        "s" => 1,
        "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        "y" => 365 * 86_400,
        _ => return Err(expected()),
    };
    match number.checked_mul(seconds) {
        Some(1..=SPAN_SECONDS_MAX) => Ok(Duration::from_secs(number * seconds)),
        _ => Err("a span is at least 1s and at most 100y".to_owned()),
    }
}

const SPAN_SECONDS_MAX: u64 = 100 * 365 * 86_400;

/// Reads a rate in bytes for each second, such as `20MiB` or `20MiB/s`.
pub(crate) fn parse_rate(text: &str) -> Result<NonZeroU64, String> {
    let text = text.trim();
    let bytes = sizes::parse(text.strip_suffix("/s").unwrap_or(text))?;
    NonZeroU64::new(bytes).ok_or_else(|| "a rate is at least 1 byte in a second".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_parts_of_a_hundred() {
        for (text, millionths) in
            [("5%", 50_000), ("0.5%", 5_000), ("100%", 1_000_000), ("12.3456%", 123_456)]
        {
            assert_eq!(parse_share(text).ok(), Fraction::from_millionths(millionths), "{text}");
        }
        for text in ["5", "0%", "101%", "%", "-5%", "5.12345%", "5,5%", "0.00001%", "1e1%"] {
            assert!(parse_share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn spans_and_rates_say_their_units() {
        for (text, hours) in [("30d", 720), ("12h", 12), ("2w", 336), ("60min", 1), ("3600s", 1)] {
            assert_eq!(parse_span(text), Ok(Duration::from_secs(hours * 3600)), "{text}");
        }
        for text in ["30", "d", "0d", "-1d", "1m", "101y", "99999999999999999999d"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
        assert_eq!(parse_rate("20MiB/s").map(NonZeroU64::get), Ok(20 << 20));
        assert_eq!(parse_rate("512KiB").map(NonZeroU64::get), Ok(512 << 10));
        assert!(parse_rate("0").is_err() && parse_rate("fast").is_err());
    }
}
