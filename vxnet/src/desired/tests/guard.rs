//! The rules of the bridge guard.

use super::{
    of,
    scene::{Machine, fabric, red_fabric},
    set, settled,
};
use crate::{
    desired::doubts,
    model::Receive,
    state::{Id, Spec, State},
};

fn guard(state: &State) -> &str {
    match &state[&Id::Guard] {
        Spec::Guard(guard) => &guard.rules,
        other => panic!("{other:?} is no guard"),
    }
}

/// Takes the margin off rules that are indented like the code around them.
fn rules(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let lines = lines.map(|line| line[8..].replace("    ", "\t") + "\n");
    lines.collect()
}

#[test]
fn the_guard_names_our_bridges_where_the_kernel_can() {
    let mut fabric = fabric(4);
    let fenced = guard(&of(&fabric, &Machine::new(4))).to_owned();
    set(&mut fabric, Receive::Tc);
    let expected = rules(
        r#"
        table bridge vxnet {
            chain forward {
                type filter hook forward priority filter; policy accept;
                meta ibrname { "br-blue", "br-red" } drop
            }
            chain input {
                type filter hook input priority filter; policy accept;
                meta ibrname { "br-blue", "br-red" } drop
            }
            chain output {
                type filter hook output priority filter; policy accept;
                meta obrname { "br-blue", "br-red" } drop
            }
        }
        table inet vxnet {
            chain no-vxlan {
                type filter hook forward priority filter; policy accept;
                iifname { "br-blue", "br-red" } ip daddr { 172.31.0.121, 172.31.0.122, 172.31.0.123 } udp dport 4789 drop
            }
        }
        "#,
    );
    assert_eq!(guard(&of(&fabric, &Machine::new(4))), expected);
    let fence = rules(
        r#"
        table netdev vxnet {
            chain uplink-2 {
                type filter hook ingress device "eth0" priority -500; policy accept;
                meta pkttype other drop
            }
        }
        "#,
    );
    assert_eq!(fenced, expected + &fence, "where XDP may strip");
}

/// The kernel's bridge knows no portgroups and no checks.
#[test]
fn p36_a_bridge_whose_network_has_gone_stays_shut_while_guests_are_in_it() {
    let mut fabric = fabric(4);
    let (mut machine, _) = settled(&fabric);
    machine.add_guest("vm1", "br-red");
    fabric.networks.remove("red");
    assert!(guard(&of(&fabric, &machine)).contains("\"br-blue\", \"br-red\""));
    // Later it is not ours any more, but marked.
    let bridge = machine.link("br-red");
    bridge.is_ours = false;
    let ifindex = bridge.ifindex;
    machine.observed.facts.left.insert(ifindex);
    assert!(guard(&of(&fabric, &machine)).contains("\"br-blue\", \"br-red\""));
    let said = doubts(&fabric, "host1", &machine.observed.facts);
    assert!(said.iter().any(|doubt| doubt.contains("br-red is in no")));
    machine.remove("vm1");
    assert!(!guard(&of(&fabric, &machine)).contains("br-red"));
}

/// What a guest sends to an address of the host's may be led to a VTEP by rules of the host's.
#[test]
fn attack5_guests_reach_no_vtep_through_the_host() {
    for (version, rule) in [
        (4, "ip daddr { 172.31.0.121, 172.31.0.122, 172.31.0.123 }"),
        (6, "ip6 daddr { 2001:db8::1, 2001:db8::2, 2001:db8::3 }"),
    ] {
        let rules = guard(&of(&fabric(version), &Machine::new(version))).to_owned();
        let expected = format!("iifname {{ \"br-blue\", \"br-red\" }} {rule} udp dport 4789 drop");
        assert!(rules.contains(&expected), "{expected}\n{rules}");
    }
}

#[test]
fn the_guard_spares_foreign_bridges_where_the_kernel_cannot() {
    let mut fabric = red_fabric(4);
    set(&mut fabric, Receive::Tc);
    let (mut machine, _) = settled(&fabric);
    machine.observed.facts.can_match_bridge = false;
    machine.add_guest("vm1", "br-red");
    // A port of a bond is no port of a bridge, and one of nothing neither.
    let bond = machine.add("bond0", "bond", None).ifindex;
    machine.add("eth2", "", Some(bond));
    machine.add("eth3", "", Some(4711));
    let expected = rules(
        r#"
        table bridge vxnet {
            chain forward {
                type filter hook forward priority filter; policy accept;
                iifname "vnet9" accept
                drop
            }
            chain input {
                type filter hook input priority filter; policy accept;
                iifname "vnet9" accept
                drop
            }
            chain output {
                type filter hook output priority filter; policy accept;
                oifname "vnet9" accept
                drop
            }
        }
        table inet vxnet {
            chain no-vxlan {
                type filter hook forward priority filter; policy accept;
                iifname { "br-red" } ip daddr { 172.31.0.121, 172.31.0.122, 172.31.0.123 } udp dport 4789 drop
            }
        }
        "#,
    );
    assert_eq!(guard(&of(&fabric, &machine)), expected);
}
