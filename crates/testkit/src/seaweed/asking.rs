//! One signed request to an S3 server, one answer: what a test asks without the code under test.
//! No retry and no pool: what went wrong is the caller's to see.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::http::{AnswerHead, Headers, RequestHead, read_body};
use crate::signing::{Credentials, sign_again};

/// What an S3 server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code of HTTP.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    headers: Headers,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The same, when the server did what it was asked.
    ///
    /// # Panics
    /// If it did not, with what it said of `what` was asked.
    #[track_caller]
    pub fn expect(self, what: &str) -> Self {
        let done = (200..300).contains(&self.status);
        assert!(done, "{what}: {}: {}", self.status, self.text());
        self
    }
}

/// Asks an S3 server, or a proxy before it, as someone: one connection per request.
#[derive(Clone, Debug)]
pub struct S3Client {
    /// Where to connect.
    pub address: SocketAddr,
    /// Who signs.
    pub credentials: Credentials,
}

impl S3Client {
    /// Sends a request and reads the whole answer. `target` is a path, encoded, and a query.
    ///
    /// # Errors
    /// Those of the connection, and answers that are no HTTP.
    pub fn ask(
        &self,
        verb: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let owned = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
        let mut head = RequestHead {
            method: verb.to_owned(),
            target: target.to_owned(),
            headers: Headers(headers.iter().map(owned).collect()),
        };
        head.headers.set("host", self.address.to_string());
        sign_again(&mut head, &self.credentials, body);
        head.headers.set("content-length", body.len().to_string());
        head.headers.set("connection", "close");

        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.write_all(&[&head.encode(), body].concat())?;
        let mut reader = BufReader::new(stream);
        let answer = AnswerHead::read(&mut reader)?;
        let body = read_body(&mut reader, answer.framing(verb))?;
        Ok(Answer { status: answer.status, body, headers: answer.headers })
    }
}

const ANSWER_MAX: Duration = Duration::from_secs(60);
