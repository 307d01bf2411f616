//! What requests that concern a room get: a seat in it, or the id of what they publish.

use std::{iter, mem};

use super::shared::Shared;
use crate::access::Grant;
use crate::client::Client;
use crate::config::Config;
use crate::http::Date;
use crate::http::manner::Manner;
use crate::http::status::{Refusal, Status};
use crate::id::ClientId;
use crate::observe::Metrics;
use crate::outbox::Outbox;
use crate::room::batch::trimmed;
use crate::room::hub::TooManyRooms;
use crate::room::id::{ID_LEN_MAX, Id};
use crate::room::member::{Here, Listening};
use crate::room::notice::Answer;
use crate::room::{Cursor, Hub, RoomId, notice};
use crate::session::{Listen, Publication, Session};
use crate::time::Tick;

impl From<TooManyRooms> for Refusal {
    fn from(_: TooManyRooms) -> Self {
        Self::TooManyRooms
    }
}

/// Lets a client into a room: it is sent its opening, where it starts, and what it asked for. Returns how it is refused,
/// if there is no such room and no place for one.
pub(super) fn listen(
    mut listen: Listen,
    id: ClientId,
    session: &mut Session,
    outbox: &mut Outbox,
    hub: &mut Hub,
    metrics: &mut Metrics,
    shared: &mut Option<Box<Shared>>,
) -> Option<(Refusal, Manner)> {
    if let Some(shared) = shared
        && !shared.can_let_in(&listen, hub)
    {
        if shared.is_full(&listen.room, hub) {
            return Some((TooManyRooms.into(), listen.manner));
        }
        shared.wait(&listen.room, id);
        if !shared.backplane.is_up() {
            // That may take its time. Otherwise the opening says that the client is in the room.
            outbox.push_private(mem::take(&mut listen.opening));
        }
        session.wait(listen);
        return None;
    }
    let room = match hub.enter(&listen.room) {
        Ok(room) => room,
        Err(error) => return Some((error.into(), listen.manner)),
    };
    let entrance = Entrance {
        room,
        listening: listen.listening,
        grant: listen.grant,
        opening: listen.opening,
    };
    enter(entrance, id, session, outbox, hub, metrics);
    None
}

/// A client that is let into a room.
pub(super) struct Entrance {
    pub(super) room: RoomId,
    pub(super) listening: Listening,
    pub(super) grant: Grant,
    /// What it is sent first.
    pub(super) opening: Vec<u8>,
}

/// Lets a client into a room: it is told where it starts, and gets what it asked for.
pub(super) fn enter(
    entrance: Entrance,
    id: ClientId,
    session: &mut Session,
    outbox: &mut Outbox,
    hub: &mut Hub,
    metrics: &mut Metrics,
) {
    let Entrance {
        room,
        listening,
        grant,
        mut opening,
    } = entrance;
    let joined = hub.join(room, id, listening);
    count_start(joined.answer, metrics);
    metrics.replayed += hub.head(room).seq - joined.position.seq;
    let framing = joined.membership.framing;
    opening.extend(notice::start(framing, joined.answer, joined.position));
    outbox.push_private(opening);
    if let Some((batch, skip)) = joined.cursor {
        let cursor = Cursor::new(room, framing, batch, skip, hub).replaying(hub);
        outbox.begin_behind(cursor);
    }
    if joined.membership.here != Here::Off {
        // Behind the replay, whose end it marks.
        outbox.push_here(notice::here(framing, hub.listeners(room)));
    }
    session.enter_room(joined.membership, grant.may_publish);
}

fn count_start(answer: Answer, metrics: &mut Metrics) {
    match answer {
        Answer::Fresh => {}
        Answer::Resumed => metrics.resumed += 1,
        Answer::Gap(Some(_)) => metrics.resumed_with_gap += 1,
        Answer::Gap(None) => metrics.resumed_unknown += 1,
    }
}

