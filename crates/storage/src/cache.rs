//! Small parts of objects that were read before: footers, samples, the columns of small files.
//! Not here: reading (`pinned`).
//! Called by pinned stores, which share one cache per source.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use parking_lot::Mutex;

/// A larger range is read anew: what it would save is little beside the time that it takes anyway.
const LARGEST_RANGE: u64 = 1 << 20;
/// All ranges together.
const CAPACITY: usize = 32 << 20;

/// A bounded cache of ranges. An object is known by key and ETag, so that one that was replaced is another.
#[derive(Debug)]
pub(crate) struct RangeCache {
    ranges: Mutex<Ranges>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Ranges {
    objects: HashMap<(String, String), Vec<Entry>>,
    bytes: usize,
    /// Counts uses.
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    start: u64,
    bytes: Bytes,
    used: u64,
}

impl Default for RangeCache {
    fn default() -> Self {
        Self { ranges: Mutex::default(), capacity: CAPACITY }
    }
}

impl RangeCache {
    /// The bytes of a range, where one that holds it was read before.
    pub fn get(&self, key: &str, etag: &str, range: &Range<u64>) -> Option<Bytes> {
        let mut ranges = self.ranges.lock();
        ranges.clock += 1;
        let now = ranges.clock;
        let entries = ranges.objects.get_mut(&(key.to_owned(), etag.to_owned()))?;
        let entry = entries.iter_mut().find(|entry| entry.holds(range))?;
        entry.used = now;
        let start = usize::try_from(range.start - entry.start).ok()?;
        let length = usize::try_from(range.end - range.start).ok()?;
        Some(entry.bytes.slice(start..start + length))
    }

    /// Keeps a range, and forgets what has not been used for longest when there is too much.
    pub fn put(&self, key: &str, etag: &str, start: u64, bytes: &Bytes) {
        if bytes.is_empty() || bytes.len() as u64 > LARGEST_RANGE || bytes.len() > self.capacity {
            return;
        }
        let mut ranges = self.ranges.lock();
        ranges.clock += 1;
        let used = ranges.clock;
        let entries = ranges.objects.entry((key.to_owned(), etag.to_owned())).or_default();
        if entries.iter().any(|entry| entry.holds(&(start..start + bytes.len() as u64))) {
            return;
        }
        entries.push(Entry { start, bytes: bytes.clone(), used });
        ranges.bytes += bytes.len();
        if ranges.bytes > self.capacity {
            ranges.shrink(self.capacity / 4 * 3);
        }
    }
}

impl Entry {
    fn holds(&self, range: &Range<u64>) -> bool {
        self.start <= range.start && range.end <= self.start + self.bytes.len() as u64
    }
}

impl Ranges {
    /// Forgets the least recently used ranges until no more than `capacity` bytes are left.
    fn shrink(&mut self, capacity: usize) {
        let mut uses: Vec<(u64, usize)> =
            self.objects.values().flatten().map(|entry| (entry.used, entry.bytes.len())).collect();
        uses.sort_unstable();
        let mut excess = self.bytes.saturating_sub(capacity);
        let mut oldest_kept = 0;
        for (used, length) in uses {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(length);
            oldest_kept = used + 1;
        }
        for entries in self.objects.values_mut() {
            entries.retain(|entry| entry.used >= oldest_kept);
        }
        self.objects.retain(|_, entries| !entries.is_empty());
        self.bytes = self.objects.values().flatten().map(|entry| entry.bytes.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_within_known_ones_are_known() {
        let cache = RangeCache::default();
        cache.put("a", "1", 10, &Bytes::from_static(b"0123456789"));
        assert_eq!(cache.get("a", "1", &(12..15)).as_deref(), Some(&b"234"[..]));
        for (key, etag, range) in [("a", "1", 9..12), ("a", "1", 18..21), ("a", "2", 12..15), ("b", "1", 12..15)] {
            assert_eq!(cache.get(key, etag, &range), None, "{key} {etag} {range:?}");
        }
    }

    #[test]
    fn what_was_not_used_for_longest_is_forgotten() {
        let cache = RangeCache { ranges: Mutex::default(), capacity: 100 };
        let part = Bytes::from(vec![0; 30]);
        for key in ["a", "b", "c"] {
            cache.put(key, "1", 0, &part);
        }
        assert!(cache.get("a", "1", &(0..30)).is_some());
        cache.put("d", "1", 0, &part);
        let known: Vec<_> = ["a", "b", "c", "d"].map(|key| cache.get(key, "1", &(0..1)).is_some()).into();
        assert!(known[0] && !known[1] && !known[2], "{known:?}");
        assert!(cache.ranges.lock().bytes <= 100);
    }
}
