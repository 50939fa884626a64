//! Addresses and subnets as text, and what they may be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::config::diagnostic::{Fault, quoted};

/// Reads the address of a VTEP.
pub(super) fn underlay(text: &str) -> Result<IpAddr, Fault> {
    let address = address(text)?;
    match unusable(address) {
        Some(class) => Err(Fault::new(
            format!("{address} is {class}, which no VTEP can have"),
            "write a unicast address that the other hosts can reach",
        )),
        None => Ok(address),
    }
}

/// Reads the address that a guest sends from.
pub(super) fn guest(text: &str) -> Result<IpAddr, Fault> {
    let address = address(text)?;
    let class = match unusable(address) {
        // A guest may well have one, other than a VTEP.
        Some(_) if is_link_local(address) => return Ok(address),
        Some(class) => class,
        None => return Ok(address),
    };
    Err(Fault::new(
        format!("{address} is {class}, which no guest can have"),
        "write a unicast address such as `192.168.124.16`",
    ))
}

/// Reads a multicast group of the underlay.
pub(super) fn group(text: &str) -> Result<IpAddr, Fault> {
    let group = address(text)?;
    let problem = match group {
        _ if !group.is_multicast() => "is not a multicast address",
        // RFC 5771 section 4: no router forwards it, and switches flood it.
        IpAddr::V4(v4) if v4.octets()[..3] == [224, 0, 0] => "never leaves its link",
        // RFC 4291 section 2.7: interface-local and link-local scope; 0 and 15 are reserved.
        IpAddr::V6(v6) if matches!(v6.octets()[1] & 0xf, 0..=2) => "never leaves its link",
        IpAddr::V6(v6) if v6.octets()[1] & 0xf == 0xf => "is of a reserved scope",
        _ => return Ok(group),
    };
    let example = if group.is_ipv4() {
        "239.0.0.10"
    } else {
        "ff08::10"
    };
    Err(Fault::new(
        format!("{group} {problem}"),
        format!("write a group of your organisation's range, such as `{example}`"),
    ))
}

/// Reads an address range for guests.
pub(super) fn subnet(text: &str) -> Result<IpNet, Fault> {
    let subnet: IpNet = text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(address) => {
            let length = if address.is_ipv4() { 24 } else { 64 };
            let subnet = IpNet::new_assert(address, length).trunc();
            Fault::new(
                format!("{address} has no prefix length"),
                format!("write `{subnet}`"),
            )
        }
        Err(_) => Fault::new(
            format!("{} is not a subnet", quoted(text)),
            "write an address range such as `192.168.124.0/24` or `fd00:124::/64`",
        ),
    })?;
    if subnet != subnet.trunc() {
        let message = format!("{subnet} is an address inside a subnet, not a subnet");
        return Err(Fault::new(message, format!("write `{}`", subnet.trunc())));
    }
    // A /31 or /127 is full with the gateway and one guest, and has no broadcast address.
    if subnet.prefix_len() + 2 > subnet.max_prefix_len() {
        let most = subnet.max_prefix_len() - 2;
        return Err(Fault::new(
            format!("{subnet} has no room for guests"),
            format!("write a subnet with a prefix of at most /{most}"),
        ));
    }
    if let Some(class) = forbidden_range(subnet) {
        return Err(Fault::new(
            format!("{subnet} overlaps with {class}"),
            "write a range of private addresses such as `192.168.124.0/24` or `fd00:124::/64`",
        ));
    }
    Ok(subnet)
}

/// Reads the address that a host holds in one of the subnets of a network; `None` if it may be in
/// one that could not be read.
pub(super) fn gateway(
    text: &str,
    subnets: &[IpNet],
    all_known: bool,
) -> Result<Option<IpNet>, Fault> {
    let address = address(text)?;
    let Some(subnet) = subnets.iter().find(|subnet| subnet.contains(&address)) else {
        if !all_known {
            return Ok(None);
        }
        let listed: Vec<_> = subnets.iter().map(ToString::to_string).collect();
        let listed = listed.join(", ");
        return Err(Fault::new(
            format!("gateway {address} is outside the subnet of its network, {listed}"),
            format!("write an address of {listed}, or another subnet"),
        ));
    };
    let reserved = if address == subnet.network() {
        "the network address"
    } else if address.is_ipv4() && address == subnet.broadcast() {
        "the broadcast address"
    } else {
        return Ok(Some(IpNet::new_assert(address, subnet.prefix_len())));
    };
    let first = subnet.hosts().nth(usize::from(address.is_ipv6()));
    let help = first.map_or_else(String::new, |first| {
        format!("write a host address such as `{first}`")
    });
    Err(Fault::new(
        format!("gateway {address} is {reserved} of {subnet}"),
        help,
    ))
}