/// A client that publishes by a request, and what it takes to answer it.
pub(super) struct Publisher<'a, S> {
    pub(super) id: ClientId,
    pub(super) client: &'a mut Client<S>,
    pub(super) config: &'a Config,
    pub(super) date: &'a Date,
    pub(super) now: Tick,
    pub(super) metrics: &'a mut Metrics,
}

impl<S> Publisher<'_, S> {
    /// Publishes what a request brings, all of it or nothing, and answers it. Returns how many offers of a batch to a
    /// member that causes.
    pub(super) fn publish(&mut self, publication: &Publication, hub: &mut Hub) -> usize {
        let manner = &publication.manner;
        let published = self
            .check(publication)
            .and_then(|checked| try_publish(publication, &checked, hub));
        match published {
            Ok(published) => {
                self.spend(published.count);
                let (count, members) = (u64::from(published.count), published.members as u64);
                self.metrics.http_messages += count;
                self.metrics.deliveries += count * members;
                let answer = accepted(published.id, manner, self.date);
                self.client.outbox_mut().push_private(answer);
                published.sealed * published.members
            }
            Err(refusal) => {
                self.refuse(refusal, manner);
                0
            }
        }
    }

    /// Passes what a request brings on to the stream that rooms are shared by, where `waiting_max` bytes may wait for it.
    /// It is answered when the stream has it: whether that is so. What is refused is answered at once.
    pub(super) fn pass_on(
        &mut self,
        publication: Publication,
        shared: &mut Shared,
        waiting_max: usize,
    ) -> bool {
        let checked = self.check(&publication).and_then(|checked| {
            let has_place = shared.has_place(publication.body.len(), waiting_max);
            has_place.then_some(checked).ok_or(Refusal::BackplaneAway)
        });
        let Checked { text, count } = match checked {
            Ok(checked) => checked,
            Err(refusal) => {
                self.refuse(refusal, &publication.manner);
                return false;
            }
        };
        self.spend(count);
        let (room, key) = (&publication.room, publication.key.as_deref());
        match publication.is_lines {
            true => shared.backplane.post(room, self.id, lines(text), key),
            false => shared.backplane.post(room, self.id, iter::once(text), key),
        }
        shared.waiters.add_post(self.id, publication.manner, count);
        if let Some((session, _)) = self.client.session() {
            session.await_answer();
        }
        true
    }

    fn check<'a>(&self, publication: &'a Publication) -> Result<Checked<'a>, Refusal> {
        let text = simdutf8::basic::from_utf8(&publication.body).map_err(|_| Refusal::NotUtf8)?;
        let message_max = self.config.chat.max_message;
        let count = match publication.is_lines {
            true => check_lines(text, message_max)?,
            false => check_message(text, message_max)?,
        };
        match self.client.may_send(self.now, self.config) {
            true => Ok(Checked { text, count }),
            false => Err(Refusal::TooManyMessages),
        }
    }

    fn spend(&mut self, count: u32) {
        self.client.spend(count, self.now, self.config);
    }

    fn refuse(&mut self, refusal: Refusal, manner: &Manner) {
        self.metrics.count_refused(refusal);
        let answer = manner.refuse(refusal, self.date);
        self.client.outbox_mut().push_private(answer);
    }
}

/// The answer to a publication: the id of its last message.
pub(super) fn accepted(id: Id, manner: &Manner, date: &Date) -> Vec<u8> {
    let mut line = Vec::with_capacity(ID_LEN_MAX);
    id.encode(&mut line);
    let response = manner.response(Status::Ok, date);
    response.finish_with_line(line, manner.is_head)
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

/// A publication that is in order.
struct Checked<'a> {
    text: &'a str,
    /// How many messages.
    count: u32,
}

fn try_publish(
    publication: &Publication,
    checked: &Checked<'_>,
    hub: &mut Hub,
) -> Result<Published, Refusal> {
    let &Checked { text, count } = checked;
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
fn lines(text: &str) -> impl Iterator<Item = &str> + Clone {
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
