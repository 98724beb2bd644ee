//! One client's connection: request after request, each passed on as its act says.
//! Bodies stream through; nothing is held whole.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::act::{Act, Refusal};
use super::clock::{dated_now, is_skewed, shift_headers, shift_list};
use super::pipes::{Corrupt, Counted, Cut, Trickle};
use super::{Request, State};
use crate::http::{AnswerHead, Framing, Headers, RequestHead, copy_body, read_body};
use crate::signing::sign_again;

/// Serves a client until it or an act ends the connection.
pub(super) fn serve(client: TcpStream, state: &Arc<State>) {
    let Ok(closer) = client.try_clone() else { return };
    let _nodelay = client.set_nodelay(true);
    // However it ends, the client sees the connection close.
    let _ended = Connection::new(client, state).and_then(|mut connection| {
        while connection.next()? == Next::Another {}
        Ok(())
    });
    let _closed = closer.shutdown(Shutdown::Both);
}

struct Connection<'a> {
    state: &'a State,
    reader: BufReader<CountedReader<'a>>,
    client: TcpStream,
    /// Kept from request to request, as a client's own connection would be.
    server: Option<BufReader<TcpStream>>,
}

#[derive(PartialEq, Eq)]
enum Next {
    Another,
    Close,
}

impl<'a> Connection<'a> {
    fn new(client: TcpStream, state: &'a State) -> io::Result<Self> {
        let reader = CountedReader { stream: client.try_clone()?, state };
        Ok(Self { state, reader: BufReader::new(reader), client, server: None })
    }

    fn next(&mut self) -> io::Result<Next> {
        let Some(mut head) = RequestHead::read(&mut self.reader)? else { return Ok(Next::Close) };
        if head.headers.says("expect", "100-continue") {
            self.client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let act = self.judge(&head);
        let act = match act {
            Act::Later(pause, act) => {
                std::thread::sleep(pause);
                *act
            }
            act => act,
        };
        match act {
            Act::Refuse(refusal) => self.refuse(&head, &refusal),
            Act::Hang(limit) => self.hang(&head, limit),
            Act::ShiftClock(seconds) if is_skewed(&head, seconds) => {
                let refusal = Refusal {
                    status: 403,
                    code: "RequestTimeTooSkewed".to_owned(),
                    message: "The difference between the request time and the current time is \
                              too large."
                        .to_owned(),
                };
                self.refuse_at(&head, &refusal, seconds)
            }
            act => {
                if matches!(act, Act::StripConditions) {
                    head.headers.0.retain(|(key, _)| !key.to_ascii_lowercase().starts_with("if-"));
                }
                if let Act::SmallPages(names) = act {
                    shorten_pages(&mut head.target, names);
                }
                // A client that learnt the shifted time signs by it.
                if is_signed_anew(&act) {
                    sign_again(&mut head, &self.state.signer, b"");
                }
                self.pass(&head, &act)
            }
        }
    }

    fn judge(&self, head: &RequestHead) -> Act {
        let length = match head.framing() {
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::UntilClose => None,
        };
        let request = Request {
            number: self.state.number.fetch_add(1, Ordering::Relaxed),
            method: head.method.clone(),
            target: head.target.clone(),
            length,
            headers: head.headers.clone(),
        };
        let mut requests = self.state.requests.lock().expect("it is only counted in");
        *requests.entry(head.method.clone()).or_default() += 1;
        drop(requests);
        let plan = self.state.plan.lock().expect("plans are not called under it").clone();
        plan(&request)
    }

    fn refuse(&mut self, head: &RequestHead, refusal: &Refusal) -> io::Result<Next> {
        self.refuse_at(head, refusal, 0)
    }

    /// Refuses, dated by a clock so many seconds off.
    fn refuse_at(
        &mut self,
        head: &RequestHead,
        refusal: &Refusal,
        seconds: i64,
    ) -> io::Result<Next> {
        copy_body(&mut self.reader, &mut io::sink(), head.framing())?;
        let Refusal { status, code, message } = refusal;
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>\
             {message}</Message><RequestId>test</RequestId></Error>"
        );
        let mut headers = Headers::default();
        headers.set("Content-Type", "application/xml");
        headers.set("Content-Length", body.len().to_string());
        headers.set("Date", dated_now(seconds));
        let answer = AnswerHead { status: *status, reason: code.clone(), headers };
        let body = if head.method == "HEAD" { String::new() } else { body };
        let count = &self.state.bytes_down;
        let mut client = Counted { inner: &self.client, count };
        client.write_all(&[&answer.encode(), body.as_bytes()].concat())?;
        Ok(Next::Another)
    }

    fn hang(&mut self, head: &RequestHead, limit: Duration) -> io::Result<Next> {
        copy_body(&mut self.reader, &mut io::sink(), head.framing())?;
        self.client.set_read_timeout(Some(limit.max(Duration::from_millis(1))))?;
        // Ends when the client closes, or at the limit.
        let _nothing = self.client.read(&mut [0]);
        Ok(Next::Close)
    }

    /// Sends the request to the server and its answer back.
    fn pass(&mut self, head: &RequestHead, act: &Act) -> io::Result<Next> {
        let mut server = self.connect()?;
        if let Err(error) = self.send(head, act, server.get_ref()) {
            let early = matches!(error.kind(), io::ErrorKind::BrokenPipe)
                || matches!(error.kind(), io::ErrorKind::ConnectionReset);
            if !early {
                return Err(error);
            }
            // The server closed before it had read all: perhaps it said why.
        }
        let answer = AnswerHead::read(&mut server)?;
        let close = head.headers.says("connection", "close")
            || answer.headers.says("connection", "close")
            || answer.framing(&head.method) == Framing::UntilClose;
        let whole = self.send_back(head, act, answer, &mut server)?;
        if close || whole == Next::Close {
            return Ok(Next::Close);
        }
        self.server = Some(server);
        Ok(Next::Another)
    }

