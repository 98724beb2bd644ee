//! HTTP/1.1 as far as a proxy in tests needs it: heads, and bodies passed on as they came.
//!
//! Heads are parsed by a library and kept in order; a body is a length, chunks, or all until the
//! connection closes. Nothing here interprets what a header means beyond that.

use std::io::{self, BufRead, Read, Write};

/// The headers of a message, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers(pub(crate) Vec<(String, String)>);

/// What a request says before its body.
#[derive(Clone, Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Headers,
}

/// What an answer says before its body.
#[derive(Clone, Debug)]
pub(crate) struct AnswerHead {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: Headers,
}

/// How one knows where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

impl Headers {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let named = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        self.0.iter().find(named).map(|(_, value)| value.as_str())
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.0.push((name.to_owned(), value.into()));
    }

    pub(crate) fn says(&self, name: &str, word: &str) -> bool {
        self.get(name).is_some_and(|value| value.to_ascii_lowercase().contains(word))
    }

    fn framing(&self) -> Option<Framing> {
        if self.says("transfer-encoding", "chunked") {
            return Some(Framing::Chunked);
        }
        Some(Framing::Length(self.get("content-length")?.trim().parse().ok()?))
    }

    fn encode(&self, first_line: &str) -> Vec<u8> {
        let lines = self.0.iter().map(|(key, value)| format!("{key}: {value}\r\n"));
        format!("{first_line}\r\n{}\r\n", lines.collect::<String>()).into_bytes()
    }
}

impl RequestHead {
    /// The next request of a connection; none when it was closed between two.
    pub(crate) fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(bytes) = read_head(reader)? else { return Ok(None) };
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        parsed.parse(&bytes).map_err(malformed)?;
        Ok(Some(Self {
            method: parsed.method.unwrap_or_default().to_owned(),
            target: parsed.path.unwrap_or_default().to_owned(),
            headers: owned(parsed.headers),
        }))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.headers.encode(&format!("{} {} HTTP/1.1", self.method, self.target))
    }

    pub(crate) fn framing(&self) -> Framing {
        self.headers.framing().unwrap_or(Framing::Length(0))
    }
}

impl AnswerHead {
    /// The next answer of a connection that is none for the time being (1xx).
    pub(crate) fn read(reader: &mut impl BufRead) -> io::Result<Self> {
        loop {
            let bytes = read_head(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut parsed = httparse::Response::new(&mut headers);
            parsed.parse(&bytes).map_err(malformed)?;
            let status = parsed.code.unwrap_or_default();
            if status >= 200 {
                let reason = parsed.reason.unwrap_or_default().to_owned();
                return Ok(Self { status, reason, headers: owned(parsed.headers) });
            }
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.headers.encode(&format!("HTTP/1.1 {} {}", self.status, self.reason))
    }

    /// Where the body of this answer to a request of that method ends.
    pub(crate) fn framing(&self, method: &str) -> Framing {
        if method == "HEAD" || matches!(self.status, 204 | 304) {
            return Framing::Length(0);
        }
        self.headers.framing().unwrap_or(Framing::UntilClose)
    }
}

/// Passes a body on as it came, framing and all.
pub(crate) fn copy_body(
    reader: &mut impl BufRead,
    writer: &mut impl Write,
    framing: Framing,
) -> io::Result<()> {
    match framing {
        Framing::Length(length) => copy_exactly(reader, writer, length),
        Framing::UntilClose => io::copy(reader, writer).map(drop),
        Framing::Chunked => loop {
            let line = read_line(reader)?;
            writer.write_all(&line)?;
            let text = String::from_utf8_lossy(&line);
            let size = text.split([';', '\r']).next().unwrap_or_default().trim().to_owned();
            let size = u64::from_str_radix(&size, 16).map_err(malformed)?;
            if size == 0 {
                return copy_trailers(reader, writer);
            }
            copy_exactly(reader, writer, size + 2)?;
        },
    }?;
    writer.flush()
}

/// The data of a body, without its framing.
pub(crate) fn read_body(reader: &mut impl BufRead, framing: Framing) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    copy_body(reader, &mut raw, framing)?;
    if framing != Framing::Chunked {
        return Ok(raw);
    }
    let mut rest = raw.as_slice();
    let mut data = Vec::new();
    loop {
        let line = String::from_utf8_lossy(&read_line(&mut rest)?).into_owned();
        let size = line.split([';', '\r']).next().unwrap_or_default().trim().to_owned();
        let size = usize::from_str_radix(&size, 16).map_err(malformed)?;
        if size == 0 {
            return Ok(data);
        }
        data.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

const HEADERS_MAX: usize = 100;
const HEAD_BYTES_MAX: usize = 64 << 10;

fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let before = head.len();
        reader.by_ref().take((HEAD_BYTES_MAX - before) as u64).read_until(b'\n', &mut head)?;
        if head.len() == before {
            return if head.is_empty() { Ok(None) } else { Err(malformed("a head without end")) };
        }
    }
    Ok(Some(head))
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    reader.by_ref().take(HEAD_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
    if line.ends_with(b"\n") { Ok(line) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn copy_exactly(reader: &mut impl BufRead, writer: &mut impl Write, length: u64) -> io::Result<()> {
    let copied = io::copy(&mut reader.by_ref().take(length), writer)?;
    if copied < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn copy_trailers(reader: &mut impl BufRead, writer: &mut impl Write) -> io::Result<()> {
    loop {
        let line = read_line(reader)?;
        writer.write_all(&line)?;
        if line == b"\r\n" {
            return Ok(());
        }
    }
}

fn owned(headers: &[httparse::Header<'_>]) -> Headers {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Headers(headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect())
}

fn malformed(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_string())
}
