//! How a segment floods.

use std::fmt;

use serde::Serialize;
use vxnet_common::{
    addr::VtepAddr,
    map::segment::{Segment, flag},
};

/// How a segment floods.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Flood {
    /// `head-end` (a copy for each host), `group` (one for a multicast group), `local` (not over
    /// the overlay) or `off`.
    mode: &'static str,
    /// How many copies leave over the overlay.
    copies: u32,
    group: Option<String>,
    /// Kinds of frames that are not flooded.
    off: Vec<&'static str>,
}

impl Flood {
    /// Returns how a segment floods.
    pub(super) fn of(row: &Segment) -> Self {
        let off: Vec<&'static str> = [
            (flag::NO_UNKNOWN, "unknown-unicast"),
            (flag::NO_BROADCAST, "broadcast"),
            (flag::NO_MULTICAST, "multicast"),
        ]
        .into_iter()
        .filter(|(bit, _)| row.flags & bit != 0)
        .map(|(_, name)| name)
        .collect();
        let mode = match row {
            _ if off.len() == 3 => "off",
            Segment { vni: 0, .. } => "local",
            _ if row.group == VtepAddr::NONE => "head-end",
            _ => "group",
        };
        Self {
            mode,
            copies: if row.vni == 0 { 0 } else { row.flood_vteps },
            group: (row.group != VtepAddr::NONE).then(|| row.group.to_string()),
            off,
        }
    }
}

impl fmt::Display for Flood {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.mode, &self.group) {
            ("off", _) => return out.write_str("off"),
            ("group", Some(group)) => write!(out, "group {group}")?,
            ("head-end", _) => write!(out, "head-end {}", self.copies)?,
            (mode, _) => out.write_str(mode)?,
        }
        self.off
            .iter()
            .try_for_each(|kind| write!(out, ", no {kind}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_has_its_words() {
        let row = Segment {
            vni: 10,
            flood_vteps: 2,
            ..Segment::FREE
        };
        let told = |row: Segment| Flood::of(&row).to_string();
        assert_eq!(told(row), "head-end 2");
        let group = VtepAddr::v4([239, 0, 0, 10]);
        assert_eq!(told(Segment { group, ..row }), "group 239.0.0.10");
        assert_eq!(told(Segment { vni: 0, ..row }), "local");
        let flags = flag::NO_UNKNOWN | flag::NO_MULTICAST;
        let text = "head-end 2, no unknown-unicast, no multicast";
        assert_eq!(told(Segment { flags, ..row }), text);
        let flags = flags | flag::NO_BROADCAST;
        assert_eq!(told(Segment { flags, ..row }), "off");
    }
}
