//! Slots of array maps: a thing keeps its slot for as long as it lives.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

/// Gives each wanted key a slot from 1 below `limit`: the one it has, or else a free one.
///
/// A slot that is being given up is not handed to another key in the same step, so that no program
/// sees it change owner while a row elsewhere still points to it.
pub fn allocate<K: Ord + Clone>(
    what: &str,
    held: &BTreeMap<K, u32>,
    wanted: impl IntoIterator<Item = K>,
    limit: u32,
) -> Result<BTreeMap<K, u32>> {
    let taken: BTreeSet<u32> = held.values().copied().collect();
    let mut free = (1..limit).filter(|slot| !taken.contains(slot));
    let mut slots = BTreeMap::new();
    for key in wanted {
        let slot = match held.get(&key) {
            Some(slot) => *slot,
            None => match free.next() {
                Some(slot) => slot,
                None => bail!("no room for more than {} {what}", limit - 1),
            },
        };
        slots.insert(key, slot);
    }
    Ok(slots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_slots_and_given_up_ones_rest() {
        let held = BTreeMap::from([("a", 1), ("b", 2)]);
        let slots = allocate("things", &held, ["b", "c"], 8).unwrap();
        assert_eq!(slots, BTreeMap::from([("b", 2), ("c", 3)]));
        let held = slots;
        assert_eq!(
            allocate("things", &held, ["d"], 8).unwrap(),
            BTreeMap::from([("d", 1)])
        );
    }

    #[test]
    fn slot_0_is_never_given() {
        assert!(allocate("things", &BTreeMap::new(), ["a"], 1).is_err());
        let error = allocate("ports", &BTreeMap::new(), ["a", "b"], 2).unwrap_err();
        assert_eq!(error.to_string(), "no room for more than 1 ports");
    }
}
