//! The URL of a place: parsed, printed, never opened here.
//!
//! `Display` and `FromStr` are inverse on the parsed value. A URL stands in configuration files,
//! process lists and messages, so it holds no secrets: credentials in it are refused, and an error
//! never repeats the text it refuses. DESIGN.md §4.

use std::fmt::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Result};

/// Which place, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PlaceUrl {
    /// A folder: a plain path, `file:PATH` or `file:///PATH`. A relative path is kept as given.
    Folder(PathBuf),
    /// A bucket: `s3://bucket/prefix?endpoint=…&region=…`.
    S3(S3Url),
    /// Memory, gone when the process ends: `memory:`.
    Memory,
    /// A Strongroom server: `https://host:port/vault`.
    Https(HttpsUrl),
}

/// A bucket, a prefix of keys in it, and options.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct S3Url {
    /// The bucket's name.
    pub bucket: String,
    /// What all keys begin with: components without slashes at the ends, or empty.
    pub prefix: String,
    /// The service's address, when it is not the cloud's own.
    pub endpoint: Option<String>,
    /// The region's name.
    pub region: Option<String>,
    /// All other options as given, in order.
    pub options: Vec<(String, String)>,
}

/// The door of a Strongroom server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpsUrl {
    /// The server's name or address; an IPv6 address is in brackets.
    pub host: String,
    /// The port, when it is not 443.
    pub port: Option<u16>,
    /// The vault's path: begins with a slash, or is empty.
    pub path: String,
}

impl FromStr for PlaceUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > URL_BYTES_MAX {
            let reason = format!("it is {} bytes, and at most {URL_BYTES_MAX} may be", text.len());
            return Err(Error::Url { reason });
        }
        if text.contains(char::is_control) {
            return refuse("it holds a control character");
        }
        match scheme(text) {
            None => folder(text),
            Some(("file", rest)) => match rest.strip_prefix("//") {
                Some(path) if path.starts_with('/') => folder(path),
                Some(_) => refuse("`file://` is followed by an absolute path"),
                None => folder(rest),
            },
            Some(("s3", rest)) => Ok(Self::S3(parse_s3(rest)?)),
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("memory", _)) => refuse("nothing follows `memory:`"),
            Some(("https", rest)) => Ok(Self::Https(parse_https(rest)?)),
            Some(_) => refuse(
                "its scheme is unknown; write a path, file:PATH, s3://BUCKET/PREFIX, \
                 https://HOST/VAULT or memory: (and ./PATH for a path with a colon)",
            ),
        }
    }
}

impl fmt::Display for PlaceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => {
                let path = path.display().to_string();
                write!(f, "{}{path}", if scheme(&path).is_none() { "" } else { "file:" })
            }
            Self::S3(url) => url.fmt(f),
            Self::Memory => f.write_str("memory:"),
            Self::Https(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for S3Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if !self.prefix.is_empty() {
            f.write_char('/')?;
            encode(f, &self.prefix)?;
        }
        let named = [("endpoint", &self.endpoint), ("region", &self.region)];
        let named = named.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?)));
        let others = self.options.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        for (index, (key, value)) in named.chain(others).enumerate() {
            f.write_char(if index == 0 { '?' } else { '&' })?;
            encode(f, key)?;
            f.write_char('=')?;
            encode(f, value)?;
        }
        Ok(())
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

const URL_BYTES_MAX: usize = 4096;

/// Splits `scheme:rest`. A colon after a slash, or after what cannot be a scheme, is of a path.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let starts_well = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    (starts_well && scheme.bytes().all(allowed)).then_some((scheme, rest))
}

fn folder(path: &str) -> Result<PlaceUrl> {
    if path.is_empty() {
        return refuse("it is empty");
    }
    Ok(PlaceUrl::Folder(PathBuf::from(path)))
}