    fn connect(&mut self) -> io::Result<BufReader<TcpStream>> {
        if let Some(server) = self.server.take().filter(is_open) {
            return Ok(server);
        }
        let stream = TcpStream::connect(self.state.server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SERVER_MAX))?;
        stream.set_write_timeout(Some(SERVER_MAX))?;
        Ok(BufReader::new(stream))
    }

    fn send(&mut self, head: &RequestHead, act: &Act, server: &TcpStream) -> io::Result<()> {
        let left = if let Act::CutRequest(bytes) = act { *bytes } else { u64::MAX };
        let mut whole = Cut { inner: server, left };
        whole.write_all(&head.encode())?;
        let until = match act {
            Act::CorruptRequest(at) => offset(*at, head.framing()),
            _ => None,
        };
        copy_body(&mut self.reader, &mut Corrupt { inner: whole, until }, head.framing())
    }

    fn send_back(
        &mut self,
        head: &RequestHead,
        act: &Act,
        mut answer: AnswerHead,
        server: &mut BufReader<TcpStream>,
    ) -> io::Result<Next> {
        let mut framing = answer.framing(&head.method);
        let count = &self.state.bytes_down;
        let client = Counted { inner: &self.client, count };
        match *act {
            Act::LoseAnswer => {
                copy_body(server, &mut io::sink(), framing)?;
                return Ok(Next::Close);
            }
            Act::CutAnswer(left) => {
                let mut client = Cut { inner: client, left };
                client.write_all(&answer.encode())?;
                copy_body(server, &mut client, framing)?;
            }
            Act::ShortenAnswer(bytes) => {
                if let Framing::Length(length @ 1..) = framing {
                    framing = Framing::Length(length.saturating_sub(bytes));
                    let length = length.saturating_sub(bytes).to_string();
                    answer.headers.set("Content-Length", length);
                }
                let mut client = client;
                client.write_all(&answer.encode())?;
                copy_body(server, &mut client, framing)?;
                return Ok(Next::Close);
            }
            Act::CorruptAnswer(at) => {
                let mut client = client;
                client.write_all(&answer.encode())?;
                let mut client = Corrupt { inner: client, until: offset(at, framing) };
                copy_body(server, &mut client, framing)?;
            }
            Act::Trickle(piece, pause) => {
                let piece = usize::try_from(piece).unwrap_or(usize::MAX);
                let mut client = Trickle { inner: client, piece, pause };
                client.write_all(&answer.encode())?;
                copy_body(server, &mut client, framing)?;
            }
            Act::ShiftClock(seconds) | Act::ShiftTimes(seconds) => {
                shift_headers(&mut answer.headers, seconds);
                let mut client = client;
                if !answer.headers.says("content-type", "xml") || framing == Framing::Length(0) {
                    client.write_all(&answer.encode())?;
                    copy_body(server, &mut client, framing)?;
                } else {
                    let list = String::from_utf8_lossy(&read_body(server, framing)?).into_owned();
                    let list = shift_list(&list, seconds);
                    answer.headers.remove("Transfer-Encoding");
                    answer.headers.set("Content-Length", list.len().to_string());
                    client.write_all(&[&answer.encode(), list.as_bytes()].concat())?;
                }
            }
            _ => {
                let mut client = client;
                client.write_all(&answer.encode())?;
                copy_body(server, &mut client, framing)?;
            }
        }
        Ok(Next::Another)
    }
}

/// Counts what a client sends.
struct CountedReader<'a> {
    stream: TcpStream,
    state: &'a State,
}

impl Read for CountedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.state.bytes_up.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Whether the server has neither closed a connection between two requests nor said anything.
fn is_open(server: &BufReader<TcpStream>) -> bool {
    let stream = server.get_ref();
    let silent = stream.set_nonblocking(true).is_ok()
        && matches!(stream.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
    silent && server.buffer().is_empty() && stream.set_nonblocking(false).is_ok()
}

/// Whether an act leaves a request with a signature that the server would refuse.
fn is_signed_anew(act: &Act) -> bool {
    use Act::{ShiftClock, ShiftTimes, SmallPages, StripConditions};
    matches!(act, StripConditions | SmallPages(_) | ShiftClock(_) | ShiftTimes(_))
}

/// Asks for so many names in a page of a list.
fn shorten_pages(target: &mut String, names: u32) {
    let Some((path, query)) = target.split_once('?') else { return };
    let others = query.split('&').filter(|pair| !pair.starts_with("max-keys="));
    let others: Vec<_> = others.collect();
    if others.iter().any(|pair| pair.starts_with("list-type=") || pair.starts_with("versions")) {
        *target = format!("{path}?{}&max-keys={names}", others.join("&"));
    }
}

/// Where in a body of known length to turn a bit over.
fn offset(at: u64, framing: Framing) -> Option<u64> {
    match framing {
        Framing::Length(length) => length.checked_sub(1).map(|last| last.min(at)),
        Framing::Chunked | Framing::UntilClose => None,
    }
}

const SERVER_MAX: Duration = Duration::from_secs(180);
