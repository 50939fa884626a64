//! Attaching programs to links, so that they stay when vxnet ends.

mod clsact;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use aya::programs::{
    LinkOrder, ProgramInfo, SchedClassifier, TcAttachType, XdpMode,
    links::{FdLink, PinnedLink},
    loaded_programs,
    tc::{SchedClassifierLink, TcAttachOptions},
    xdp::XdpLink,
};
use nix::net::if_::if_indextoname;

use super::{Paths, floor::Attachment, object::Object};
use crate::state::{Hook, Program};

/// A link as attaching needs it.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) ifindex: u32,
    pub(super) name: &'a str,
    /// Id of the XDP program that the kernel reports for the link.
    pub(super) xdp_program: Option<u32>,
}

/// The driver of a link does not run XDP, or not through a link that can be pinned.
#[derive(Debug)]
pub(super) struct NoXdp;

impl fmt::Display for NoXdp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the driver does not run XDP, or not with this MTU")
    }
}

/// Returns the program of ours that runs at a hook of a link.
///
/// One that does not work on the pinned `maps` that its name needs is not current, whatever its
/// tag: someone removed the pins, and new maps took their places.
pub(super) fn observe(
    paths: &Paths,
    way: Attachment,
    maps: Option<&BTreeMap<&str, BTreeSet<u32>>>,
    target: Target<'_>,
    hook: Hook,
) -> Option<Program> {
    let info = running(paths, way, target, hook)?;
    Some(describe(&info, maps))
}

/// Returns the program of ours that runs at a hook: only if its pin is there, or its filter.
fn running(paths: &Paths, way: Attachment, target: Target<'_>, hook: Hook) -> Option<ProgramInfo> {
    let Some(direction) = direction(hook) else {
        let pinned = pinned(paths, target.ifindex, hook)?;
        return (target.xdp_program == Some(pinned))
            .then(|| by_id(pinned))
            .flatten();
    };
    match way {
        Attachment::Tcx => {
            let pinned = pinned(paths, target.ifindex, hook)?;
            let (_, programs) = SchedClassifier::query_tcx(target.name, direction).ok()?;
            programs.into_iter().find(|program| program.id() == pinned)
        }
        Attachment::Clsact => {
            let (name, id) = clsact::running(paths, target, hook)?;
            by_id(id).filter(|program| program.name_as_str() == Some(&name))
        }
    }
}

fn describe(info: &ProgramInfo, maps: Option<&BTreeMap<&str, BTreeSet<u32>>>) -> Program {
    let name = info.name_as_str().unwrap_or_default();
    let used = info.map_ids().ok().flatten().unwrap_or_default();
    let needed = maps.and_then(|maps| maps.get(name)).into_iter().flatten();
    let is_current = needed.into_iter().all(|id| used.contains(id));
    Program {
        name: name.into(),
        tag: if is_current { info.tag() } else { 0 },
    }
}

/// Attaches a program, or puts it in the place of an older version of itself.
pub(super) fn attach(
    paths: &Paths,
    way: Attachment,
    object: &mut Object,
    target: Target<'_>,
    hook: Hook,
    name: &str,
) -> Result<()> {
    let pin = pin(paths, target.ifindex, hook);
    match (direction(hook), way) {
        (None, _) => attach_xdp(object.xdp(name)?, &pin, target),
        (Some(direction), Attachment::Tcx) => {
            attach_tcx(object.classifier(name)?, &pin, target, direction)?;
            // A filter of a run that attached the other way would see each frame again.
            clsact::detach(paths, target.ifindex, Some(target.name), hook, direction)
        }
        (Some(direction), Attachment::Clsact) => {
            let program = object.classifier(name)?;
            clsact::attach(paths, program, target, hook, direction, name)?;
            remove(&pin)
        }
    }
}

/// Takes a program off a link, which may be gone already, whichever way it was attached.
pub(super) fn detach(paths: &Paths, ifindex: u32, link: Option<&str>, hook: Hook) -> Result<()> {
    if let Some(direction) = direction(hook) {
        clsact::detach(paths, ifindex, link, hook, direction)?;
    }
    remove(&pin(paths, ifindex, hook))
}

