//! What a request gets: a file of the page, a room to listen to, leave to send a body, a refusal.

use std::net::SocketAddr;

use super::http::Post;
use super::{Closing, Context, Event, Listen, Publication, listen, may};
use crate::access::Grant;
use crate::config::{Config, PUBLICATION_LEN_MAX};
use crate::http::body::BodyReader;
use crate::http::manner::Manner;
use crate::http::route::{READ_METHODS, Route};
use crate::http::status::{Refusal, Status};
use crate::http::{self, Request, forwarded, origin, preflight};
use crate::outbox::Outbox;
use crate::ws::deflate::Agreement;
use crate::ws::handshake;

/// The subprotocol whose lines carry ids.
const SUBPROTOCOL: &str = "fanfare.v1";
/// How much longer than a message the body of a publication may be: one line end is not counted.
const LINE_END_MAX: usize = 2;

/// What becomes of a request.
pub(super) enum Answered {
    /// It is answered, or somebody else is to do so.
    At(Event<'static>),
    /// It is a publication, and its body is to be read.
    AfterBody(Post),
    /// It comes from another client than the one before, which has to be told first: nothing is done yet.
    From {
        /// The address of the peer itself.
        proxy: SocketAddr,
        /// That of the client.
        client: SocketAddr,
    },
}

/// Answers one request. `proxy` is the peer's own address, where it may be a proxy that names another client.
pub(super) fn answer(
    head: &[u8],
    proxy: Option<SocketAddr>,
    outbox: &mut Outbox,
    context: &Context<'_>,
) -> Answered {
    let mut storage = http::header_storage();
    let request = match Request::parse(head, &mut storage) {
        Ok(request) => request,
        Err(refusal) => {
            let manner = Manner::unknown(Request::is_head(head));
            return Answered::At(refuse(refusal, &manner, context));
        }
    };
    if let Some(proxy) = proxy
        && let Some(client) = find_other_client(&request, proxy, context)
    {
        return Answered::From { proxy, client };
    }
    let route = Route::of(context.role, request.method, request.path, context.config);
    let listed_origin = may::check_origin(&request, &route, context);
    let mut manner = manner(&request, &route, listed_origin);
    // A connection that is there for its refusal alone serves no second request.
    manner.is_kept &= context.unavailable.is_none();
    let is_served = match unavailable(&route, context) {
        Some(refusal) => Err(refusal),
        None => may::check_host(&request, &route, context).and(listed_origin),
    };
    let answered = is_served
        .and_then(|_| may::check_token(&request, &route, context))
        .and_then(|grant| serve(&request, &route, &manner, grant, outbox, context));
    answered.unwrap_or_else(|refusal| {
        let mut closing = Closing::refused(refusal, &manner, context.date);
        if refusal == Refusal::ForeignOrigin {
            closing.note = Some(origin::describe(&request));
        }
        Answered::At(Event::Closing(closing))
    })
}

/// The client on whose behalf the request comes, if it is not the one that is known.
fn find_other_client(
    request: &Request<'_>,
    proxy: SocketAddr,
    context: &Context<'_>,
) -> Option<SocketAddr> {
    let network = &context.config.network;
    if !network.trusts(proxy.ip()) {
        return None;
    }
    let client = forwarded::client(request, |ip| network.trusts(ip)).unwrap_or(proxy);
    (context.peer != Some(client)).then_some(client)
}

/// Why this request is not served, if it is not. Those who watch the server are answered in a drain, and whether it
/// lives even on a connection without a seat.
fn unavailable(route: &Route<'_>, context: &Context<'_>) -> Option<Refusal> {
    match route {
        Route::Health => None,
        Route::Readiness | Route::Metrics => context
            .unavailable
            .filter(|&refusal| refusal != Refusal::ShuttingDown),
        _ => context.unavailable,
    }
}

fn manner(
    request: &Request<'_>,
    route: &Route<'_>,
    listed_origin: Result<Option<&[u8]>, Refusal>,
) -> Manner {
    // Where a body is not read, the end of the request is not known.
    let is_read = !request.has_body() || matches!(route, Route::Publish(_));
    Manner {
        is_head: request.method == "HEAD",
        is_kept: request.wants_keep_alive() && is_read,
        is_events: matches!(route, Route::Events(_)),
        listed_origin: listed_origin.ok().flatten().map(Into::into),
    }
}

/// Serves a request that may be made.
fn serve(
    request: &Request<'_>,
    route: &Route<'_>,
    manner: &Manner,
    grant: Grant,
    outbox: &mut Outbox,
    context: &Context<'_>,
) -> Result<Answered, Refusal> {
    let Context { config, date, .. } = context;
    let bytes = match route {
        Route::Publish(room) => return begin_post(request, room, manner, grant, context),
        Route::NotFound => {
            let response = manner.response(Status::NotFound, date);
            response.finish_with_line("there is nothing here", manner.is_head)
        }
        Route::MethodNotAllowed(methods) => {
            let response = manner.response(Status::MethodNotAllowed, date);
            let line = "this resource does not have the method";
            let response = response.header("Allow", methods);
            response.finish_with_line(line, manner.is_head)
        }
        _ if request.has_body() => return Err(Refusal::Body),
        Route::WebSocket(room) => return upgrade(request, room, manner, grant, context),
        Route::Echo => {
            let agreement = agree_on_deflate(request, config)?;
            outbox.push_private(handshake::accept(request, None, agreement.as_ref(), date)?);
            let window = agreement.map(|agreement| agreement.window);
            return Ok(Answered::At(Event::OpenedEcho { grant, window }));
        }
        Route::Events(room) => return events(request, room, manner, grant, context),
        Route::Page(asset) => {
            let (head, body) = asset.answer(request, manner.is_kept, date);
            outbox.push_private(head);
            outbox.push_static(body.unwrap_or_default());
            return Ok(Answered::At(answered(manner)));
        }
        Route::Health => manner.probe(Status::Ok, "ok", date),
        Route::Readiness if context.is_ready => manner.probe(Status::Ok, "ready", date),
        Route::Readiness => manner.probe(Status::ServiceUnavailable, "draining", date),
        Route::Metrics => return Ok(Answered::At(Event::Scrapes(manner.clone()))),
        Route::Limits => limits(manner, config.chat.max_message, context),
        Route::Preflight => preflight(manner.listed_origin.as_deref(), manner.is_kept, date),
        Route::Options => {
            let response = manner.response(Status::NoContent, date);
            response.header("Allow", READ_METHODS).finish()
        }
    };
    outbox.push_private(bytes);
    Ok(Answered::At(answered(manner)))
}

fn answered(manner: &Manner) -> Event<'static> {
    match manner.is_kept {
        true => Event::Answered,
        false => Event::Closing(Closing::answered(Vec::new())),
    }
}

