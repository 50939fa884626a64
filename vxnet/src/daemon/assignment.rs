//! Which host of which fabric this is, and bringing it there.

use std::{collections::BTreeSet, net::IpAddr, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    config,
    desired::{desired, doubts},
    host::{Kernel, Paths},
    model::Fabric,
    plan::Op,
    reconcile::converge,
    state::Observed,
};

/// A fabric, and which of its hosts this is.
#[derive(Clone)]
pub struct Assignment {
    pub fabric: Fabric,
    pub host: String,
    /// The file that says so.
    pub(super) text: String,
}

impl Assignment {
    /// Loads the fabric and finds out which host this is: the one named, or the one of the
    /// machine's name.
    pub fn load(file: &Path, host: Option<&str>) -> Result<Self> {
        let (fabric, text) = config::load_with_text(file)?;
        let host = match host {
            Some(host) => host.to_owned(),
            None => own_name(&fabric)?,
        };
        if !fabric.hosts.contains_key(&host) {
            let names: Vec<&str> = fabric.hosts.keys().map(String::as_str).collect();
            anyhow::bail!(
                "{} has no host \"{host}\"\nhint: its hosts are {}",
                file.display(),
                names.join(", ")
            );
        }
        Ok(Self { fabric, host, text })
    }

    /// Returns what a text says, if it has that host.
    pub(super) fn of_text(text: String, host: String) -> Option<Self> {
        let fabric = config::parse("", &text).ok()?;
        let has_host = fabric.hosts.contains_key(&host);
        has_host.then_some(Self { fabric, host, text })
    }

    /// Returns whether another says the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        (&self.text, &self.host) == (&other.text, &other.host)
    }

    /// Returns the underlay addresses of this host's peers.
    pub(super) fn peers(&self) -> BTreeSet<IpAddr> {
        self.fabric
            .networks_of(&self.host)
            .flat_map(|network| self.fabric.peers_of(network, &self.host))
            .map(|peer| peer.underlay)
            .collect()
    }

    /// Returns what is probably not as the user means it, but keeps nothing from working.
    pub(super) fn doubts(&self, kernel: &Kernel) -> Vec<String> {
        kernel
            .facts()
            .map(|facts| doubts(&self.fabric, &self.host, facts))
            .unwrap_or_default()
    }

    /// Refuses what this host cannot become, before anything is made. Where something is set up, the
    /// first look tells as well, and a restart need not look twice.
    pub(super) async fn judge(&self, paths: &Paths) -> Result<()> {
        if paths.maps().exists() {
            return Ok(());
        }
        let facts = Kernel::facts_alone(paths.clone(), self.peers()).await?;
        let observed = Observed {
            facts,
            ..Observed::default()
        };
        desired(&self.fabric, &self.host, &observed).map(drop)
    }

    pub(super) async fn converge(&self, kernel: &mut Kernel) -> Result<Vec<Op>> {
        converge(kernel, |observed| {
            desired(&self.fabric, &self.host, observed)
        })
        .await
    }
}

/// Finds the host that bears this machine's name, with or without its domain.
fn own_name(fabric: &Fabric) -> Result<String> {
    let full = nix::unistd::gethostname().context("cannot read the machine's name")?;
    let full = full.to_string_lossy().into_owned();
    let short = full.split('.').next().unwrap_or(&full).to_owned();
    [full, short.clone()]
        .into_iter()
        .find(|name| fabric.hosts.contains_key(name))
        .with_context(|| {
            format!(
                "the fabric has no host \"{short}\", which is this machine's name\nhint: say \
                 which host this is with --host NAME"
            )
        })
}
