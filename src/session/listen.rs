//! How a request says that it wants to listen: the parameters of its query.

use crate::http::status::Refusal;
use crate::http::{Query, Request};
use crate::room::framing::Framing;
use crate::room::id::Id;
use crate::room::member::Listening;
use crate::room::start::Start;
use crate::ws::deflate::Window;

/// What a WebSocket asks for: with the subprotocol it reads ids, and with a window it inflates. Messages that are not
/// joined are too short to be compressed.
pub(super) fn websocket(
    request: &Request<'_>,
    has_ids: bool,
    window: Option<Window>,
) -> Result<Listening, Refusal> {
    let query = request.query;
    let last = query.number("last")?;
    let is_joined = query.switch("coalesce")?.unwrap_or(true);
    let since = parse_since(query)?;
    if !has_ids && since.is_some() {
        // It could not be told of a gap.
        return Err(Refusal::SinceOnPlain);
    }
    Ok(Listening {
        framing: match (has_ids, is_joined, window) {
            (false, false, _) => Framing::Single,
            (true, false, _) => Framing::NumberedSingle,
            (false, true, None) => Framing::Lines,
            (true, true, None) => Framing::NumberedLines,
            (false, true, Some(window)) => Framing::DeflatedLines(window),
            (true, true, Some(window)) => Framing::DeflatedNumberedLines(window),
        },
        wants_here: has_ids && query.switch("here")?.unwrap_or(false),
        start: start(since.map(Some), last),
    })
}

/// What an event source asks for. The last id that it knows wins over the one that its address names, and is no error
/// where it is malformed: `EventSource` would give up for good.
pub(super) fn events(request: &Request<'_>) -> Result<Listening, Refusal> {
    let query = request.query;
    let last = query.number("last")?;
    let since = parse_since(query)?;
    let since = match request.values("last-event-id").next() {
        Some(_) => Some(request.only_value("last-event-id").and_then(Id::parse)),
        None => since.map(Some),
    };
    Ok(Listening {
        framing: Framing::Events,
        wants_here: query.switch("here")?.unwrap_or(false),
        start: start(since, last),
    })
}

fn parse_since(query: Query<'_>) -> Result<Option<Id>, Refusal> {
    let since = query.text("since")?;
    since
        .map(|since| Id::parse(since.as_bytes()).ok_or(Refusal::BadId))
        .transpose()
}

fn start(since: Option<Option<Id>>, last: Option<u64>) -> Start {
    match since {
        None => Start::Fresh {
            last: last.unwrap_or(0),
        },
        Some(id) => Start::After {
            id,
            last: last.unwrap_or(u64::MAX),
        },
    }
}
