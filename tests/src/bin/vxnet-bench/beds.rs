//! The beds that stand, and the peers that cannot be had here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::bed::{Bed, Spec};
use crate::peer::{Peer, vxnet};
use crate::report::Report;

/// What a bed was made of, for the report.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) spec: Spec,
    pub(crate) commands: Vec<String>,
    pub(crate) links: String,
    /// For vxnet, the path that its uplink really receives through.
    pub(crate) receives_through: Option<String>,
}

/// Builds beds when they are needed.
pub(crate) struct Beds {
    binary: PathBuf,
    standing: Vec<Bed>,
    /// Peers that cannot be built here, and why.
    pub(crate) missing: BTreeMap<&'static str, String>,
    pub(crate) built: Vec<Built>,
}

impl Beds {
    pub(crate) fn new(binary: PathBuf) -> Self {
        Self {
            binary,
            standing: Vec::new(),
            missing: BTreeMap::new(),
            built: Vec::new(),
        }
    }

    /// Makes sure that the bed stands; `false` if that peer cannot be had here. Only OVS may be
    /// missing: the others are parts of the kernel, or what is measured.
    pub(crate) fn ensure(&mut self, spec: Spec) -> Result<bool> {
        let label = spec.peer.label();
        if self.missing.contains_key(label) {
            return Ok(false);
        }
        if self.standing.iter().any(|bed| bed.spec == spec) {
            return Ok(true);
        }
        let bed = match Bed::build(spec, &self.binary) {
            Ok(bed) => bed,
            Err(error) if spec.peer.is_ovs() => {
                Report::progress(&format!("{label} is left out: {error:#}"));
                self.missing.insert(label, format!("{error:#}"));
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let through = match bed.vxnets.last() {
            Some(vxnet) => Some(vxnet::receives_through(vxnet)?),
            None => None,
        };
        self.built.push(Built {
            spec,
            commands: bed.commands(),
            links: bed.links()?,
            receives_through: through,
        });
        self.standing.push(bed);
        Ok(true)
    }

    pub(crate) fn get(&self, spec: Spec) -> Result<&Bed> {
        let mut found = self.standing.iter().filter(|bed| bed.spec == spec);
        found.next().with_context(|| format!("no bed for {spec:?}"))
    }

    /// Removes the beds that nobody needs any more.
    pub(crate) fn keep(&mut self, needed: impl Fn(Spec) -> bool) {
        self.standing.retain(|bed| needed(bed.spec));
    }

    /// The first bed of each peer.
    pub(crate) fn first_of(&self, peer: Peer) -> Option<&Built> {
        let label = peer.label();
        let mut found = self
            .built
            .iter()
            .filter(|built| built.spec.peer.label() == label);
        found.next()
    }
}
