//! What was asked for lately, in bounded memory.
//!
//! Two generations: when the young one is full, it becomes the old one and what was old is
//! dropped. What is asked for again becomes young again.

use std::collections::HashMap;
use std::hash::Hash;

/// Keeps at least the last `most` values, and at most twice as many.
pub(crate) struct Recent<K, V> {
    most: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Hash + Eq + Clone, V: Clone> Recent<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, young: HashMap::new(), old: HashMap::new() }
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.most {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.put(key, value.clone());
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_last_stays_and_memory_is_bounded() {
        let mut recent = Recent::new(3);
        for number in 0..100 {
            recent.put(number, number * 2);
            assert!(recent.young.len() + recent.old.len() <= 6);
            assert_eq!(recent.get(&number), Some(number * 2));
            assert_eq!(recent.get(&0), Some(0), "asked for each time");
        }
        assert_eq!(recent.get(&50), None);
    }
}
