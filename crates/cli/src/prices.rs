//! What a provider charges, read from a file, and what work would cost at these prices.
//!
//! The file names its currency and only numbers beside: what is not in it is free. Providers count
//! in thousands of requests and in GB of 10^9 bytes, and so does this. An estimate is of one
//! place, the one that is paid for. DESIGN.md §15.

use std::path::Path;

use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use crate::exit::{Failure, Result};

/// What a provider charges.
pub(crate) struct Prices {
    currency: String,
    /// In the order of [`KEYS`].
    each: [f64; KEYS.len()],
}

/// What a file of prices may hold beside `currency`: prices of 1,000 requests of a class, of a GB
/// that leaves the place, of a GB kept there for a month.
const KEYS: [&str; 7] = [
    "put-per-1000",
    "get-per-1000",
    "list-per-1000",
    "head-per-1000",
    "delete-per-1000",
    "gb-out",
    "gb-month",
];

/// What work asks of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) puts: u64,
    pub(crate) gets: u64,
    pub(crate) lists: u64,
    pub(crate) heads: u64,
    pub(crate) deletes: u64,
    /// Bytes read from it.
    pub(crate) bytes_out: u64,
    /// Bytes that lie there from then on.
    pub(crate) bytes_stored: u64,
}

/// What that costs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cost {
    pub(crate) currency: String,
    pub(crate) requests: f64,
    pub(crate) traffic: f64,
    /// For each month that what was stored stays.
    pub(crate) month: f64,
}

impl Prices {
    /// Reads a file of prices.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| Failure::local(path, &error))?;
        Self::parse(&text).map_err(|reason| {
            let message = format!("{}: {reason}", path.display());
            Failure::usage(message, format!("write {EXAMPLE}; the keys are {}", KEYS.join(", ")))
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let table = DeTable::parse(text).map_err(|error| error.message().replace('\n', " "))?;
        let (mut currency, mut each) = (None, [0.0; KEYS.len()]);
        for (key, value) in table.get_ref() {
            let key = key.get_ref().as_ref();
            match (key, value.get_ref(), KEYS.iter().position(|known| *known == key)) {
                ("currency", DeValue::String(name), _) => currency = Some(name.to_string()),
                ("currency", ..) => return Err("currency is a text, such as \"EUR\"".into()),
                (_, _, None) => return Err(format!("there is no price {key}")),
                (_, value, Some(at)) => {
                    let number: Option<f64> = match value {
                        DeValue::Integer(number) => number.as_str().parse().ok(),
                        DeValue::Float(number) => number.as_str().parse().ok(),
                        _ => None,
                    };
                    each[at] = number
                        .filter(|price| (0.0..=PRICE_MAX).contains(price))
                        .ok_or_else(|| format!("{key} is a price from 0 to {PRICE_MAX}"))?;
                }
            }
        }
        let currency = currency.filter(|name| (1..=8).contains(&name.chars().count()));
        let currency = currency.ok_or("it names no currency")?;
        match currency.chars().any(char::is_control) {
            true => Err("its currency is not a text".into()),
            false => Ok(Self { currency, each }),
        }
    }

    /// What this costs.
    pub(crate) fn cost(&self, usage: &Usage) -> Cost {
        let Usage { puts, gets, lists, heads, deletes, bytes_out, bytes_stored } = *usage;
        let requests = [puts, gets, lists, heads, deletes];
        let priced = requests.iter().zip(&self.each);
        let [.., gb_out, gb_month] = self.each;
        Cost {
            currency: self.currency.clone(),
            requests: priced.map(|(count, price)| *count as f64 / 1000.0 * price).sum(),
            traffic: bytes_out as f64 / GB * gb_out,
            month: bytes_stored as f64 / GB * gb_month,
        }
    }
}

const PRICE_MAX: f64 = 1_000_000.0;
const GB: f64 = 1e9;
const EXAMPLE: &str = "currency = \"EUR\" and below it lines such as put-per-1000 = 0.005";

impl Cost {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let Self { currency, requests, traffic, month } = self;
        format!(
            "{currency} {} once ({} for requests, {} for traffic), {currency} {} for each month",
            money(requests + traffic),
            money(*requests),
            money(*traffic),
            money(*month),
        )
    }

    /// For programs.
    pub(crate) fn object(&self) -> Value {
        let Self { currency, requests, traffic, month } = self;
        json!({ "currency": currency, "requests": requests, "traffic": traffic, "month": month })
    }
}

/// Two digits behind the point, or of little money as many as show something.
fn money(amount: f64) -> String {
    match amount {
        ..=0.0 | 1.0.. => format!("{amount:.2}"),
        _ => format!("{amount:.6}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "currency = \"EUR\"\nput-per-1000 = 0.005\ngb-out = 0.09\ngb-month = 2";

    #[test]
    fn work_costs_its_requests_its_traffic_and_its_months() {
        let prices = Prices::parse(TEXT).unwrap();
        let usage = Usage {
            puts: 2_000,
            gets: 1_000_000,
            bytes_out: 10_000_000_000,
            bytes_stored: 500_000_000,
            ..Usage::default()
        };
        let cost = prices.cost(&usage);
        let expected = "EUR 0.910000 once (0.010000 for requests, 0.900000 for traffic), \
                        EUR 1.00 for each month";
        assert_eq!(cost.text(), expected);
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for (text, reason) in [
            ("put-per-1000 = 1", "it names no currency"),
            ("currency = 1", "currency is a text"),
            ("currency = \"EUR\"\nput = 1", "there is no price put"),
            ("currency = \"EUR\"\ngb-out = -1", "gb-out is a price"),
            ("currency = \"EUR\"\ngb-out = nan", "gb-out is a price"),
            ("currency = \"EUR\"\ngb-out = \"1\"", "gb-out is a price"),
            ("currency", "expected"),
        ] {
            let error = Prices::parse(text).err().unwrap();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
