//! How batches that nobody needs become history, and go.

use super::{Log, SEALED_MIN, SPARSE};
use crate::room::batch::Batch;
use crate::room::pool::Pool;
use crate::time::Tick;

impl Log {
    /// Lets the oldest batches go as far as nobody needs them and the bounds on history say so.
    pub(in crate::room) fn trim(&mut self, pool: &mut Pool) {
        self.retire(pool);
        while self.first < self.needed
            && self
                .sealed
                .front()
                .is_some_and(|batch| self.is_beyond_bounds(batch, pool))
        {
            self.drop_oldest(pool);
        }
    }

    /// Makes history of the batches that no reader needs any more. Their framings go.
    fn retire(&mut self, pool: &mut Pool) {
        while self.needed < self.offered {
            let number = self.needed;
            let Some(batch) = self.batch_mut(number).filter(|batch| batch.cursors == 0) else {
                return;
            };
            let len = batch.held_len();
            if let Some(forms) = batch.take_forms() {
                pool.put_forms(forms);
            }
            let kept_len = batch.held_len();
            self.held_len = self.held_len + kept_len - len;
            pool.needed_len -= len;
            pool.history_len += kept_len;
            self.needed += 1;
        }
    }

    /// Whether the oldest batch need not be kept.
    fn is_beyond_bounds(&self, oldest: &Batch, pool: &Pool) -> bool {
        let Pool { bounds, now, .. } = pool;
        let messages_behind = self.head() - oldest.messages_with();
        messages_behind >= bounds.messages
            || self.held_len > bounds.len
            || oldest.sealed_at().after(bounds.age) <= *now
    }

    /// Lets the oldest batch go if it is history. Whether it was.
    pub(in crate::room) fn drop_oldest(&mut self, pool: &mut Pool) -> bool {
        if self.first >= self.needed {
            return false;
        }
        let Some(mut batch) = self.sealed.pop_front() else {
            return false;
        };
        if self.sealed.capacity() > SPARSE * self.sealed.len() + SEALED_MIN {
            // A history that was long once does not keep its place.
            self.sealed.shrink_to(2 * self.sealed.len());
        }
        let len = batch.held_len();
        self.first += 1;
        self.held_len -= len;
        pool.history_len -= len;
        pool.texts.put(batch.take_buffer());
        true
    }

    /// When the oldest history is too old; [`Tick::NEVER`] if there is none.
    pub(in crate::room) fn expires(&self, pool: &Pool) -> Tick {
        let oldest = self.sealed.front();
        oldest.map_or(Tick::NEVER, |batch| {
            batch.sealed_at().after(pool.bounds.age)
        })
    }
}
