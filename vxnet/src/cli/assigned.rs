//! Which fabric, and which of its hosts: the arguments of all commands that bring a host to it.

use std::path::PathBuf;

use anyhow::Result;

use crate::daemon::Assignment;

/// A fabric file and one of its hosts.
#[derive(clap::Args)]
pub(super) struct Assigned {
    /// The fabric file
    #[arg(long, default_value = "/etc/vxnet/fabric.toml", value_name = "FILE")]
    pub(super) config: PathBuf,
    /// Which host of the fabric this is; by default the one of this machine's name
    #[arg(long, value_name = "NAME")]
    pub(super) host: Option<String>,
}

impl Assigned {
    pub(super) fn load(&self) -> Result<Assignment> {
        Assignment::load(&self.config, self.host.as_deref())
    }
}
