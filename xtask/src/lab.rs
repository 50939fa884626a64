//! The tools that labs and tests start.

use std::path::PathBuf;

use anyhow::Result;

use crate::apt;

/// A program, the Debian package it comes from, and what it is for.
pub(crate) struct Tool {
    pub(crate) binary: &'static str,
    package: &'static str,
    pub(crate) purpose: &'static str,
}

const fn tool(binary: &'static str, package: &'static str, purpose: &'static str) -> Tool {
    Tool {
        binary,
        package,
        purpose,
    }
}

pub(crate) const TOOLS: &[Tool] = &[
    tool(
        "arping",
        "iputils-arping",
        "announces a router's new address",
    ),
    tool(
        "bpftool",
        "bpftool",
        "reads maps and programs independently",
    ),
    tool("ethtool", "ethtool", "sets offloads"),
    tool("ip", "iproute2", "builds namespaces and reads them back"),
    tool("iperf3", "iperf3", "measures throughput"),
    tool("nft", "nftables", "reads the firewall back"),
    tool("ping", "iputils-ping", "judges reachability"),
    tool("tcpdump", "tcpdump", "captures"),
    tool("tshark", "tshark", "decodes captures independently"),
];

/// Only for what compares with it: its package starts a service.
const OPEN_VSWITCH: &[Tool] = &[tool(
    "ovs-vswitchd",
    "openvswitch-switch",
    "says what another switch would do",
)];

impl Tool {
    /// Returns where the tool is installed.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        apt::find(self.binary)
    }
}

/// Makes sure that every tool is there, installing what is missing.
pub(crate) fn ensure() -> Result<()> {
    install(TOOLS)
}

/// Makes sure that Open vSwitch is there.
pub(crate) fn ensure_open_vswitch() -> Result<()> {
    install(OPEN_VSWITCH)
}

fn install(tools: &[Tool]) -> Result<()> {
    let missing: Vec<_> = tools.iter().filter(|tool| tool.path().is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<_> = missing.iter().map(|tool| tool.package).collect();
    packages.dedup();
    let binaries: Vec<_> = missing.iter().map(|tool| tool.binary).collect();
    apt::install(
        &packages,
        &format!("the labs and tests start {}", binaries.join(", ")),
    )
}
