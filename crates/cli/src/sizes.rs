//! Sizes as people write and read them: `64MiB`, `1.5 GiB`, `12,345`.
//!
//! Units are powers of 1024 and are spelled so.

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// Reads a size such as `64MiB`, in bytes. A number alone is bytes; `K`, `M`, `G` and `T` are short
/// for `KiB` and so on.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| EXPECTED.to_owned())?;
    let unit = unit.trim_start();
    let is_unit = |name: &str| {
        name.eq_ignore_ascii_case(unit) || (unit.len() == 1 && name[..1].eq_ignore_ascii_case(unit))
    };
    let power = match unit {
        "" => 0,
        _ => UNITS.iter().position(|name| is_unit(name)).ok_or_else(|| EXPECTED.to_owned())?,
    };
    number.checked_mul(1 << (10 * power)).ok_or_else(|| "it is too large".to_owned())
}

const EXPECTED: &str = "a size is a number and B, KiB, MiB, GiB or TiB, such as 64MiB";

/// A size for people: three digits and a unit.
pub(crate) fn show(bytes: u64) -> String {
    let power = (bytes.max(1).ilog2() / 10).min(4) as usize;
    let value = bytes as f64 / (1_u64 << (10 * power)) as f64;
    match power {
        0 => format!("{bytes} B"),
        _ if value < 10.0 => format!("{value:.2} {}", UNITS[power]),
        _ if value < 100.0 => format!("{value:.1} {}", UNITS[power]),
        _ => format!("{value:.0} {}", UNITS[power]),
    }
}

/// A number with a comma between thousands.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `2 files`.
pub(crate) fn plural(number: u64, one: &str) -> String {
    plural_of(number, one, &format!("{one}s"))
}

/// `1 match`, `2 matches`.
pub(crate) fn plural_of(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        let mebi = 1 << 20;
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64MiB", 64 * mebi),
            ("64 mib", 64 * mebi),
            ("64M", 64 * mebi),
            ("1KiB", 1024),
            ("7B", 7),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "64MB", "-1", "1.5GiB", "64Mi", "99999999999TiB"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_and_numbers_are_shown_for_people() {
        assert_eq!(show(0), "0 B");
        assert_eq!(show(1023), "1023 B");
        assert_eq!(show(1536), "1.50 KiB");
        assert_eq!(show(18 << 20), "18.0 MiB");
        assert_eq!(show(u64::MAX), "16777216 TiB");
        assert_eq!(count(18_874_368), "18,874,368");
        assert_eq!(count(999), "999");
        assert_eq!(plural(1, "file") + &plural(1000, "file"), "1 file1,000 files");
    }
}
