//! What a switch did with a frame.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use vxnet_common::reason::Reason;
use vxnet_tests::frame::describe;

use crate::layout::{Layout, Mac};

/// A place that was learned: VLAN, address and port.
pub(crate) type Lesson = (u16, Mac, u32);

#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Bytes by port.
    pub(crate) delivered: BTreeMap<u32, Vec<Vec<u8>>>,
    /// Rows of the table that are new or changed.
    pub(crate) learned: BTreeSet<Lesson>,
    /// Why vxnet dropped it; Open vSwitch has reasons of its own.
    pub(crate) reason: Option<Reason>,
}

impl PartialEq for Outcome {
    fn eq(&self, other: &Self) -> bool {
        (&self.delivered, &self.learned) == (&other.delivered, &other.learned)
    }
}

impl Outcome {
    /// Returns whether the frame left no trace.
    pub(crate) fn is_nothing(&self) -> bool {
        self.delivered.is_empty() && self.learned.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.delivered.is_empty() {
            let reason = self.reason.map_or("", Reason::name);
            writeln!(f, "      dropped {reason}")?;
        }
        for (port, frames) in &self.delivered {
            for frame in frames {
                let start = hex(&frame[..frame.len().min(22)]);
                writeln!(f, "      to port {port}: {start}… {}", describe(frame))?;
            }
        }
        for (vid, mac, port) in &self.learned {
            writeln!(f, "      learned {} in VLAN {vid} at port {port}", hex(mac))?;
        }
        Ok(())
    }
}

/// A switch that frames can be given to.
pub(crate) trait Switch {
    /// Sets up the ports, and the stations that are known.
    fn configure(&mut self, layout: &Layout) -> anyhow::Result<()>;

    /// Lets a frame in by a port; what is learned from it is forgotten afterwards.
    fn receive(&mut self, port: u32, frame: &[u8]) -> anyhow::Result<Outcome>;
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String grows");
        text
    })
}

/// Returns what a table has that it had not before.
pub(crate) fn lessons(
    before: &BTreeMap<(u16, Mac), u32>,
    after: &BTreeMap<(u16, Mac), u32>,
) -> BTreeSet<Lesson> {
    let fresh = after
        .iter()
        .filter(|(key, port)| before.get(key) != Some(port));
    fresh
        .map(|((vid, mac), port)| (*vid, *mac, *port))
        .collect()
}
