//! How a request says that it wants to listen: the parameters of its query.

use crate::http::Request;
use crate::http::status::Refusal;
use crate::room::framing::Framing;
use crate::room::hub::Listening;
use crate::room::id::Id;
use crate::room::start::Start;

/// What a WebSocket asks for; with the subprotocol it reads ids.
pub(super) fn websocket(request: &Request<'_>, has_ids: bool) -> Result<Listening, Refusal> {
    let query = request.query;
    let last = query.number("last")?;
    let is_joined = query.switch("coalesce")?.unwrap_or(true);
    // There is no compression to decline yet, but a value has to be one.
    query.switch("deflate")?;
    let since = query.text("since")?;
    if !has_ids && since.is_some() {
        // It could not be told of a gap.
        return Err(Refusal::SinceOnPlain);
    }
    let since = match since {
        Some(since) => Some(Some(Id::parse(since.as_bytes()).ok_or(Refusal::BadId)?)),
        None => None,
    };
    Ok(Listening {
        framing: match (has_ids, is_joined) {
            (false, true) => Framing::Lines,
            (false, false) => Framing::Single,
            (true, true) => Framing::NumberedLines,
            (true, false) => Framing::NumberedSingle,
        },
        wants_here: has_ids && query.switch("here")?.unwrap_or(false),
        start: start(since, last),
    })
}

/// What an event source asks for. The last id that it knows wins over the one that its address names, and is no error
/// where it is malformed: `EventSource` would give up for good.
pub(super) fn events(request: &Request<'_>) -> Result<Listening, Refusal> {
    let query = request.query;
    let last = query.number("last")?;
    let since = if request.values("last-event-id").next().is_some() {
        Some(request.only_value("last-event-id").and_then(Id::parse))
    } else {
        match query.text("since")? {
            Some(since) => Some(Some(Id::parse(since.as_bytes()).ok_or(Refusal::BadId)?)),
            None => None,
        }
    };
    Ok(Listening {
        framing: Framing::Events,
        wants_here: query.switch("here")?.unwrap_or(false),
        start: start(since, last),
    })
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
