//! The oldest kernel that vxnet runs on, stated and checked in this one place.

use anyhow::{Context as _, Result, bail};
use nix::{sys::utsname::uname, unistd::Uid};

/// Version and reason: `bpf_loop` (5.17), `bpf_ktime_get_coarse_ns` (5.11), the path's MTU from
/// `bpf_fib_lookup` (5.12), and the oldest series that is tested.
pub const FLOOR: (u32, u32) = (6, 1);

/// Since when TC programs are attached by links (TCX); older kernels get clsact filters.
const TCX: (u32, u32) = (6, 6);

/// How programs are attached to TC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// A bpf_link, pinned: replaced atomically, and seen by nobody's `tc qdisc del`.
    Tcx,
    /// A filter of a clsact qdisc.
    Clsact,
}

/// Checks that this host can run vxnet, and returns how to attach.
///
/// `VXNET_ATTACH=clsact` forces the older way, to test it on a newer kernel.
pub fn check() -> Result<Attachment> {
    if !Uid::effective().is_root() {
        bail!(
            "changing the data path needs root\nhint: run it with sudo; `vxnet check` and \
             `vxnet schema` need no privilege"
        );
    }
    let name = uname().context("cannot read the kernel's version")?;
    let release = name.release().to_string_lossy();
    let version =
        parse(&release).with_context(|| format!("cannot read a version from \"{release}\""))?;
    let (major, minor) = FLOOR;
    if version < FLOOR {
        bail!(
            "kernel {release} is too old: vxnet needs {major}.{minor} or newer\nhint: on \
             Debian 12, `apt install linux-image-amd64` brings one"
        );
    }
    let forced = std::env::var_os("VXNET_ATTACH").is_some_and(|way| way == "clsact");
    Ok(if version < TCX || forced {
        Attachment::Clsact
    } else {
        Attachment::Tcx
    })
}

fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_distributions_are_understood() {
        assert_eq!(parse("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(parse("6.1.0-56-cloud-amd64"), Some((6, 1)));
        assert_eq!(parse("5.14.0-503.el9"), Some((5, 14)));
        assert_eq!(parse("weird"), None);
        assert!(parse("5.14.0").unwrap() < FLOOR && parse("6.10.1").unwrap() > TCX);
    }
}