/// What a page has to know of the settings.
fn limits(manner: &Manner, message_max: usize, context: &Context<'_>) -> Vec<u8> {
    let body = format!("{{\"max_message\":{message_max}}}\n");
    manner.fresh("application/json", &body, context.date)
}

fn upgrade(
    request: &Request<'_>,
    room: &str,
    manner: &Manner,
    grant: Grant,
    context: &Context<'_>,
) -> Result<Answered, Refusal> {
    let has_ids = handshake::offers_subprotocol(request, SUBPROTOCOL)?;
    let subprotocol = has_ids.then_some(SUBPROTOCOL);
    // What is wrong with it is told to one that asks why it was refused, without an upgrade.
    let agreement = agree_on_deflate(request, context.config)?;
    let window = agreement.as_ref().map(|agreement| agreement.window);
    let listening = listen::websocket(request, has_ids, window)?;
    let agreement = agreement.filter(|_| listening.framing.window().is_some());
    let opening = handshake::accept(request, subprotocol, agreement.as_ref(), context.date)?;
    Ok(Answered::At(Event::Listens(Listen {
        room: room.into(),
        listening,
        grant,
        opening,
        manner: manner.closing(),
    })))
}

/// What compression is agreed on, if the server compresses and the peer offers and does not decline it.
fn agree_on_deflate(request: &Request<'_>, config: &Config) -> Result<Option<Agreement>, Refusal> {
    let is_wanted = request.query.switch("deflate")?.unwrap_or(true);
    Ok(match config.compression.deflate && is_wanted {
        true => handshake::offers_deflate(request),
        false => None,
    })
}

fn events(
    request: &Request<'_>,
    room: &str,
    manner: &Manner,
    grant: Grant,
    context: &Context<'_>,
) -> Result<Answered, Refusal> {
    let listening = listen::events(request)?;
    let opening = manner.begin_events(context.date);
    Ok(Answered::At(match manner.is_head {
        true => Event::Closing(Closing::answered(opening)),
        false => Event::Listens(Listen {
            room: room.into(),
            listening,
            grant,
            opening,
            manner: manner.closing(),
        }),
    }))
}

fn begin_post(
    request: &Request<'_>,
    room: &str,
    manner: &Manner,
    grant: Grant,
    context: &Context<'_>,
) -> Result<Answered, Refusal> {
    let expects_continue = request.expects_continue()?;
    let key = request.idempotency_key()?;
    let is_lines = request.query.switch("lines")?.unwrap_or(false);
    let body_max = match is_lines {
        true => PUBLICATION_LEN_MAX,
        false => context.config.chat.max_message + LINE_END_MAX,
    };
    let reader = BodyReader::new(request.body_length, body_max)?;
    Ok(Answered::AfterBody(Post {
        reader,
        expects_continue,
        grant,
        publication: Publication {
            room: room.into(),
            is_lines,
            key: key.map(Into::into),
            body: Vec::new(),
            manner: manner.clone(),
        },
    }))
}

/// How a request is refused, before or instead of understanding it.
pub(super) fn refuse(refusal: Refusal, manner: &Manner, context: &Context<'_>) -> Event<'static> {
    Event::Closing(Closing::refused(refusal, manner, context.date))
}
