//! What the fields of a file mean, alone and together: raw tables in, the model out.
//!
//! A value at fault is reported once and left out; what depends on it is then not judged, so that
//! one mistake makes one diagnostic.

mod addresses;
mod ageing;
mod gateways;
mod hosts;
mod names;
mod networks;
mod presence;
mod subnets;

use std::{collections::BTreeMap, ops::Range};

use self::hosts::Hosts;
use super::{
    diagnostic::{Diagnostic, Findings},
    raw,
};
use crate::model::{self, VXLAN_PORT};

/// How many (network, host) pairs a fabric may have. Without a limit a file of 1 MiB could ask for
/// 16 000 networks on each of 16 000 hosts.
const MAX_PRESENCES: usize = 1 << 20;

/// Returns the fabric, or `None` if the file is too faulty to make one; the caller refuses it if
/// there is any finding.
pub(super) fn fabric(raw: &raw::Fabric, findings: &mut Findings) -> Option<model::Fabric> {
    let hosts = Hosts::check(raw, findings);
    let network_count = raw
        .network
        .value()
        .map_or(0, |networks| networks.in_file_order().len());
    if hosts.len().saturating_mul(network_count) > MAX_PRESENCES {
        let message = format!(
            "{network_count} networks on {} hosts are more than vxnet can serve",
            hosts.len(),
        );
        let help = format!("keep networks times hosts below {MAX_PRESENCES}");
        findings.add(Diagnostic::of_file(message).help(help));
        return None;
    }
    let networks = networks::check(raw, &hosts, findings);
    Some(model::Fabric {
        hosts: hosts.into_model(),
        networks,
        port: raw.port.value().copied().unwrap_or(VXLAN_PORT),
    })
}

/// Who was first to use a value that must be unique.
struct Unique<T>(BTreeMap<T, Range<usize>>);

impl<T: Ord> Unique<T> {
    fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Claims a value, or returns the place of the first who did.
    fn claim(&mut self, value: T, span: Range<usize>) -> Option<Range<usize>> {
        if let Some(first) = self.0.get(&value) {
            return Some(first.clone());
        }
        self.0.insert(value, span);
        None
    }
}