fn parse_s3(rest: &str) -> Result<S3Url> {
    let Some(rest) = rest.strip_prefix("//") else {
        return refuse("`s3:` is followed by //BUCKET/PREFIX");
    };
    if rest.contains('#') {
        return refuse("it holds a #, which is written %23");
    }
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (bucket, prefix) = location.split_once('/').unwrap_or((location, ""));
    refuse_credentials(bucket)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(allowed) {
        return refuse("a bucket's name is 3 to 63 letters, digits, dots, hyphens");
    }
    let prefix = decode(prefix.strip_suffix('/').unwrap_or(prefix))?;
    let walks = |component: &str| matches!(component, "" | "." | "..");
    if !prefix.is_empty() && prefix.split('/').any(walks) {
        return refuse("a component of the prefix is empty, `.` or `..`");
    }
    let mut url = S3Url {
        bucket: bucket.to_owned(),
        prefix,
        endpoint: None,
        region: None,
        options: Vec::new(),
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return refuse("an option is written KEY=VALUE");
        };
        add_option(&mut url, decode(key)?, decode(value)?)?;
    }
    Ok(url)
}

fn add_option(url: &mut S3Url, key: String, value: String) -> Result<()> {
    let lower = key.to_ascii_lowercase();
    if ["secret", "password", "token", "credential", "access"]
        .iter()
        .any(|word| lower.contains(word))
    {
        return refuse(CREDENTIALS);
    }
    if key.is_empty() || value.is_empty() {
        return refuse("an option is written KEY=VALUE, neither empty");
    }
    let again = match key.as_str() {
        "endpoint" => {
            refuse_credentials(&value)?;
            url.endpoint.replace(value).is_some()
        }
        "region" => url.region.replace(value).is_some(),
        _ => {
            let again = url.options.iter().any(|(other, _)| *other == key);
            url.options.push((key, value));
            again
        }
    };
    if again { refuse("an option is given twice") } else { Ok(()) }
}

fn parse_https(rest: &str) -> Result<HttpsUrl> {
    let Some(rest) = rest.strip_prefix("//") else {
        return refuse("`https:` is followed by //HOST/VAULT");
    };
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    refuse_credentials(authority)?;
    if rest.contains(['?', '#']) {
        return refuse("an https URL has no options");
    }
    // A colon inside brackets belongs to an IPv6 address.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let inner = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    let well_formed = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            !host.is_empty() && host.bytes().all(allowed)
        }
    };
    if !well_formed {
        return refuse("its host is neither a name nor an address");
    }
    let port = match port.map(str::parse::<u16>) {
        None => None,
        Some(Ok(port)) if port > 0 => Some(port),
        Some(_) => return refuse("its port is not a number from 1 to 65535"),
    };
    let path = path.trim_end_matches('/').to_owned();
    Ok(HttpsUrl { host: host.to_owned(), port, path })
}

const CREDENTIALS: &str = "it holds credentials; keep them out of URLs, which end up in logs: \
     give S3 credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile, \
     and a server's in the key file";

fn refuse_credentials(authority: &str) -> Result<()> {
    if authority.contains('@') { refuse(CREDENTIALS) } else { Ok(()) }
}

fn refuse<T>(reason: &str) -> Result<T> {
    Err(Error::Url { reason: reason.to_owned() })
}

/// Percent-encodes what would end the part it stands in.
fn encode(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for character in text.chars() {
        match character {
            '%' | '?' | '#' | '&' | '=' | ' ' => write!(f, "%{:02X}", character as u32)?,
            other => f.write_char(other)?,
        }
    }
    Ok(())
}

