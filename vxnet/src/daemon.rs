//! The daemon: keeps the host as the fabric says.
//!
//! It is not in the data path. It sets things up, follows links and routes as they come and go,
//! frees expired FDB rows and looks for loops; when it ends, everything it made goes on.

mod assignment;
mod complaints;
mod events;
mod flaps;
mod former;
mod lock;
mod loops;
mod once;
mod places;
mod probes;
mod warnings;
mod watch;

use std::{path::Path, time::Duration};

use anyhow::Result;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep},
};

use self::{events::Events, former::Former, once::Refusal, warnings::Warnings, watch::Watch};
use crate::host::{Kernel, Paths, floor, maps::Maps};

pub use self::{
    assignment::Assignment,
    lock::{Lock, is_running},
    loops::{Loop, loops},
    once::{Outcome, apply, plan, plan_on_paper},
    warnings::{Told, told},
};

/// How long to wait for more events before acting on the first: links change in bursts.
const SETTLE: Duration = Duration::from_millis(10);
/// How often the host is looked at without an event: what nobody announces is found then.
const PATROL: Duration = Duration::from_secs(5);

/// Keeps the host as the fabric says until told to stop.
pub async fn run(file: &Path, host: Option<&str>, paths: &Paths, log_packets: bool) -> Result<()> {
    let mut assignment = Assignment::load(file, host)?;
    floor::check()?;
    let lock = Lock::take(paths)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut reload = signal(SignalKind::hangup())?;
    // Listening starts before the first look, so that nothing happens in between.
    let mut events = Events::listen()?;
    assignment.judge(paths).await?;
    let mut kernel = Kernel::open(paths.clone(), assignment.peers(), log_packets)?;
    let mut warnings = Warnings::new(paths);
    // With thousands of networks this takes a while; what it has done by then stays, and is right.
    let done = tokio::select! {
        done = begin(&mut kernel, &mut assignment, &mut warnings, paths) => done,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let done = match done {
        Ok(done) => done,
        Err(refusal) => {
            drop((kernel, lock));
            return Err(refusal.leave(paths));
        }
    };
    log::info!("host {} is ready ({done} changes)", assignment.host);
    tell(&mut warnings, assignment.doubts(&kernel));
    let watch = Watch::start(paths)?;

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
            _ = reload.recv() => {
                reload_from(file, &mut kernel, &mut assignment, &mut warnings, paths).await;
                watch.look_again();
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
        match assignment.converge(&mut kernel).await {
            Ok(done) => {
                if !done.is_empty() {
                    watch.look_again();
                }
                for op in &done {
                    log::info!("{op}");
                }
                tell(&mut warnings, assignment.doubts(&kernel));
            }
            Err(error) => match warnings.error(&error) {
                Ok(news) => news.iter().for_each(|error| log::error!("{error}")),
                Err(other) => log::error!("{error:#}; {other:#}"),
            },
        }
    }
    log::info!("stopping; the data path goes on (`vxnet teardown` removes it)");
    Ok(())
}

/// Brings the host to what the file says, and returns how many changes that took. A file that cannot
/// be applied leaves the host as it was, by the former one.
async fn begin(
    kernel: &mut Kernel,
    assignment: &mut Assignment,
    warnings: &mut Warnings,
    paths: &Paths,
) -> Result<usize, Refusal> {
    let former = match Former::read(paths, kernel).await? {
        Former::Fabric(former) if former.is(assignment) => {
            return Ok(assignment.converge(kernel).await?.len());
        }
        former => former,
    };
    let refusal = match once::switch(kernel, assignment, &former, paths).await {
        Ok(outcome) => return Ok(outcome.ops.len()),
        Err(refusal) => refusal,
    };
    let Former::Fabric(former) = former else {
        return Err(refusal);
    };
    *assignment = *former;
    refuse(warnings, &refusal.error);
    Ok(0)
}

/// Reads the file again, and brings the host to what it says; one that is wrong, or cannot be
/// applied, changes nothing.
async fn reload_from(
    file: &Path,
    kernel: &mut Kernel,
    assignment: &mut Assignment,
    warnings: &mut Warnings,
    paths: &Paths,
) {
    let fresh = match Assignment::load(file, Some(&assignment.host)) {
        Ok(fresh) => fresh,
        Err(error) => return refuse(warnings, &error),
    };
    let former = Former::Fabric(Box::new(assignment.clone()));
    match once::switch(kernel, &fresh, &former, paths).await {
        Ok(outcome) => {
            for op in &outcome.ops {
                log::info!("{op}");
            }
            log::info!("reloaded {}", file.display());
            *assignment = fresh;
            if let Err(error) = warnings.refused(None) {
                log::error!("{error:#}");
            }
        }
        Err(refusal) => refuse(warnings, &refusal.error),
    }
}

/// Tells that the file was not applied.
fn refuse(warnings: &mut Warnings, error: &anyhow::Error) {
    log::error!("kept the former fabric: {error:#}");
    if let Err(error) = warnings.refused(Some(format!("kept the former fabric: {error:#}"))) {
        log::error!("{error:#}");
    }
}

/// Logs doubts that have not been told already.
fn tell(warnings: &mut Warnings, doubts: Vec<String>) {
    match warnings.doubts(doubts) {
        Ok(news) => news.iter().for_each(|doubt| log::warn!("{doubt}")),
        Err(error) => log::error!("{error:#}"),
    }
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
