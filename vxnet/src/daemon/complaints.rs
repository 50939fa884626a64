//! What does not work, told once while it lasts.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Result;

/// An error that has not come for so long is over: longer than the watch waits before it tries
/// again what it does most seldom.
const OVER: Duration = Duration::from_secs(20);

/// Errors by what could not be done, each with the time when it came last.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    last: BTreeMap<&'static str, Instant>,
}

impl Complaints {
    /// Logs an error that is news, and returns what went well.
    pub(super) fn take<T>(&mut self, what: &'static str, result: Result<T>) -> Option<T> {
        match result {
            Ok(done) => Some(done),
            Err(error) => {
                if self.is_news(what, Instant::now()) {
                    log::error!("cannot {what}: {error:#}");
                }
                None
            }
        }
    }

    /// Returns whether an error is another one than that which lasts.
    fn is_news(&mut self, what: &'static str, now: Instant) -> bool {
        let last = self.last.insert(what, now);
        last.is_none_or(|last| now.saturating_duration_since(last) > OVER)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn an_error_is_told_once_while_it_lasts() {
        let (mut complaints, start) = (Complaints::default(), Instant::now());
        let mut told = |what, after| complaints.is_news(what, start + after);
        assert!(told("write", Duration::ZERO));
        // However long it lasts.
        for turn in 1..=1_000 {
            assert!(!told("write", turn * Duration::from_millis(250)));
        }
        assert!(told("read", Duration::from_secs(251)), "of another kind");
        assert!(!told("write", Duration::from_secs(252)));
        assert!(told("write", Duration::from_mins(5)), "anew");
    }

    #[test]
    fn what_went_well_is_passed_on() {
        let mut complaints = Complaints::default();
        assert_eq!(complaints.take("read", Ok(7)), Some(7));
        assert_eq!(complaints.take::<u8>("read", Err(anyhow!("gone"))), None);
    }
}
