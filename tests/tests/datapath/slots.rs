//! Slots that change hands between two frames: what a cache remembers is only believed if the row
//! in the slot still says so.

use anyhow::{Result, ensure};

use crate::case::check;
use crate::counters::Counter;
use crate::fabric::{A, AT_ONE, B, ONE, PORT_A, PORT_B, TWO, datagram};
use crate::outcome::Outcome;
use crate::receive::{Path, from_port, from_underlay};
use crate::world::World;

#[test]
fn a_link_acts_as_the_port_that_it_is_now() {
    check(|world| {
        let frame = datagram(A, B);
        ensure!(counted(
            &from_port(world, PORT_A, &frame)?,
            Counter::PortRx(PORT_A)
        ));
        let (one, two) = (world.ports.get(&PORT_A, 0)?, world.ports.get(&PORT_B, 0)?);
        world.ports.set(PORT_A, two, 0)?;
        world.ports.set(PORT_B, one, 0)?;
        world.port_slots.insert(one.ifindex, PORT_B, 0)?;
        world.port_slots.insert(two.ifindex, PORT_A, 0)?;
        // From the same link as before.
        let got = from_port(world, PORT_A, &frame)?;
        ensure!(counted(&got, Counter::PortRx(PORT_B)), "{:?}", got.counts);
        Ok(Vec::new())
    });
}

#[test]
fn attack1_a_peer_is_known_by_its_address_not_by_its_slot() {
    check(|world| {
        for path in Path::ALL {
            ensure!(
                counted(&from_one(world, path)?, Counter::VtepRx(ONE)),
                "{path:?}"
            );
        }
        let (one, two) = (world.vteps.get(&ONE, 0)?, world.vteps.get(&TWO, 0)?);
        world.vteps.set(ONE, two, 0)?;
        world.vteps.set(TWO, one, 0)?;
        world.vtep_slots.insert(one.address, TWO, 0)?;
        world.vtep_slots.insert(two.address, ONE, 0)?;
        for path in Path::ALL {
            let got = from_one(world, path)?;
            ensure!(
                counted(&got, Counter::VtepRx(TWO)),
                "{path:?}: {:?}",
                got.counts
            );
        }
        Ok(Vec::new())
    });
}

fn from_one(world: &mut World, path: Path) -> Result<Outcome> {
    let packet = world.family.arrives(ONE, &datagram(AT_ONE, A));
    from_underlay(world, path, &packet)
}

fn counted(outcome: &Outcome, counter: Counter) -> bool {
    outcome.counts.get(&counter) == Some(&1)
}
