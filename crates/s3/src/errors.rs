//! What a service's answers mean.
//!
//! Every way in which a request can end without doing what it was asked becomes a [`Fault`]: its
//! status, its code and its words. A caller looks for the few that are no errors to it, and makes a
//! [`places::Error`] of the others. Whatever may pass is `Unavailable`; what waiting does not mend
//! is not, so that nobody tries it for a quarter of an hour.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use places::{Error, ObjectName, Obstacle};

/// Where a request went and what it was about.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The place, as it describes itself.
    pub(crate) place: &'a str,
    pub(crate) bucket: &'a str,
    pub(crate) host: &'a str,
    pub(crate) region: &'a str,
}

/// How a request failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The service answered.
    Answered { status: u16, code: String, words: String, region: Option<String> },
    /// Nothing came back, or not all of it.
    Lost { reason: String },
    /// The service's certificate is not trusted.
    Certificate { reason: String },
    /// Nobody says who asks.
    NoCredentials { reason: String },
    /// The request could not be made.
    Unmade { reason: String },
}

/// An answer's words are repeated up to here.
const WORDS_MAX: usize = 300;

impl Fault {
    /// Whether the condition of a put did not hold.
    pub(crate) fn is_condition(&self) -> bool {
        matches!(self, Self::Answered { status: 412, .. })
    }

    /// Whether the object, version or marker asked for is not there.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Answered { status: 404, code, .. } if code != "NoSuchBucket")
    }

    /// Whether a range lies beyond the object.
    pub(crate) fn is_range(&self) -> bool {
        matches!(self, Self::Answered { status: 416, .. })
    }

    /// Whether the code is one of these.
    pub(crate) fn has_code(&self, codes: &[&str]) -> bool {
        matches!(self, Self::Answered { code, .. } if codes.contains(&code.as_str()))
    }

    /// Whether the credentials are good and do not allow this.
    pub(crate) fn is_not_allowed(&self) -> bool {
        matches!(self, Self::Answered { status: 403, code, .. }
            if matches!(code.as_str(), "" | "AccessDenied" | "Forbidden"))
    }

    /// Whether the service does not know such a request.
    pub(crate) fn is_unknown_request(&self) -> bool {
        matches!(self, Self::Answered { status: 400 | 404 | 405 | 501, code, .. }
            if code != "NoSuchBucket")
    }

    /// What a call says of it. `subject` is the object or prefix.
    pub(crate) fn into_error(self, asked: Asked<'_>, subject: &str) -> Error {
        let place = asked.place.to_owned();
        let unusable = |obstacle| Error::Unusable { place: place.clone(), obstacle };
        match self {
            Self::Answered { status, code, words, region } => {
                let answer = answer(status, &code, &words);
                answered(asked, subject, (status, &code), answer, region)
            }
            Self::Lost { reason } => {
                Error::Unavailable { place, subject: subject.to_owned(), reason }
            }
            Self::Certificate { reason } => {
                unusable(Obstacle::Certificate { host: asked.host.to_owned(), reason })
            }
            Self::NoCredentials { reason } => Error::Denied {
                place,
                subject: subject.to_owned(),
                reason: format!(
                    "no credentials are found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
                     or AWS_PROFILE and a profile in ~/.aws/credentials{reason}"
                ),
            },
            Self::Unmade { reason } => {
                unusable(Obstacle::Answer { subject: subject.to_owned(), answer: reason })
            }
        }
    }

    /// The same for an object that is put.
    pub(crate) fn into_put_error(self, asked: Asked<'_>, name: &ObjectName, needed: u64) -> Error {
        match self {
            Self::Answered { status, code, words, .. } if is_full(status, &code) => Error::Full {
                place: asked.place.to_owned(),
                object: name.clone(),
                needed,
                reason: answer(status, &code, &words),
            },
            // Lost to another, or hidden by a change that is under way: reading settles it.
            Self::Answered { status: status @ (404 | 409), code, words, .. }
                if code != "NoSuchBucket" =>
            {
                Error::Unavailable {
                    place: asked.place.to_owned(),
                    subject: name.to_string(),
                    reason: format!("it answered {}", answer(status, &code, &words)),
                }
            }
            other => other.into_error(asked, name.as_str()),
        }
    }

    /// The same for an object that is read.
    pub(crate) fn into_get_error(self, asked: Asked<'_>, name: &ObjectName) -> Error {
        if self.is_absent() {
            return Error::NotFound { place: asked.place.to_owned(), object: name.clone() };
        }
        let may_be_absent = self.is_not_allowed();
        match self.into_error(asked, name.as_str()) {
            Error::Denied { place, subject, reason } if may_be_absent => Error::Denied {
                place,
                subject,
                reason: format!(
                    "{reason} (or it is not there: who may not list the bucket is not told)"
                ),
            },
            other => other,
        }
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Fault
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        if let Some(credentials) = find::<CredentialsError>(&error) {
            let reason = shorten(&chain(credentials));
            return match credentials {
                // All its words are the names of those that were asked in vain.
                CredentialsError::CredentialsNotLoaded(_) => {
                    Self::NoCredentials { reason: String::new() }
                }
                CredentialsError::InvalidConfiguration(_) => {
                    Self::NoCredentials { reason: format!(" ({reason})") }
                }
                _ => Self::Lost { reason },
            };
        }
        if let Some(tls @ rustls::Error::InvalidCertificate(_)) = find::<rustls::Error>(&error) {
            return Self::Certificate { reason: shorten(&tls.to_string()) };
        }
        match &error {
            SdkError::ServiceError(service) => {
                let (err, raw) = (service.err(), service.raw());
                Self::Answered {
                    status: raw.status().as_u16(),
                    code: err.code().unwrap_or_default().to_owned(),
                    words: shorten(err.message().unwrap_or_default()),
                    region: raw.headers().get("x-amz-bucket-region").map(str::to_owned),
                }
            }
            SdkError::ResponseError(response) => {
                let status = response.raw().status().as_u16();
                let reason = format!("its answer, {status}, is cut off: {}", chain(&error));
                Self::Lost { reason: shorten(&reason) }
            }
            SdkError::DispatchFailure(failure) if failure.is_user() => {
                Self::Unmade { reason: shorten(&chain(&error)) }
            }
            SdkError::ConstructionFailure(_) => Self::Unmade { reason: shorten(&chain(&error)) },
            _ => Self::Lost { reason: shorten(&chain(&error)) },
        }
    }
}

