//! Which names may stand for a host, a network and a link.

use crate::config::diagnostic::{Fault, quoted};

/// The longest name of a host or network, in bytes.
const FABRIC_NAME_BYTES: usize = 31;

/// The longest name of a link, in bytes: IFNAMSIZ of Linux without the closing NUL.
const LINK_NAME_BYTES: usize = 15;

/// Names that cannot be a bridge: the loopback link, and what `/proc/sys/net/ipv4/conf` keeps for
/// all links and for new ones.
const RESERVED: [&str; 3] = ["lo", "all", "default"];

/// Beginnings of the names of vxnet's own links.
const OWN: [&str; 3] = ["vxa-", "vxp-", "vx-"];

/// Returns whether the name is the kernel's own or that of one of vxnet's links.
fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || OWN.iter().any(|own| name.starts_with(own))
}

/// Checks the name of a host or network.
pub(super) fn fabric_name(name: &str) -> Result<(), Fault> {
    of_length(name, FABRIC_NAME_BYTES)
}

/// Checks the name of a link.
///
/// This is stricter than Linux, which lets through quotes, `%` in some places and bytes above 127:
/// the name is also written into rules, commands and logs.
pub(super) fn link_name(name: &str) -> Result<(), Fault> {
    of_length(name, LINK_NAME_BYTES)
}

/// Checks the name of a bridge that vxnet makes.
pub(super) fn bridge_name(name: &str) -> Result<(), Fault> {
    own_link_name(name, "br0")
}

/// Checks the name of a link that carries frames of one purpose, so neither the loopback link nor
/// one of vxnet's.
pub(super) fn own_link_name(name: &str, example: &str) -> Result<(), Fault> {
    link_name(name)?;
    if is_reserved(name) {
        let message = format!(
            "{} is a name that Linux or vxnet keeps for itself",
            quoted(name)
        );
        return Err(Fault::new(
            message,
            format!("choose a name such as `{example}`"),
        ));
    }
    Ok(())
}

fn of_length(name: &str, most: usize) -> Result<(), Fault> {
    let allowed = format!(
        "write 1 to {most} letters, digits, `.`, `_` and `-`, beginning with a letter, digit or `_`"
    );
    if name.is_empty() {
        return Err(Fault::new("the name is empty", allowed));
    }
    if name.starts_with(['.', '-']) {
        return Err(Fault::new(
            format!("the name begins with `{}`", &name[..1]),
            allowed,
        ));
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(c) = name.chars().find(|c| !is_allowed(*c)) {
        let message = format!("the name {} holds {}", quoted(name), character(c));
        return Err(Fault::new(message, allowed));
    }
    if name.len() > most {
        let message = format!("the name {} is {} bytes long", quoted(name), name.len());
        return Err(Fault::new(message, allowed));
    }
    Ok(())
}

fn character(c: char) -> String {
    match c {
        ' ' => "a space".to_owned(),
        c if c.is_control() => format!("the control character U+{:04X}", u32::from(c)),
        c => quoted(&c.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_limits_are_those_of_linux() {
        assert!(link_name(&"a".repeat(15)).is_ok());
        assert!(link_name(&"a".repeat(16)).is_err());
        assert!(fabric_name(&"a".repeat(31)).is_ok());
        assert!(fabric_name(&"a".repeat(32)).is_err());
    }

    #[test]
    fn usual_link_names_pass() {
        for name in ["eth0", "enp5s0f0np0", "bond0.100", "br-lan", "wg_0", "0"] {
            assert_eq!(link_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn what_linux_refuses_is_refused() {
        for name in [
            "", ".", "..", "a/b", "a b", "a\n", "a:1", "vx%d", "a\0", "\u{a0}", "-a",
        ] {
            assert!(link_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn reserved_names_are_no_bridges() {
        assert!(bridge_name("all").is_err());
        assert!(bridge_name("lo").is_err());
        assert!(bridge_name("vxa-10").is_err(), "the anchor of VNI 10");
        assert!(bridge_name("vx-detour").is_err(), "the way to the detour");
        assert!(bridge_name("lo0").is_ok());
        assert!(
            link_name("lo").is_ok(),
            "a VTEP behind the loopback link is fine"
        );
    }
}
