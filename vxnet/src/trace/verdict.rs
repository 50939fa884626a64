//! What becomes of a frame.

use serde::{Serialize, Serializer};
use vxnet_common::reason::Reason;

/// What becomes of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Verdict {
    /// It, or a copy of it, goes to each of these.
    Delivered { receivers: Vec<Receiver> },
    /// Nobody gets it.
    Dropped {
        #[serde(serialize_with = "name")]
        reason: Reason,
    },
    /// The host gets the packet as it came.
    Passed,
    /// The switch answers in the place of the station that has `address`.
    Answered { address: String, mac: String },
    /// The frame is dropped, and its sender told that `mtu` bytes would fit.
    TooBig { mtu: u32 },
}

/// Somebody who gets a frame.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Receiver {
    pub kind: ReceiverKind,
    /// Slot of `PORTS`, or of `VTEPS` for a peer.
    pub slot: u32,
    /// The link's name, or the peer's address.
    pub name: String,
    /// The VLAN and the priority bits of the tag that the frame leaves with.
    pub vlan: Option<u16>,
    pub pcp: Option<u8>,
}

/// What a receiver is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiverKind {
    Port,
    Host,
    Vtep,
}

/// A copy that does not reach its receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    pub receiver: Receiver,
    #[serde(serialize_with = "name")]
    pub reason: Reason,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn name<S: Serializer>(reason: &Reason, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(reason.name())
}

pub(super) fn names<S: Serializer>(reasons: &[Reason], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(reasons.iter().map(|reason| reason.name()))
}