fn answered(
    asked: Asked<'_>,
    subject: &str,
    (status, code): (u16, &str),
    answer: String,
    region: Option<String>,
) -> Error {
    let (place, subject) = (asked.place.to_owned(), subject.to_owned());
    let reason = format!("it answered {answer}");
    let unusable = |obstacle| Error::Unusable { place: place.clone(), obstacle };
    match (status, code) {
        (_, "NoSuchBucket") => unusable(Obstacle::NoBucket { bucket: asked.bucket.to_owned() }),
        (301 | 307 | 308, _) | (_, "AuthorizationHeaderMalformed" | "PermanentRedirect") => {
            let expected = region.or_else(|| region_in(&answer));
            unusable(Obstacle::Region { asked: asked.region.to_owned(), expected })
        }
        (_, "RequestTimeTooSkewed") => Error::Unavailable {
            place,
            subject,
            reason: format!("{reason}; its clock and this machine's disagree"),
        },
        (_, "InvalidDigest" | "BadDigest" | "XAmzContentSHA256Mismatch" | "RequestTimeout") => {
            Error::Unavailable { place, subject, reason }
        }
        (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") | (401 | 403, _) => {
            Error::Denied { place, subject, reason }
        }
        (408 | 409 | 425 | 429, _) => Error::Unavailable { place, subject, reason },
        (501 | 505, _) => Error::Unsupported { place, what: format!("do this: {reason}") },
        (500.., _) => Error::Unavailable { place, subject, reason },
        _ => unusable(Obstacle::Answer { subject, answer }),
    }
}

fn is_full(status: u16, code: &str) -> bool {
    status == 507 || code.contains("Quota") || code.contains("InsufficientStorage")
}

/// The region in words such as `the region 'a' is wrong; expecting 'b'`.
fn region_in(words: &str) -> Option<String> {
    let (_, rest) = words.split_once("expecting '")?;
    Some(rest.split_once('\'')?.0.to_owned())
}

fn answer(status: u16, code: &str, words: &str) -> String {
    let colon = if words.is_empty() { "" } else { ": " };
    let space = if code.is_empty() { "" } else { " " };
    format!("{status}{space}{}{colon}{words}", shorten(code))
}

/// The error and what caused it, down to the first words.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text: Vec<String> = Vec::new();
    for cause in causes(error) {
        let words = cause.to_string();
        if text.last() != Some(&words) {
            text.push(words);
        }
    }
    text.join(": ")
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// `io::Error` hides what it wraps from its `source`.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => error.source(),
    })
}

fn shorten(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MAX).collect()
}