fn address(text: &str) -> Result<IpAddr, Fault> {
    match (text.parse(), text.parse::<IpNet>()) {
        (Ok(IpAddr::V6(address)), _) if address.to_ipv4_mapped().is_some() => {
            let address = address.to_canonical();
            Err(Fault::new(
                format!("{} is an IPv4 address in IPv6 form", quoted(text)),
                format!("write `{address}`"),
            ))
        }
        (Ok(address), _) => Ok(address),
        (_, Ok(net)) => Err(Fault::new(
            format!("{} has a prefix length", quoted(text)),
            format!("write the address alone: `{}`", net.addr()),
        )),
        _ => Err(Fault::new(
            format!("{} is not an IP address", quoted(text)),
            "write an IPv4 address such as `192.0.2.1` or an IPv6 address such as `2001:db8::1`",
        )),
    }
}

/// Returns the class of an address that no host can send from to another.
fn unusable(address: IpAddr) -> Option<&'static str> {
    if address.is_unspecified() {
        return Some("the unspecified address");
    }
    if address.is_loopback() {
        return Some("a loopback address");
    }
    if address.is_multicast() {
        return Some("a multicast address");
    }
    match address {
        IpAddr::V4(v4) if v4.is_broadcast() => Some("the broadcast address"),
        IpAddr::V4(v4) if v4.octets()[0] == 0 => Some("an address of \"this network\""),
        // It names a host only together with a link, and peers are not told of links.
        _ if is_link_local(address) => Some("a link-local address"),
        _ => None,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Returns which range, not for guests, a subnet lies in or takes in.
fn forbidden_range(subnet: IpNet) -> Option<&'static str> {
    let v6 = |first| Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0);
    let mapped = Ipv4Addr::UNSPECIFIED.to_ipv6_mapped();
    let ranges = [
        ("\"this network\"", net([0, 0, 0, 0], 8)),
        ("the loopback range", net([127, 0, 0, 0], 8)),
        ("the link-local range", net([169, 254, 0, 0], 16)),
        ("the multicast range", net([224, 0, 0, 0], 4)),
        ("the reserved range", net([240, 0, 0, 0], 4)),
        ("the loopback address", net(Ipv6Addr::LOCALHOST, 128)),
        ("the IPv4-mapped range", net(mapped, 96)),
        ("the link-local range", net(v6(0xfe80), 10)),
        ("the multicast range", net(v6(0xff00), 8)),
    ];
    let overlaps = |range: IpNet| subnet.contains(&range) || range.contains(&subnet);
    ranges
        .into_iter()
        .find(|(_, range)| overlaps(*range))
        .map(|(class, _)| class)
}

fn net(address: impl Into<IpAddr>, prefix: u8) -> IpNet {
    IpNet::new_assert(address.into(), prefix)
}

/// Returns pairs of indices of subnets of which the first contains the second, one pair for each
/// subnet inside another.
///
/// Two prefixes overlap only if one contains the other, so in the order of address and length the
/// subnets that may contain the next one form a stack.
pub(super) fn nested(subnets: &[IpNet]) -> Vec<(usize, usize)> {
    let mut order: Vec<usize> = (0..subnets.len()).collect();
    order.sort_by_key(|&index| {
        let subnet = subnets[index];
        (subnet.network(), subnet.prefix_len(), index)
    });
    let mut open: Vec<usize> = Vec::new();
    let mut pairs = Vec::new();
    for index in order {
        while open
            .last()
            .is_some_and(|&outer| !subnets[outer].contains(&subnets[index]))
        {
            open.pop();
        }
        if let Some(&outer) = open.last() {
            pairs.push((outer, index));
        }
        open.push(index);
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_subnets_are_found_in_any_order() {
        let subnets = [
            "10.1.2.0/24",
            "10.0.0.0/8",
            "fd00::/64",
            "10.1.0.0/16",
            "10.2.0.0/16",
        ]
        .map(|text| text.parse().expect("a subnet"));
        assert_eq!(nested(&subnets), [(1, 3), (3, 0), (1, 4)]);
    }
}
