//! The daemon: keeps the host as the fabric says.
//!
//! It is not in the data path. It sets things up, follows links and routes as they come and go,
//! and frees expired FDB rows; when it ends, everything it made goes on.

mod events;
mod lock;

use std::{collections::BTreeSet, net::IpAddr, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep},
};

use self::events::Events;
use crate::{
    config,
    desired::{desired, doubts},
    host::{Kernel, Paths, floor, maps::Maps},
    model::Fabric,
    plan::Op,
    reconcile::converge,
};

pub use self::lock::{Lock, is_running};

/// How long to wait for more events before acting on the first: links change in bursts.
const SETTLE: Duration = Duration::from_millis(10);
/// How often the host is looked at without an event: what nobody announces is found then.
const PATROL: Duration = Duration::from_secs(5);

/// A fabric, and which of its hosts this is.
pub struct Assignment {
    pub fabric: Fabric,
    pub host: String,
}

impl Assignment {
    /// Loads the fabric and finds out which host this is: the one named, or the one of the
    /// machine's name.
    pub fn load(file: &Path, host: Option<&str>) -> Result<Self> {
        let fabric = config::load(file)?;
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
        Ok(Self { fabric, host })
    }

    /// Returns the underlay addresses of this host's peers.
    fn peers(&self) -> BTreeSet<IpAddr> {
        self.fabric
            .networks_of(&self.host)
            .flat_map(|network| self.fabric.peers_of(network, &self.host))
            .map(|peer| peer.underlay)
            .collect()
    }

    /// Returns what is probably not as the user means it, but keeps nothing from working.
    fn doubts(&self, kernel: &Kernel) -> Vec<String> {
        kernel
            .facts()
            .map(|facts| doubts(&self.fabric, &self.host, facts))
            .unwrap_or_default()
    }

    async fn converge(&self, kernel: &mut Kernel) -> Result<Vec<Op>> {
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

/// Applies a fabric once, and returns what had to be done and what is doubtful.
pub async fn apply(assignment: &Assignment, paths: &Paths) -> Result<(Vec<Op>, Vec<String>)> {
    floor::check()?;
    let _lock = Lock::take(paths)?;
    let mut kernel = Kernel::open(paths.clone(), assignment.peers(), false)?;
    let done = assignment.converge(&mut kernel).await?;
    Ok((done, assignment.doubts(&kernel)))
}

/// Keeps the host as the fabric says until told to stop.
pub async fn run(file: &Path, host: Option<&str>, paths: &Paths, log_packets: bool) -> Result<()> {
    let mut assignment = Assignment::load(file, host)?;
    floor::check()?;
    let _lock = Lock::take(paths)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut reload = signal(SignalKind::hangup())?;
    // Listening starts before the first look, so that nothing happens in between.
    let mut events = Events::listen()?;
    let mut kernel = Kernel::open(paths.clone(), assignment.peers(), log_packets)?;
    let done = assignment.converge(&mut kernel).await?;
    log::info!("host {} is ready ({} changes)", assignment.host, done.len());
    let mut doubts = Vec::new();
    tell(&mut doubts, assignment.doubts(&kernel));

    let mut patrol = interval(PATROL);
    patrol.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            alive = events.wait() => {
                alive?;
                sleep(SETTLE).await;
                events.drain();
            }
            _ = patrol.tick() => expire(&mut kernel),
            _ = reload.recv() => match Assignment::load(file, Some(&assignment.host)) {
                Ok(fresh) => {
                    kernel.set_peers(fresh.peers());
                    assignment = fresh;
                    log::info!("reloaded {}", file.display());
                }
                Err(error) => log::error!("kept the former fabric: {error:#}"),
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
        match assignment.converge(&mut kernel).await {
            Ok(done) => {
                for op in &done {
                    log::info!("{op}");
                }
                tell(&mut doubts, assignment.doubts(&kernel));
            }
            Err(error) => log::error!("{error:#}"),
        }
    }
    log::info!("stopping; the data path goes on (`vxnet teardown` removes it)");
    Ok(())
}

/// Logs doubts that have not been told already.
fn tell(told: &mut Vec<String>, doubts: Vec<String>) {
    for doubt in doubts.iter().filter(|doubt| !told.contains(doubt)) {
        log::warn!("{doubt}");
    }
    *told = doubts;
}

/// Frees expired FDB rows. They are dead already: the data path checks the age at each look-up.
fn expire(kernel: &mut Kernel) {
    let expired = kernel.maps().and_then(Maps::expire_fdb);
    match expired {
        Ok(0) => {}
        Ok(count) => log::debug!("{count} FDB rows expired"),
        Err(error) => log::warn!("cannot free expired FDB rows: {error:#}"),
    }
}
