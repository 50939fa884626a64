//! Addresses that move so often that the FDB no longer follows: what is told of them, and how
//! often.
//!
//! Pure: the time is passed in.

use std::collections::BTreeMap;

use vxnet_common::map::fdb::FdbKey;

/// How long nothing more is said of an address, in nanoseconds.
const PAUSE: u64 = 1_000_000_000;
/// How many lines a [`PAUSE`] may have: a guest can make up any number of addresses.
const LINES: usize = 32;

/// The addresses that were told of last, and when.
#[derive(Debug, Default)]
pub(super) struct Flaps {
    told: BTreeMap<FdbKey, u64>,
}

impl Flaps {
    /// Returns whether an address is to be told of now, and takes it that it is.
    pub(super) fn is_news(&mut self, key: FdbKey, now: u64) -> bool {
        self.told
            .retain(|_, told| now.saturating_sub(*told) < PAUSE);
        if self.told.contains_key(&key) || self.told.len() >= LINES {
            return false;
        }
        self.told.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use vxnet_common::addr::Mac;

    use super::*;

    fn key(last: u8) -> FdbKey {
        FdbKey::new(1, Mac([2, 0, 0, 0, 0, last]))
    }

    #[test]
    fn an_address_is_told_of_once_a_second() {
        let mut flaps = Flaps::default();
        assert!(flaps.is_news(key(1), 5));
        assert!(!flaps.is_news(key(1), 5 + PAUSE - 1));
        assert!(flaps.is_news(key(2), 6), "another address is its own news");
        assert!(flaps.is_news(key(1), 5 + PAUSE));
    }

    #[test]
    fn made_up_addresses_do_not_flood_the_log() {
        let mut flaps = Flaps::default();
        let told = (0..200).filter(|last| flaps.is_news(key(*last), 5)).count();
        assert_eq!(told, LINES);
        assert!(flaps.is_news(key(250), 5 + PAUSE));
    }
}
