//! How a thing is, in words: what of it a person would want to know, as pairs of a name and a value.

use vxnet_common::map::{
    fdb::{FdbEntry, place},
    name_str,
    port::{Port, PortVlans},
    segment::Segment,
    vtep::Vtep,
};

use crate::{state::Spec, trace::ranges};

/// Pairs of a name and a value.
pub(super) type Words = Vec<(&'static str, String)>;

/// Returns what there is to say of a thing. What only a kernel can tell (ifindexes, hashes of
/// programs) is left out: a plan does not know it.
pub(super) fn words(spec: &Spec) -> Words {
    match spec {
        Spec::Sysctl(value) => vec![("value", value.clone())],
        Spec::Guard(guard) => vec![("rules", guard.rules.lines().count().to_string())],
        Spec::Bridge(bridge) => vec![
            ("mac", bridge.mac.to_string()),
            ("mtu", bridge.mtu.to_string()),
            ("state", state(bridge.up)),
        ],
        Spec::Anchor { bridge, mtu, up } => vec![
            ("bridge", bridge.clone()),
            ("mtu", mtu.to_string()),
            ("state", state(*up)),
        ],
        Spec::Detour { port, works } => {
            vec![("udp-port", port.to_string()), ("works", yes(*works))]
        }
        Spec::GroSocket { port, up } => {
            vec![("udp-port", port.to_string()), ("state", state(*up))]
        }
        Spec::Trunk {
            promiscuous,
            all_vlans,
            up,
        } => vec![
            ("promiscuous", yes(*promiscuous)),
            ("all-vlans", yes(*all_vlans)),
            ("state", state(*up)),
        ],
        Spec::PortMtu(mtu) => vec![("mtu", mtu.to_string())],
        Spec::PortVlans(row) => vec![("vlans", vlans(row))],
        Spec::Strays(count) => vec![("count", count.to_string())],
        Spec::Local(row) => vec![
            ("host", name_str(&row.name).to_owned()),
            ("underlay", row.underlay.to_string()),
            ("udp-port", row.port.to_string()),
        ],
        Spec::Vtep(row) => vtep(row),
        Spec::Slot(slot) => vec![("row", slot.to_string())],
        Spec::Port(row) => port(row),
        Spec::Fdb(row) => station(row),
        Spec::Segment(row) => segment(row),
        // A pin that has lost its program has no name.
        Spec::Program(program) if program.name.is_empty() => vec![("program", "none".into())],
        Spec::Program(program) => vec![("program", program.name.clone())],
        Spec::Membership | Spec::Address | Spec::Allowed => Vec::new(),
    }
}

fn state(up: bool) -> String {
    if up { "up" } else { "down" }.to_owned()
}

fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

fn vlans(row: &PortVlans) -> String {
    ranges((0..4096u16).filter(|vid| row.contains(*vid)))
}

fn vtep(row: &Vtep) -> Words {
    vec![
        ("host", name_str(&row.name).to_owned()),
        ("address", row.address.to_string()),
    ]
}

fn port(row: &Port) -> Words {
    vec![
        ("link", name_str(&row.name).to_owned()),
        ("segment", row.segment.to_string()),
        ("pvid", row.pvid.to_string()),
        ("mtu", row.mtu.to_string()),
        ("bum-limit", row.bum_limit.to_string()),
        ("fdb-limit", row.fdb_limit.to_string()),
        ("flags", format!("{:#x}", row.flags)),
    ]
}

fn segment(row: &Segment) -> Words {
    vec![
        ("network", name_str(&row.name).to_owned()),
        ("vlan", row.vid.to_string()),
        ("vni", row.vni.to_string()),
        ("mtu", row.mtu.to_string()),
        ("ageing", format!("{}s", row.ageing / 1_000_000_000)),
        ("flood-ports", row.flood_ports.to_string()),
        ("flood-vteps", row.flood_vteps.to_string()),
        ("flags", format!("{:#x}", row.flags)),
    ]
}

fn station(row: &FdbEntry) -> Words {
    let kind = match row.place {
        place::VTEP => "vtep",
        place::PORT => "port",
        _ => "host",
    };
    vec![("place", kind.to_owned()), ("row", row.slot.to_string())]
}
