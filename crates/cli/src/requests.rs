//! What buckets were asked during a run, as every report tells it: requests by what they are billed
//! as, and bytes each way. Of places that are no buckets nothing is told.

use std::io::{self, Write};

use serde_json::{Value, json};
use strongroom::{RequestClass, RequestTotals};

use crate::output::Fields;
use crate::sizes;

/// A line for people, when anything was asked.
pub(crate) fn write_text(totals: &RequestTotals, out: &mut dyn Write) -> io::Result<()> {
    if totals.all() == 0 {
        return Ok(());
    }
    let met = RequestClass::ALL.into_iter().filter(|class| totals.of(*class) > 0);
    let counts: Vec<_> = met.map(|class| format!("{} {}", totals.of(class), name(class))).collect();
    let sent = sizes::show(totals.bytes_sent);
    let received = sizes::show(totals.bytes_received);
    writeln!(out, "requests: {}; {sent} sent, {received} received", counts.join(", "))
}

/// The same for programs: the field `requests`, when anything was asked.
pub(crate) fn fields(totals: &RequestTotals) -> Fields {
    let mut fields = Fields::new();
    if totals.all() == 0 {
        return fields;
    }
    let counts = RequestClass::ALL.map(|class| (name(class).to_owned(), totals.of(class).into()));
    let mut requests = Fields::from_iter(counts);
    requests.insert("bytes_sent".to_owned(), json!(totals.bytes_sent));
    requests.insert("bytes_received".to_owned(), json!(totals.bytes_received));
    fields.insert("requests".to_owned(), Value::Object(requests));
    fields
}

fn name(class: RequestClass) -> &'static str {
    match class {
        RequestClass::Put => "put",
        RequestClass::Get => "get",
        RequestClass::List => "list",
        RequestClass::Head => "head",
        RequestClass::Delete => "delete",
    }
}
