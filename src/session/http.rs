//! What a peer's requests get: a file of the page, an upgrade, a refusal.

use super::{Closing, Endpoint, Event};
use crate::config::Config;
use crate::http::page::Asset;
use crate::http::route::{READ_METHODS, Route};
use crate::http::status::{Refusal, Status};
use crate::http::{self, Date, Request, Response};
use crate::observe::CloseReason;
use crate::outbox::Outbox;
use crate::ws::handshake;

/// Answers one request.
pub(super) fn answer(
    head: &[u8],
    outbox: &mut Outbox,
    config: &Config,
    date: &Date,
) -> Event<'static> {
    let mut storage = http::header_storage();
    let request = match Request::parse(head, &mut storage) {
        Ok(request) => request,
        Err(refusal) => {
            let is_head = Request::is_head(head);
            return Event::Closing(refuse(refusal, is_head, date));
        }
    };
    let is_head = request.method == "HEAD";
    // A body is not read, so that the end of the request is not known.
    let is_kept = request.wants_keep_alive() && !request.has_body();
    let line = |status, line| {
        let response = Response::new(status, date).keep_alive(is_kept);
        response.finish_with_line(line, is_head)
    };
    match Route::of(&request, config) {
        Route::NotFound => outbox.push_private(line(Status::NotFound, "there is nothing here")),
        Route::MethodNotAllowed(methods) => {
            let response = Response::new(Status::MethodNotAllowed, date).keep_alive(is_kept);
            let response = response.header("Allow", methods);
            let line = "this resource does not have the method";
            outbox.push_private(response.finish_with_line(line, is_head));
        }
        _ if request.has_body() => return Event::Closing(refuse(Refusal::Body, is_head, date)),
        Route::Chat => return upgrade(&request, Endpoint::Chat, outbox, config, date),
        Route::Echo => return upgrade(&request, Endpoint::Echo, outbox, config, date),
        Route::Page(asset) => push_asset(asset, &request, is_kept, outbox, date),
        Route::Limits => push_limits(is_head, is_kept, outbox, config, date),
        Route::Options => {
            let response = Response::new(Status::NoContent, date).keep_alive(is_kept);
            outbox.push_private(response.header("Allow", READ_METHODS).finish());
        }
    }
    if is_kept {
        return Event::Answered;
    }
    Event::Closing(Closing {
        reason: CloseReason::Answered,
        last_bytes: Vec::new(),
        note: None,
    })
}

fn push_asset(
    asset: &'static Asset,
    request: &Request<'_>,
    is_kept: bool,
    outbox: &mut Outbox,
    date: &Date,
) {
    let (head, body) = asset.answer(request, is_kept, date);
    outbox.push_private(head);
    outbox.push_static(body.unwrap_or_default());
}

/// What a page has to know of the settings.
fn push_limits(is_head: bool, is_kept: bool, outbox: &mut Outbox, config: &Config, date: &Date) {
    let body = format!("{{\"max_message\":{}}}\n", config.chat.max_message);
    let mut answer = Response::new(Status::Ok, date)
        .keep_alive(is_kept)
        .header("Content-Type", "application/json")
        .header("Content-Length", body.len())
        .header("Cache-Control", "no-store")
        .header("X-Content-Type-Options", "nosniff")
        .finish();
    if !is_head {
        answer.extend_from_slice(body.as_bytes());
    }
    outbox.push_private(answer);
}

fn upgrade(
    request: &Request<'_>,
    endpoint: Endpoint,
    outbox: &mut Outbox,
    config: &Config,
    date: &Date,
) -> Event<'static> {
    match handshake::accept(request, config.network.allowed_origins(), date) {
        Ok(answer) => {
            outbox.push_private(answer);
            Event::Opened(endpoint)
        }
        Err(refusal) => {
            let mut closing = refuse(refusal, false, date);
            if refusal == Refusal::ForeignOrigin {
                closing.note = Some(handshake::describe_origin(request));
            }
            Event::Closing(closing)
        }
    }
}

/// How a request is refused, before or instead of understanding it.
pub(super) fn refuse(refusal: Refusal, is_head: bool, date: &Date) -> Closing {
    Closing {
        reason: CloseReason::Refused(refusal),
        last_bytes: http::refuse(refusal, is_head, None, date),
        note: None,
    }
}
