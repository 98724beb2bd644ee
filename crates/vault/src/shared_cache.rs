//! Values that are costly to make, kept for whoever asks next, made once at a time.
//!
//! Threads that ask for the same value while it is made wait for it; others do not. When the weight
//! of all is above the limit, the least recently asked for go.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps values of limited weight.
pub(crate) struct SharedCache<K, V> {
    limit: usize,
    inner: Mutex<Inner<K, V>>,
}

struct Inner<K, V> {
    slots: HashMap<K, Slot<V>>,
    weight: usize,
    clock: u64,
}

struct Slot<V> {
    value: Arc<Mutex<Option<V>>>,
    weight: usize,
    used: u64,
}

impl<K: Hash + Eq + Clone, V: Clone> SharedCache<K, V> {
    /// Keeps values of this weight in all.
    pub(crate) fn new(limit: usize) -> Self {
        let inner = Inner { slots: HashMap::new(), weight: 0, clock: 0 };
        Self { limit, inner: Mutex::new(inner) }
    }

    /// The value of a key; `make` gives it with its weight when it is not kept.
    pub(crate) fn get<E>(
        &self,
        key: &K,
        make: impl FnOnce() -> Result<(V, usize), E>,
    ) -> Result<V, E> {
        let slot = self.slot(key);
        let mut value = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = &*value {
            return Ok(value.clone());
        }
        match make() {
            Ok((made, weight)) => {
                *value = Some(made.clone());
                drop(value);
                self.weigh(key, weight);
                Ok(made)
            }
            Err(error) => {
                drop(value);
                self.forget(key);
                Err(error)
            }
        }
    }

    /// Makes the value of a key anew when it is asked for again.
    pub(crate) fn forget(&self, key: &K) {
        let mut inner = self.lock();
        if let Some(slot) = inner.slots.remove(key) {
            inner.weight -= slot.weight;
        }
    }

    fn slot(&self, key: &K) -> Arc<Mutex<Option<V>>> {
        let mut inner = self.lock();
        inner.clock += 1;
        let used = inner.clock;
        let slot = inner.slots.entry(key.clone()).or_insert_with(|| Slot {
            value: Arc::default(),
            weight: 0,
            used,
        });
        slot.used = used;
        slot.value.clone()
    }

    fn weigh(&self, key: &K, weight: usize) {
        let mut inner = self.lock();
        if let Some(slot) = inner.slots.get_mut(key) {
            let before = std::mem::replace(&mut slot.weight, weight);
            inner.weight = inner.weight - before + weight;
        }
        while inner.weight > self.limit {
            let oldest =
                inner.slots.iter().filter(|(_, s)| s.weight > 0).min_by_key(|(_, s)| s.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
            if let Some(slot) = inner.slots.remove(&oldest) {
                inner.weight -= slot.weight;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner<K, V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_and_the_oldest_go_first() {
        let cache = SharedCache::new(2);
        let made = std::cell::Cell::new(0);
        let get = |key: u32| {
            cache.get(&key, || {
                made.set(made.get() + 1);
                Ok::<_, ()>((key * 10, 1))
            })
        };
        for (key, made_then) in [(1, 1), (2, 2), (1, 2), (3, 3), (1, 3), (2, 4)] {
            assert_eq!(get(key), Ok(key * 10));
            assert_eq!(made.get(), made_then, "after {key}");
        }
    }

    #[test]
    fn an_error_is_not_kept() {
        let cache: SharedCache<u32, u32> = SharedCache::new(2);
        assert_eq!(cache.get(&1, || Err("no")), Err("no"));
        assert_eq!(cache.get(&1, || Ok::<_, &str>((5, 1))), Ok(5));
    }
}