fn decode(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |index: usize| tail.get(index).and_then(|byte| (*byte as char).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return refuse("a % is followed by two hexadecimal digits");
        };
        bytes.push((high * 16 + low) as u8);
        rest = &tail[2..];
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => Ok(text),
        _ => refuse("it holds a control character, or is not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> PlaceUrl {
        text.parse().unwrap()
    }

    fn refusal(text: &str) -> String {
        text.parse::<PlaceUrl>().unwrap_err().to_string()
    }

    #[test]
    fn a_folder_is_a_path_however_it_is_written() {
        for text in ["/srv/vault", "file:/srv/vault", "file:///srv/vault"] {
            assert_eq!(parse(text), PlaceUrl::Folder("/srv/vault".into()), "{text}");
            assert_eq!(parse(text).to_string(), "/srv/vault");
        }
        for text in ["vault", "./a:b", "../vault", "1:2", "file:vault", "~/vault"] {
            let path = text.strip_prefix("file:").unwrap_or(text);
            assert_eq!(parse(text), PlaceUrl::Folder(path.into()), "{text}");
        }
        assert_eq!(parse("file:a:b").to_string(), "file:a:b");
    }

    #[test]
    fn a_bucket_has_a_prefix_and_options() {
        let text = "s3://backups/host/one?endpoint=https://[::1]:9000/&region=eu-1&style=path";
        let PlaceUrl::S3(url) = parse(text) else { panic!("not S3") };
        assert_eq!((url.bucket.as_str(), url.prefix.as_str()), ("backups", "host/one"));
        assert_eq!(url.endpoint.as_deref(), Some("https://[::1]:9000/"));
        assert_eq!(url.region.as_deref(), Some("eu-1"));
        assert_eq!(url.options, [("style".into(), "path".into())]);
        assert_eq!(PlaceUrl::S3(url).to_string(), text);
        assert_eq!(parse("s3://backups/").to_string(), "s3://backups");
        assert_eq!(parse("s3://backups/a%3Fb").to_string(), "s3://backups/a%3Fb");
    }

    #[test]
    fn a_server_has_a_host_a_port_and_a_vault() {
        let PlaceUrl::Https(url) = parse("https://[::1]:8443/vault/") else { panic!("not https") };
        assert_eq!(
            (url.host.as_str(), url.port, url.path.as_str()),
            ("[::1]", Some(8443), "/vault")
        );
        for text in ["https://host", "https://host:8443/vault", "https://[::1]/vault", "memory:"] {
            assert_eq!(parse(text).to_string(), text);
        }
    }

    #[test]
    fn credentials_are_refused_and_not_repeated() {
        for text in [
            "s3://key:hunter2@backups/host",
            "https://user:hunter2@host/vault",
            "s3://backups?endpoint=https://key:hunter2@host",
            "s3://backups?endpoint=https://key:hunter2%40host",
            "s3://backups?secret_access_key=hunter2",
            "s3://backups?session-token=hunter2",
        ] {
            let message = refusal(text);
            assert!(message.contains("AWS_SECRET_ACCESS_KEY"), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn unknown_schemes_name_the_known_ones() {
        for text in ["ftp://host/vault", "S3://backups", "rclone:remote:vault", "http://host/a"] {
            let message = refusal(text);
            assert!(message.contains("s3://BUCKET") && message.contains("memory:"), "{message}");
        }
    }

    #[test]
    fn malformed_urls_are_refused() {
        let long = "a".repeat(URL_BYTES_MAX + 1);
        for text in [
            "",
            "file:",
            "file://host/a",
            "s3:",
            "s3:backups",
            "s3://",
            "s3://ab",
            "s3://b b b",
            "s3://backups//a",
            "s3://backups/a/../b",
            "s3://backups/%zz",
            "s3://backups/%f",
            "a\0",
            "s3://backups/%00",
            "s3://backups/%ff",
            "s3://backups?region",
            "s3://backups?region=",
            "s3://backups?region=a&region=b",
            "s3://backups?x=a&x=b",
            "s3://backups/a#b",
            "memory:a",
            "https:host",
            "https://",
            "https://host:0",
            "https://host:70000",
            "https://host:/",
            "https://::1/",
            "https://[::g]/",
            "https://host/a?b=c",
            &long,
        ] {
            refusal(text);
        }
    }

    proptest! {
        #[test]
        fn what_parses_prints_as_what_it_is(
            scheme in "(|file:|s3://bucket|https://|s3://|memory:)",
            rest in "[a-c/:?=&%0-4.#@ \\[\\]é-]{0,24}",
        ) {
            if let Ok(url) = format!("{scheme}{rest}").parse::<PlaceUrl>() {
                let printed = url.to_string();
                prop_assert_eq!(printed.parse::<PlaceUrl>(), Ok(url), "{}", printed);
            }
        }
    }
}
