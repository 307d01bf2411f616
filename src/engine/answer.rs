//! What requests that concern a room get: a seat in it, or the id of what they publish.

use crate::client::Client;
use crate::config::Config;
use crate::http::Date;
use crate::http::status::{Refusal, Status};
use crate::id::ClientId;
use crate::observe::Metrics;
use crate::outbox::Outbox;
use crate::room::batch::trimmed;
use crate::room::hub::TooManyRooms;
use crate::room::id::{ID_LEN_MAX, Id};
use crate::room::member::Here;
use crate::room::notice::Answer;
use crate::room::{Cursor, Hub, notice};
use crate::session::{Closing, Listen, Publication, Session};
use crate::time::Tick;

impl From<TooManyRooms> for Refusal {
    fn from(_: TooManyRooms) -> Self {
        Self::TooManyRooms
    }
}

/// Lets a client into a room: it is sent its opening, where it starts, and what it asked for. Returns how it is refused,
/// if there is no such room and no place for one.
pub(super) fn listen(
    listen: Listen,
    id: ClientId,
    session: &mut Session,
    outbox: &mut Outbox,
    hub: &mut Hub,
    date: &Date,
    metrics: &mut Metrics,
) -> Option<Closing> {
    let room = match hub.enter(&listen.room) {
        Ok(room) => room,
        Err(error) => return Some(Closing::refused(error.into(), &listen.manner, date)),
    };
    let joined = hub.join(room, id, listen.listening);
    count_start(joined.answer, metrics);
    metrics.replayed += hub.head(room).seq - joined.position.seq;
    let framing = joined.membership.framing;
    let mut opening = listen.opening;
    opening.extend(notice::start(framing, joined.answer, joined.position));
    outbox.push_private(opening);
    if let Some((batch, skip)) = joined.cursor {
        let cursor = Cursor::new(room, framing, batch, skip, hub).replaying(hub);
        outbox.begin_behind(cursor);
    }
    if joined.membership.here != Here::Off {
        // Behind the replay, whose end it marks.
        outbox.push_here(notice::here(framing, hub.members(room).len()));
    }
    session.enter_room(joined.membership, listen.grant.may_publish);
    None
}

fn count_start(answer: Answer, metrics: &mut Metrics) {
    match answer {
        Answer::Fresh => {}
        Answer::Resumed => metrics.resumed += 1,
        Answer::Gap(Some(_)) => metrics.resumed_with_gap += 1,
        Answer::Gap(None) => metrics.resumed_unknown += 1,
    }
}

/// Publishes what a request of this client brings, all of it or nothing, and answers it. Returns how many offers of a
/// batch to a member that causes.
pub(super) fn publish<S>(
    publication: &Publication,
    client: &mut Client<S>,
    hub: &mut Hub,
    config: &Config,
    now: Tick,
    date: &Date,
    metrics: &mut Metrics,
) -> usize {
    let manner = &publication.manner;
    let is_allowed = client.may_send(now, config);
    let (answer, offers) = match try_publish(publication, is_allowed, hub, config) {
        Ok(published) => {
            client.spend(published.count, now, config);
            let (count, members) = (u64::from(published.count), published.members as u64);
            metrics.http_messages += count;
            metrics.deliveries += count * members;
            let mut line = Vec::with_capacity(ID_LEN_MAX);
            published.id.encode(&mut line);
            let response = manner.response(Status::Ok, date);
            let answer = response.finish_with_line(line, manner.is_head);
            (answer, published.sealed * published.members)
        }
        Err(refusal) => {
            metrics.count_refused(refusal);
            (manner.refuse(refusal, date), 0)
        }
    };
    client.outbox_mut().push_private(answer);
    offers
}

/// What was published.
struct Published {
    /// The id of the last message.
    id: Id,
    /// How many messages.
    count: u32,
    /// How many batches are full with them.
    sealed: usize,
    /// How many members the room has.
    members: usize,
}

/// `is_allowed`: the client does not send more than it may.
fn try_publish(
    publication: &Publication,
    is_allowed: bool,
    hub: &mut Hub,
    config: &Config,
) -> Result<Published, Refusal> {
    let text = simdutf8::basic::from_utf8(&publication.body).map_err(|_| Refusal::NotUtf8)?;
    let message_max = config.chat.max_message;
    let count = match publication.is_lines {
        true => check_lines(text, message_max)?,
        false => check_message(text, message_max)?,
    };
    if !is_allowed {
        return Err(Refusal::TooManyMessages);
    }
    let room = hub.enter(&publication.room)?;
    let members = hub.members(room).len();
    if let Some(key) = &publication.key
        && let Some(id) = hub.find_key(room, key)
    {
        return Ok(Published {
            id,
            count: 0,
            sealed: 0,
            members,
        });
    }
    let sealed = match publication.is_lines {
        true => hub.publish_all(room, text.len(), lines(text)),
        false => hub.publish(room, text),
    };
    let id = hub.head(room);
    if let Some(key) = &publication.key {
        hub.remember_key(key, id);
    }
    Ok(Published {
        id,
        count,
        sealed,
        members,
    })
}

/// One line end at the end is not counted.
fn check_message(text: &str, message_max: usize) -> Result<u32, Refusal> {
    let counted = text.strip_suffix('\n').unwrap_or(text);
    let counted = counted.strip_suffix('\r').unwrap_or(counted);
    if counted.len() > message_max {
        return Err(Refusal::MessageTooLarge);
    }
    if trimmed(text).is_empty() {
        return Err(Refusal::EmptyMessage);
    }
    Ok(1)
}

fn check_lines(text: &str, message_max: usize) -> Result<u32, Refusal> {
    if text.lines().any(|line| line.len() > message_max) {
        return Err(Refusal::MessageTooLarge);
    }
    match u32::try_from(lines(text).count()) {
        Ok(0) => Err(Refusal::EmptyMessage),
        count => Ok(count.unwrap_or(u32::MAX)),
    }
}

/// The lines that are not blank.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !trimmed(line).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_counted_without_one_line_end() {
        for text in ["1234", "1234\n", "1234\r\n", "123\n\n", " 1 \n"] {
            assert_eq!(check_message(text, 4), Ok(1), "{text:?}");
        }
        for text in ["12345", "1234\n\n", "1234\n\r\n", " 1234"] {
            assert_eq!(
                check_message(text, 4),
                Err(Refusal::MessageTooLarge),
                "{text:?}"
            );
        }
        for text in ["", " ", "\r\n", "\u{a0}"] {
            assert_eq!(
                check_message(text, 4),
                Err(Refusal::EmptyMessage),
                "{text:?}"
            );
        }
    }

    #[test]
    fn blank_lines_are_no_messages_and_one_long_line_refuses_all() {
        assert_eq!(check_lines("a\n\n b\r\n \nc", 2), Ok(3));
        assert_eq!(check_lines("a\n123\n", 2), Err(Refusal::MessageTooLarge));
        assert_eq!(check_lines("\n \r\n", 2), Err(Refusal::EmptyMessage));
        assert_eq!(lines("a\n\n b\r\n").collect::<Vec<_>>(), ["a", " b"]);
    }
}
