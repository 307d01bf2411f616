//! What a peer's requests mean: a request to the page, an upgrade, a refusal.

use super::{Closing, Endpoint, Event};
use crate::config::Config;
use crate::http::page::Asset;
use crate::http::status::{Refusal, Status};
use crate::http::{self, Request, Response};
use crate::observe::CloseReason;
use crate::outbox::Outbox;
use crate::ws::handshake;

/// Answers one request.
pub(super) fn answer(head: &[u8], outbox: &mut Outbox, config: &Config) -> Event<'static> {
    let mut storage = http::header_storage();
    let request = match Request::parse(head, &mut storage) {
        Ok(request) => request,
        Err(refusal) => {
            return Event::Closing(Closing {
                reason: CloseReason::Refused(refusal),
                last_bytes: http::refuse(refusal, head.starts_with(b"HEAD ")),
            });
        }
    };
    let is_echo = request.path == "/echo" && config.chat.echo;
    if request.method == "GET" && (is_echo || request.path == "/ws") {
        return upgrade(&request, is_echo, outbox, config);
    }

    let is_kept = request.wants_keep_alive();
    let is_head = request.method == "HEAD";
    let plain = |status, allow: Option<&str>, line| {
        let mut response = Response::new(status).keep_alive(is_kept);
        if let Some(methods) = allow {
            response = response.header("Allow", methods);
        }
        response.finish_with_line(line, is_head)
    };
    if is_echo || request.path == "/ws" {
        outbox.push_private(plain(
            Status::MethodNotAllowed,
            Some("GET"),
            "a WebSocket is opened with GET",
        ));
    } else if let Some(asset) = Asset::find(request.path) {
        if is_head || request.method == "GET" {
            let (head, body) = asset.answer(&request, is_kept);
            outbox.push_private(head);
            outbox.push_static(body.unwrap_or_default());
        } else {
            outbox.push_private(plain(
                Status::MethodNotAllowed,
                Some("GET, HEAD"),
                "this can be read only",
            ));
        }
    } else {
        outbox.push_private(plain(Status::NotFound, None, "there is nothing here"));
    }

    if is_kept {
        Event::Answered
    } else {
        Event::Closing(Closing {
            reason: CloseReason::Answered,
            last_bytes: Vec::new(),
        })
    }
}

fn upgrade(
    request: &Request<'_>,
    is_echo: bool,
    outbox: &mut Outbox,
    config: &Config,
) -> Event<'static> {
    match handshake::accept(request, &config.network.allow_origin) {
        Err(refusal) => Event::Closing(refuse(refusal)),
        Ok(answer) => {
            outbox.push_private(answer);
            Event::Opened(match is_echo {
                true => Endpoint::Echo,
                false => Endpoint::Chat,
            })
        }
    }
}

/// How a request is refused, before or instead of understanding it.
pub(super) fn refuse(refusal: Refusal) -> Closing {
    Closing {
        reason: CloseReason::Refused(refusal),
        last_bytes: http::refuse(refusal, false),
    }
}
