//! Direct: the stations share one veth. What the machine can do without any switch.

use anyhow::Result;
use vxnet_tests::scope::Scope;

use crate::shell::Shell;
use crate::station::{Address, Kind, Station};
use crate::wire::{GUEST_MTU, Wire};

/// Makes the two stations and the veth pair whose ends are their `eth0`.
pub(crate) fn make(scope: &Scope, shell: &Shell, wire: Wire) -> Result<Vec<Station>> {
    let station = |number| {
        let address = Address::bridged(Kind::Veth, number);
        Station::bare(scope, number, address)
    };
    let pair = [station(1)?, station(2)?];
    let far = &pair[1].netns;
    let line = format!(
        "link add eth0 mtu {GUEST_MTU} type veth peer name eth0 mtu {GUEST_MTU} netns {far}"
    );
    shell.ip(&pair[0].netns, &line)?;
    for station in &pair {
        // On the GSO wire, the stations' links are those of all other peers: as they were made.
        if wire != Wire::Gso {
            let line = format!("ethtool -K eth0 {}", wire.features());
            shell.run(&station.netns, &line)?;
        }
        station.configure(shell)?;
    }
    Ok(pair.into())
}
