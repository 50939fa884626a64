//! What became of a frame.

use std::{collections::BTreeMap, fmt::Write as _};

use vxnet_common::reason::Reason;
use vxnet_tests::frame::describe;

use crate::counters::{Counter, Counts};
use crate::fabric::{Family, UPLINK};
use crate::green;

/// Who got something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Receiver {
    /// The port in that slot; the host is a port too.
    Port(u32),
    /// The peer in that slot.
    Vtep(u32),
}

/// A row of the FDB without its clock: segment and address, then `place` and slot.
pub(crate) type Row = ((u32, [u8; 6]), (u8, u32));

/// All rows of the FDB.
pub(crate) type Fdb = BTreeMap<(u32, [u8; 6]), (u8, u32)>;

/// All that a frame brought about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The host's stack gets the frame as it came.
    pub(crate) passed: bool,
    /// Bytes by receiver; those of a peer with a source port of [`PORT_FOR_COMPARISON`].
    pub(crate) delivered: BTreeMap<Receiver, Vec<Vec<u8>>>,
    pub(crate) counts: Counts,
    /// Rows that were not there before, or not so.
    pub(crate) learned: Vec<Row>,
}

/// The outer source port depends on a secret of the kernel's; it is judged by its range and then
/// replaced by this one, so that packets can be compared.
const PORT_FOR_COMPARISON: u16 = 50_000;

impl Outcome {
    /// Adds a delivery.
    pub(crate) fn deliver(&mut self, family: Family, to: Receiver, mut frame: Vec<u8>) {
        if matches!(to, Receiver::Vtep(_)) {
            let udp = family.udp();
            // Out of the range that RFC 7348 recommends (R7348-10), it stays and will differ.
            if let Some(port) = frame.get_mut(udp..udp + 2)
                && port[0] >= 0xc0
            {
                port.copy_from_slice(&PORT_FOR_COMPARISON.to_be_bytes());
            }
        }
        self.delivered.entry(to).or_default().push(frame);
    }

    /// Counts what must be counted for the deliveries.
    pub(crate) fn count_deliveries(&mut self, family: Family) {
        for (receiver, frames) in &self.delivered {
            for frame in frames {
                let length = green::untagged_len(frame) as u64;
                let (packets, bytes, length) = match *receiver {
                    Receiver::Port(slot) => {
                        (Counter::PortTx(slot), Counter::PortTxBytes(slot), length)
                    }
                    Receiver::Vtep(slot) => {
                        let inner = length - family.outer_len() as u64;
                        (Counter::VtepTx(slot), Counter::VtepTxBytes(slot), inner)
                    }
                };
                *self.counts.entry(packets).or_default() += 1;
                *self.counts.entry(bytes).or_default() += length;
            }
        }
    }

    /// Counts what a port sent into the switch.
    pub(crate) fn count_port_rx(&mut self, slot: u32, bytes: usize) {
        *self.counts.entry(Counter::PortRx(slot)).or_default() += 1;
        *self.counts.entry(Counter::PortRxBytes(slot)).or_default() += bytes as u64;
    }

    /// Counts an accepted packet of a peer.
    pub(crate) fn count_vtep_rx(&mut self, slot: u32, bytes: usize) {
        self.count_port_rx(UPLINK, bytes);
        *self.counts.entry(Counter::VtepRx(slot)).or_default() += 1;
        *self.counts.entry(Counter::VtepRxBytes(slot)).or_default() += bytes as u64;
    }

    /// Counts a drop or a notice.
    pub(crate) fn count_drop(&mut self, slot: u32, reason: Reason) {
        *self.counts.entry(Counter::Drop(slot, reason)).or_default() += 1;
    }

    /// Counts a packet that the host got.
    pub(crate) fn count_passed(&mut self, bytes: usize) {
        self.count_port_rx(UPLINK, bytes);
        *self.counts.entry(Counter::Passed(UPLINK)).or_default() += 1;
    }

    /// Counts the copies that must have been made for the account to balance: what came in and what
    /// was made of it is what went out, was passed on or was dropped.
    pub(crate) fn balance(&mut self, sender: u32) {
        let (mut came, mut left) = (0, 0);
        for (counter, count) in &self.counts {
            match counter {
                Counter::PortRx(_) => came += count,
                Counter::PortTx(_)
                | Counter::VtepTx(_)
                | Counter::Passed(_)
                | Counter::Merged(_) => left += count,
                Counter::Drop(_, reason) if !reason.is_notice() => left += count,
                _ => {}
            }
        }
        if left > came {
            self.counts.insert(Counter::Replicas(sender), left - came);
        }
    }

    /// Returns how another outcome differs, or `None`.
    pub(crate) fn difference(&self, got: &Self) -> Option<String> {
        if self == got {
            return None;
        }
        let mut text = String::new();
        if self.passed != got.passed {
            writeln!(text, "    passed to the host: {}", got.passed).expect("a String grows");
        }
        if self.delivered != got.delivered {
            for (name, side) in [("expected", self), ("got", got)] {
                writeln!(text, "    {name} deliveries:").expect("a String grows");
                for (receiver, frames) in &side.delivered {
                    for frame in frames {
                        let said = describe(frame);
                        writeln!(text, "      {receiver:?}: {said}\n        {}", hex(frame))
                            .expect("a String grows");
                    }
                }
            }
        }
        if self.counts != got.counts {
            let (expected, got) = (&self.counts, &got.counts);
            writeln!(
                text,
                "    expected counts {expected:?}\n    got counts      {got:?}"
            )
            .expect("a String grows");
        }
        if self.learned != got.learned {
            let (expected, got) = (&self.learned, &got.learned);
            writeln!(
                text,
                "    expected to learn {expected:x?}\n    learned           {got:x?}"
            )
            .expect("a String grows");
        }
        Some(text)
    }
}

fn hex(frame: &[u8]) -> String {
    frame.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String grows");
        text
    })
}
