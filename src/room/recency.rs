//! Which rooms were published to least recently: a list through the rooms themselves, so that a publication moves
//! its room to the end in constant time.

use slab::Slab;

use super::hub::RoomId;

/// A room's neighbours in the list.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Link {
    before: Option<RoomId>,
    behind: Option<RoomId>,
}

/// What has a place in the list.
pub(super) trait Linked {
    fn link(&mut self) -> &mut Link;
}

/// The ends of the list.
#[derive(Debug, Default)]
pub(super) struct Recency {
    oldest: Option<RoomId>,
    newest: Option<RoomId>,
}

impl Recency {
    /// The room that was published to least recently.
    pub(super) fn oldest(&self) -> Option<RoomId> {
        self.oldest
    }

    /// The room that was published to next.
    pub(super) fn next<T: Linked>(&self, rooms: &mut Slab<T>, id: RoomId) -> Option<RoomId> {
        rooms.get_mut(id.index())?.link().behind
    }

    /// Puts a room at the end, wherever it was.
    pub(super) fn touch<T: Linked>(&mut self, rooms: &mut Slab<T>, id: RoomId) {
        if self.newest == Some(id) {
            return;
        }
        self.remove(rooms, id);
        if let Some(room) = rooms.get_mut(id.index()) {
            *room.link() = Link {
                before: self.newest,
                behind: None,
            };
        }
        match self.newest.and_then(|newest| rooms.get_mut(newest.index())) {
            Some(newest) => newest.link().behind = Some(id),
            None => self.oldest = Some(id),
        }
        self.newest = Some(id);
    }

    /// Takes a room out, if it is in.
    pub(super) fn remove<T: Linked>(&mut self, rooms: &mut Slab<T>, id: RoomId) {
        let Some(room) = rooms.get_mut(id.index()) else {
            return;
        };
        let Link { before, behind } = std::mem::take(room.link());
        match before.and_then(|before| rooms.get_mut(before.index())) {
            Some(before) => before.link().behind = behind,
            None if self.oldest == Some(id) => self.oldest = behind,
            None => {}
        }
        match behind.and_then(|behind| rooms.get_mut(behind.index())) {
            Some(behind) => behind.link().before = before,
            None if self.newest == Some(id) => self.newest = before,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Linked for Link {
        fn link(&mut self) -> &mut Link {
            self
        }
    }

    #[test]
    fn rooms_move_to_the_end_and_out_of_the_list() {
        let mut rooms: Slab<Link> = Slab::new();
        let ids = [(); 4].map(|()| RoomId::from_index(rooms.insert(Link::default())));
        let mut recency = Recency::default();
        let order = |recency: &Recency, rooms: &Slab<Link>| {
            let next = |id: &RoomId| rooms[id.index()].behind;
            std::iter::successors(recency.oldest(), next).collect::<Vec<_>>()
        };
        let [a, b, c, d] = ids;
        for id in [a, b, c, b, a, a] {
            recency.touch(&mut rooms, id);
        }
        assert_eq!(order(&recency, &rooms), [c, b, a]);
        recency.remove(&mut rooms, d);
        recency.remove(&mut rooms, b);
        assert_eq!(order(&recency, &rooms), [c, a]);
        recency.remove(&mut rooms, c);
        recency.remove(&mut rooms, a);
        assert_eq!(order(&recency, &rooms), []);
        recency.touch(&mut rooms, d);
        assert_eq!(order(&recency, &rooms), [d]);
    }
}
