//! The detour of VXLAN packets that the kernel takes off in our place.
//!
//! A network namespace of vxnet's holds the socket of a VXLAN device, and nothing else: no filter of
//! the host's, and no address that anybody could use, since it takes packets to any address for its
//! own. It lives as long as its mount in the run folder, without a daemon.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
    sys::statfs::{NSFS_MAGIC, statfs},
};

use super::{
    Paths,
    netlink::{Netlink, Seen},
    offload, sysctl,
};
use crate::state::{DETOUR, DETOUR_END, Id, Spec, State};

/// The namespace of the thread that looks.
const OWN: &str = "/proc/thread-self/ns/net";
/// What makes the namespace believe whoever a packet comes from.
const SYSCTLS: &[(&str, &str)] = &[
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    ("net/ipv4/conf/all/accept_local", "1"),
    ("net/ipv6/conf/all/disable_ipv6", "0"),
    ("net/ipv6/conf/default/disable_ipv6", "0"),
    ("net/ipv6/conf/default/accept_ra", "0"),
    // No address of its own, and so nothing to announce.
    ("net/ipv6/conf/default/addr_gen_mode", "1"),
];

/// Where the namespace is mounted.
fn room(paths: &Paths) -> PathBuf {
    paths.run.join("detour.netns")
}

/// Adds the detour, if its namespace or one of its ends on the host is there.
pub(super) fn observe(paths: &Paths, links: &BTreeMap<u32, Seen>, state: &mut State) {
    let ours = |name| {
        let mut links = links.values();
        links.find(|seen| seen.link.name == name && seen.link.is_ours)
    };
    let (near, end) = (ours(DETOUR), ours(DETOUR_END));
    if near.is_none() && end.is_none() && !room(paths).exists() {
        return;
    }
    // What is running has its other end, and that its namespace.
    let works = near.is_some_and(|seen| seen.is_running)
        && end.is_some_and(|seen| seen.link.up)
        && !offload::gro(DETOUR_END);
    let port = end.and_then(|seen| seen.vxlan_port).unwrap_or(0);
    state.insert(Id::Detour, Spec::Detour { port, works });
}

/// Makes the detour, anew if it does not work.
pub(super) async fn set(paths: &Paths, netlink: &Netlink, port: u16) -> Result<()> {
    netlink.remove_detour().await?;
    remove_room(&room(paths))?;
    let room = make_room(&room(paths))?;
    let host = File::open(OWN).context("cannot open the network namespace")?;
    inside(&room, async |there| {
        there.make_detour(host.as_fd(), port).await
    })?;
    // One packet out for each that goes in, or the books would not balance.
    offload::set_gro(DETOUR_END, false)?;
    netlink.open_detour().await
}

/// Removes the detour and its namespace.
pub(super) async fn remove(paths: &Paths, netlink: &Netlink) -> Result<()> {
    netlink.remove_detour().await?;
    remove_room(&room(paths))
}

/// Returns whether the kernel refuses to make, mount or enter a namespace: it lacks the feature, or
/// this process the privilege, or there are too many.
pub(super) fn is_refusal(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Errno>().is_some()
}

/// Makes a namespace that takes everything, and mounts it.
fn make_room(path: &Path) -> Result<File> {
    let shown = path.display();
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(path)
        .with_context(|| format!("cannot create {shown}"))?;
    let made = aside(|| {
        unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")?;
        mount(
            Some(OWN),
            path,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )
        .with_context(|| format!("cannot mount a network namespace on {shown}"))?;
        for (key, value) in SYSCTLS {
            sysctl::write_if_there(key, value)?;
        }
        Ok(())
    });
    if made.is_err() {
        // Nothing stays behind that would be taken for a namespace.
        remove_room(path).ok();
    }
    made?;
    let room = File::open(path).with_context(|| format!("cannot open {shown}"))?;
    inside(&room, async |there| there.take_everything().await)?;
    Ok(room)
}

/// Unmounts the namespace, which goes with its last link.
fn remove_room(path: &Path) -> Result<()> {
    let shown = path.display();
    if statfs(path).is_ok_and(|found| found.filesystem_type() == NSFS_MAGIC) {
        umount2(path, MntFlags::MNT_DETACH).with_context(|| format!("cannot unmount {shown}"))?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {shown}"))
        }
        _ => Ok(()),
    }
}

/// Does something over netlink in another network namespace.
fn inside(room: &File, work: impl AsyncFnOnce(&Netlink) -> Result<()> + Send) -> Result<()> {
    aside(|| {
        setns(room, CloneFlags::CLONE_NEWNET).context("cannot enter a network namespace")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        runtime.block_on(async { work(&Netlink::connect()?).await })
    })
}

/// Does something in a thread of its own, which may change its namespace.
fn aside(work: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|_| Err(anyhow!("a thread has panicked")))
}
