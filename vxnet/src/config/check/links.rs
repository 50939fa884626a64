//! The links of a host, each of which serves one purpose.

use std::{collections::BTreeMap, ops::Range};

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Uplink,
    Multicast,
    Trunk,
}

impl Role {
    /// Returns what a link is, as in "`eth0` is an uplink of host `host1`".
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Uplink => "an uplink",
            Self::Multicast => "the multicast link",
            Self::Trunk => "a trunk link",
        }
    }
}

/// The links of a host to the outside, by name, each with its role and where that was given.
#[derive(Debug)]
pub(super) struct Links<'a>(BTreeMap<&'a str, (Role, Range<usize>)>);

impl<'a> Links<'a> {
    pub(super) fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Gives a link a role, or returns the one it has.
    pub(super) fn claim(
        &mut self,
        link: &'a str,
        role: Role,
        place: Range<usize>,
    ) -> Option<(Role, Range<usize>)> {
        let taken = self.find(link);
        if taken.is_none() {
            self.0.insert(link, (role, place));
        }
        taken
    }

    /// Returns the role of a link and where it was given.
    pub(super) fn find(&self, link: &str) -> Option<(Role, Range<usize>)> {
        self.0.get(link).cloned()
    }
}
