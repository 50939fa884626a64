//! iperf3 between two namespaces.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::counters::Counters;
use crate::netns::Netns;
use crate::scope::Scope;
use crate::wait::eventually;

const PORT: u16 = 5201;
const START: Duration = Duration::from_secs(5);

/// What to send.
#[derive(Debug, Clone, Copy)]
pub enum Load {
    /// One bulk flow.
    Tcp,
    /// One bulk flow that never has more than so many bytes on the way.
    TcpWindow(u32),
    /// Datagrams of `length` bytes, at `rate` (as iperf3 writes it; `0` is unlimited).
    Udp { length: u32, rate: &'static str },
}

/// iperf3's own summary, and the order in which the segments came.
#[derive(Debug, Clone, Copy)]
pub struct IperfResult {
    pub gbit_per_s: f64,
    /// Segments that the receiver had to queue out of order.
    pub out_of_order: u64,
    /// How often the sender learned that the network reorders.
    pub sack_reordered: u64,
    pub retransmits: u64,
    pub lost_percent: f64,
}

/// Sends from `client` to `server` for `seconds`.
pub fn run(
    scope: &Scope,
    client: &Netns,
    server: &Netns,
    target: impl Into<IpAddr>,
    load: Load,
    seconds: u32,
) -> Result<IperfResult> {
    let target = target.into();
    let log = scope.directory().join(format!("iperf-{server}.log"));
    let mut listener = server
        .line(&format!("iperf3 -s -1 -p {PORT} -B {target}"))
        .spawn(&log)?;
    eventually(START, || {
        let listening = server.line(&format!("ss -Hltn sport = :{PORT}")).run()?;
        ensure!(
            !listening.is_empty() || !listener.is_running(),
            "iperf3 does not listen"
        );
        Ok(())
    })?;
    ensure!(listener.is_running(), "iperf3 server: {}", listener.log());
    let before = [server, client].map(Counters::read);
    let mut line = format!("iperf3 -J -p {PORT} -c {target} -t {seconds}");
    match load {
        Load::Tcp => {}
        // The kernel doubles it, for its own use.
        Load::TcpWindow(bytes) => write!(line, " -w {}", bytes / 2)?,
        Load::Udp { length, rate } => write!(line, " -u -l {length} -b {rate}")?,
    }
    let report = client
        .line(&line)
        .timeout(Duration::from_secs(u64::from(seconds) + 15))
        .json()
        .with_context(|| format!("server: {}", listener.log()))?;
    let [receiver, sender] = before;
    let out_of_order = Counters::read(server)?.since(&receiver?, "TcpExt.TCPOFOQueue");
    let sack_reordered = Counters::read(client)?.since(&sender?, "TcpExt.TCPSACKReorder");
    Ok(IperfResult {
        out_of_order,
        sack_reordered,
        ..summary(&report)?
    })
}

fn summary(report: &Value) -> Result<IperfResult> {
    let end = &report["end"];
    let received = if end["sum_received"].is_object() {
        &end["sum_received"]
    } else {
        &end["sum"]
    };
    let bits = received["bits_per_second"].as_f64();
    let bits = bits.with_context(|| format!("iperf3 reported no rate: {report}"))?;
    let lost = received["lost_percent"].as_f64().unwrap_or(0.0);
    // For UDP, iperf3 older than 3.15 reports under `sum` the rate of the sender.
    let arrived = if end["sum_received"].is_object() {
        1.0
    } else {
        1.0 - lost / 100.0
    };
    Ok(IperfResult {
        gbit_per_s: bits * arrived / 1e9,
        out_of_order: 0,
        sack_reordered: 0,
        retransmits: end["sum_sent"]["retransmits"].as_u64().unwrap_or(0),
        lost_percent: lost,
    })
}

/// The median of `figures`.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
