//! "did you mean": the nearest of what there is to what was typed.
//!
//! Near means few letters wrong: a suggestion that is no likely slip confuses more than it helps,
//! so then there is none.

/// The likeliest of these that is near to what was typed.
pub(crate) fn nearest_text<'a>(
    typed: &str,
    there: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let scored = there.into_iter().map(|text| (likeness(typed, text), text));
    let near = scored.filter(|(likeness, _)| *likeness >= LIKENESS_LEAST);
    let best = near.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, text)| text)
}

/// From 0 to 1; letters in another case are as good as the same.
fn likeness(typed: &str, text: &str) -> f64 {
    let letters = |text: &str| text.chars().take(LETTERS_MAX).collect::<String>().to_lowercase();
    let (typed, text) = (letters(typed), letters(text));
    let begins = !typed.is_empty() && text.starts_with(&typed);
    strsim::normalized_damerau_levenshtein(&typed, &text).max(if begins { 0.8 } else { 0.0 })
}

const LIKENESS_LEAST: f64 = 0.6;
/// Comparing costs the product of both lengths.
const LETTERS_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_what_was_meant_and_strangers_nothing() {
        let there = ["web", "database", "mail", "hosts"];
        for (typed, meant) in [
            ("databse", Some("database")),
            ("Mail", Some("mail")),
            ("host", Some("hosts")),
            ("data", Some("database")),
            ("wbe", Some("web")),
            ("printer", None),
            ("", None),
        ] {
            assert_eq!(nearest_text(typed, there), meant, "{typed}");
        }
    }
}