/// Removes a file, which may be gone already.
fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Returns the links and hooks that are pinned or noted, whether they still work or not.
pub(super) fn pins(paths: &Paths) -> Vec<(u32, Hook)> {
    let mut pins: Vec<(u32, Hook)> = [paths.links(), paths.run.clone()]
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let (ifindex, hook) = name.to_str()?.split_once('-')?;
            Some((ifindex.parse().ok()?, Hook::from_name(hook)?))
        })
        .collect();
    pins.sort_unstable();
    pins.dedup();
    pins
}

fn attach_tcx(
    program: &mut SchedClassifier,
    pin: &PathBuf,
    target: Target<'_>,
    direction: TcAttachType,
) -> Result<()> {
    // Its name of now: it may have got another one since the look.
    let name = if_indextoname(target.ifindex).ok();
    let name = name.as_ref().and_then(|name| name.to_str().ok());
    let name = name.context("the link has vanished")?;
    if let Ok(old) = PinnedLink::from_pin(pin) {
        let replaced: Result<_> = SchedClassifierLink::try_from(FdLink::from(old))
            .map_err(Into::into)
            .and_then(|link| Ok(program.attach_to_link(link)?));
        let is_there = is_attached(program, name, direction);
        if let Ok(id) = replaced {
            // Not kept, or a link that nothing pins any more would keep others out. The pin holds
            // it, if it is to stay.
            drop(program.take_link(id)?);
            if is_there {
                return Ok(());
            }
        }
        // The pin's link died with another device, or was detached by force.
        fs::remove_file(pin)?;
    }
    // First of all: what another program does to frames must not come before the switch.
    let options = TcAttachOptions::TcxOrder(LinkOrder::first());
    let id = program
        .attach_with_options(name, direction, options)
        .with_context(|| format!("cannot attach to {name}"))?;
    let link: FdLink = program.take_link(id)?.try_into()?;
    link.pin(pin).context("cannot pin the link")?;
    Ok(())
}

fn is_attached(program: &SchedClassifier, link: &str, direction: TcAttachType) -> bool {
    let Ok(id) = program.info().map(|info| info.id()) else {
        return false;
    };
    SchedClassifier::query_tcx(link, direction)
        .is_ok_and(|(_, programs)| programs.iter().any(|program| program.id() == id))
}

fn attach_xdp(program: &mut aya::programs::Xdp, pin: &PathBuf, target: Target<'_>) -> Result<()> {
    if let Ok(old) = PinnedLink::from_pin(pin) {
        let alive = FdLink::from(old);
        let id = alive.info()?.program_id();
        if target.xdp_program == Some(id) {
            let link = XdpLink::try_from(alive)?;
            let id = program.attach_to_link(link)?;
            drop(program.take_link(id)?);
            return Ok(());
        }
        fs::remove_file(pin)?;
    }
    let id = program
        .attach_to_if_index(target.ifindex, XdpMode::Driver)
        .context(NoXdp)?;
    // Attached through netlink, it could be neither pinned nor replaced atomically; failing here
    // takes it off again.
    let link: FdLink = program.take_link(id)?.try_into().ok().context(NoXdp)?;
    link.pin(pin).context("cannot pin the link")?;
    Ok(())
}

/// Returns the id of the program behind a pinned link.
fn pinned(paths: &Paths, ifindex: u32, hook: Hook) -> Option<u32> {
    let link = PinnedLink::from_pin(pin(paths, ifindex, hook)).ok()?;
    Some(FdLink::from(link).info().ok()?.program_id())
}

fn by_id(id: u32) -> Option<ProgramInfo> {
    loaded_programs()
        .filter_map(Result::ok)
        .find(|info| info.id() == id)
}

fn pin(paths: &Paths, ifindex: u32, hook: Hook) -> PathBuf {
    paths.links().join(format!("{ifindex}-{}", hook.name()))
}

fn direction(hook: Hook) -> Option<TcAttachType> {
    match hook {
        Hook::TcIngress => Some(TcAttachType::Ingress),
        Hook::TcEgress => Some(TcAttachType::Egress),
        Hook::Xdp => None,
    }
}
