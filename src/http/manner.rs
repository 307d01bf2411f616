//! How the answers to one request are given, whatever they say.

use super::Date;
use super::response::Response;
use super::status::{Refusal, Status};

/// How long an event source that is refused for now is to wait, in milliseconds.
const RETRY_MS: u32 = 5_000;

/// How the answers to one request are given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manner {
    /// The request was `HEAD`: the answer has no body.
    pub is_head: bool,
    /// The connection may serve another request.
    pub is_kept: bool,
    /// What was asked for is an event stream. `EventSource` gives up for good on any status but 200.
    pub is_events: bool,
    /// The origin of the page that asks, if it is a listed one, so that the page may read the answer.
    pub listed_origin: Option<Box<[u8]>>,
}

impl Manner {
    /// Of a request that was not understood: the connection ends with its answer.
    pub fn unknown(is_head: bool) -> Self {
        Self {
            is_head,
            ..Self::default()
        }
    }

    /// The same, but that the connection ends with the answer.
    pub fn closing(&self) -> Self {
        Self {
            is_kept: false,
            ..self.clone()
        }
    }

    /// Begins a response.
    pub fn response(&self, status: Status, date: &Date) -> Response {
        let response = Response::new(status, date).allow_origin(self.listed_origin.as_deref());
        response.keep_alive(self.is_kept)
    }

    /// The whole answer to a request that is refused.
    pub fn refuse(&self, refusal: Refusal, date: &Date) -> Vec<u8> {
        let status = refusal.status();
        let will_pass = matches!(status, Status::ServiceUnavailable | Status::TooManyRequests);
        if self.is_events && will_pass {
            return self.put_off(date);
        }
        let response = match status {
            // RFC 6455 §4.4, RFC 9110 §7.8 and §15.5.22.
            Status::UpgradeRequired => Response::new(status, date)
                .allow_origin(self.listed_origin.as_deref())
                .header(
                    "Connection",
                    if self.is_kept {
                        "upgrade"
                    } else {
                        "upgrade, close"
                    },
                )
                .header("Upgrade", "websocket")
                .header("Sec-WebSocket-Version", "13"),
            // RFC 9110 §15.5.2, RFC 6750 §3.
            Status::Unauthorized => self
                .response(status, date)
                .header("WWW-Authenticate", "Bearer"),
            Status::ServiceUnavailable => self.response(status, date).header("Retry-After", "5"),
            // The allowance is one of messages per second.
            Status::TooManyRequests => self.response(status, date).header("Retry-After", "1"),
            _ => self.response(status, date),
        };
        response.finish_with_line(refusal.why(), self.is_head)
    }

    /// The answer to one that watches the server, which nobody keeps.
    pub fn probe(&self, status: Status, line: &str, date: &Date) -> Vec<u8> {
        let response = self.response(status, date);
        let response = response.header("Cache-Control", "no-store");
        response.finish_with_line(line, self.is_head)
    }

    /// An answer that is made anew each time, and that nobody keeps.
    pub fn fresh(&self, content_type: &str, body: &str, date: &Date) -> Vec<u8> {
        let mut answer = self
            .response(Status::Ok, date)
            .header("Content-Type", content_type)
            .content_length(body.len())
            .header("Cache-Control", "no-store")
            .header("X-Content-Type-Options", "nosniff")
            .finish();
        if !self.is_head {
            answer.extend_from_slice(body.as_bytes());
        }
        answer
    }

    /// The head of an event stream, which ends with the connection.
    pub fn begin_events(&self, date: &Date) -> Vec<u8> {
        Response::new(Status::Ok, date)
            .allow_origin(self.listed_origin.as_deref())
            .header("Content-Type", "text/event-stream")
            .header("Cache-Control", "no-store, no-transform")
            .header("X-Accel-Buffering", "no")
            .keep_alive(false)
            .finish()
    }

    /// An event stream that ends at once, and asks its reader to come back later.
    fn put_off(&self, date: &Date) -> Vec<u8> {
        let mut answer = self.begin_events(date);
        if !self.is_head {
            answer.extend_from_slice(format!("retry: {RETRY_MS}\n\n").as_bytes());
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: Vec<u8>) -> String {
        String::from_utf8(answer).expect("an answer is ASCII")
    }

    #[test]
    fn an_event_source_is_put_off_by_what_will_pass_and_refused_for_good_otherwise() {
        let date = Date::at(784_111_777);
        let events = Manner {
            is_events: true,
            ..Manner::default()
        };
        for refusal in [
            Refusal::TooManyClients,
            Refusal::TooManyRooms,
            Refusal::ShuttingDown,
            Refusal::BackplaneAway,
            Refusal::TooManyMessages,
        ] {
            let answer = text(events.refuse(refusal, &date));
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.contains("\r\nContent-Type: text/event-stream\r\n"));
            assert!(answer.ends_with("\r\n\r\nretry: 5000\n\n"), "{answer}");
        }
        let answer = text(events.refuse(Refusal::ForeignOrigin, &date));
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        let answer = text(Manner::default().refuse(Refusal::TooManyRooms, &date));
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("\r\nRetry-After: 5\r\n"), "{answer}");
    }

    #[test]
    fn refusals_say_why_and_when_to_come_back() {
        let date = Date::at(784_111_777);
        for (refusal, status, retry) in [
            (Refusal::TooManyMessages, "429 Too Many Requests", Some("1")),
            (Refusal::TooManyRooms, "503 Service Unavailable", Some("5")),
            (Refusal::ShuttingDown, "503 Service Unavailable", Some("5")),
            (Refusal::BackplaneAway, "503 Service Unavailable", Some("5")),
            (
                Refusal::TooManyClients,
                "503 Service Unavailable",
                Some("5"),
            ),
            (Refusal::BodyTooLarge, "413 Content Too Large", None),
            (Refusal::MalformedQuery, "400 Bad Request", None),
            (Refusal::UnknownExpectation, "417 Expectation Failed", None),
            (Refusal::UnknownCoding, "501 Not Implemented", None),
        ] {
            let answer = text(Manner::default().refuse(refusal, &date));
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{answer}"
            );
            assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
            assert!(answer.ends_with(&format!("\r\n\r\n{}\n", refusal.why())));
            let field = retry.map(|seconds| format!("\r\nRetry-After: {seconds}\r\n"));
            match field {
                Some(field) => assert!(answer.contains(&field), "{answer}"),
                None => assert!(!answer.contains("Retry-After"), "{answer}"),
            }
            assert!(!answer.contains("Access-Control"), "{answer}");
        }
    }

    #[test]
    fn a_page_of_a_listed_origin_may_read_why_it_was_refused() {
        let date = Date::at(784_111_777);
        let manner = Manner {
            listed_origin: Some(b"https://a.example"[..].into()),
            ..Manner::default()
        };
        let answer = text(manner.refuse(Refusal::EmptyMessage, &date));
        let field = "\r\nAccess-Control-Allow-Origin: https://a.example\r\nVary: Origin\r\n";
        assert!(answer.contains(field), "{answer}");
        assert!(answer.ends_with("\r\n\r\nthe message is nothing but white space\n"));
    }
}
