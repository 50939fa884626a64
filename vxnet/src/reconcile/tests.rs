//! Convergence of a machine in memory towards what it should be, with faults on the way.

use anyhow::ensure;

use super::*;
use crate::{
    desired::{
        desired,
        tests::scene::{ETH0, Machine, fabric},
    },
    model::Fabric,
    state::{Hook, Id, Spec},
};

type Fault = Box<dyn FnMut(&mut Machine, &Op) -> Result<()>>;

/// A machine on which something happens at every operation.
struct Troubled {
    machine: Machine,
    before: Fault,
    /// Every operation that was tried.
    tried: Vec<String>,
    looks: usize,
    /// Operations have left something to be settled.
    is_unsettled: bool,
}

impl Troubled {
    fn by(fault: impl FnMut(&mut Machine, &Op) -> Result<()> + 'static) -> Self {
        Self {
            machine: Machine::new(4),
            before: Box::new(fault),
            tried: Vec::new(),
            looks: 0,
            is_unsettled: false,
        }
    }

    /// Converges towards what host1 of the fabric should be.
    async fn converge(&mut self, fabric: &Fabric) -> Result<Vec<Op>> {
        converge(self, |observed| desired(fabric, "host1", observed)).await
    }

    fn is_settled(&self, fabric: &Fabric) -> bool {
        let wanted = desired(fabric, "host1", &self.machine.observed).unwrap();
        self.machine.observed.state == wanted
    }

    fn has_port(&self, ifindex: u32) -> bool {
        let state = &self.machine.observed.state;
        state.contains_key(&Id::PortSlot(ifindex))
            && state.contains_key(&Id::Program(ifindex, Hook::TcIngress))
    }
}

impl Host for Troubled {
    async fn observe(&mut self) -> Result<Observed> {
        ensure!(!self.is_unsettled, "a look at what is half done");
        self.looks += 1;
        Ok(self.machine.observed.clone())
    }

    async fn apply(&mut self, op: &Op) -> Result<()> {
        self.tried.push(op.to_string());
        (self.before)(&mut self.machine, op)?;
        self.is_unsettled = true;
        self.machine.perform(op)
    }

    async fn settle(&mut self) -> Result<()> {
        self.is_unsettled = false;
        Ok(())
    }
}

fn untroubled() -> Troubled {
    Troubled::by(|_, _| Ok(()))
}

#[tokio::test]
async fn converges_from_nothing_and_then_does_nothing() {
    let fabric = fabric(4);
    let mut host = untroubled();
    let done = host.converge(&fabric).await.unwrap();
    assert_eq!(
        done.len(),
        host.tried.len(),
        "what it reports is what it did"
    );
    assert!(host.is_settled(&fabric));
    let flags = host
        .machine
        .observed
        .state
        .values()
        .find_map(|spec| match spec {
            Spec::Port(port) if port.ifindex == ETH0 => Some(port.flags),
            _ => None,
        });
    assert_ne!(flags.unwrap() & vxnet_common::map::port::flag::STRIP, 0);
    let looks = host.looks;
    assert_eq!(host.converge(&fabric).await.unwrap(), []);
    assert_eq!(host.looks, looks + 1, "one look is enough");
}

#[tokio::test]
async fn xdp_is_armed_only_after_both_programs_were_attached() {
    let mut host = untroubled();
    host.converge(&fabric(4)).await.unwrap();
    let at = |line: &str| host.tried.iter().position(|tried| tried == line).unwrap();
    let (tc, xdp) = (
        at("+ tc-ingress program of link 2"),
        at("+ xdp program of link 2"),
    );
    let armed = at("~ port row 1");
    assert!(tc < xdp && xdp < armed, "{:?}", host.tried);
}

#[tokio::test]
async fn a_bridge_is_guarded_before_it_exists() {
    let mut host = untroubled();
    host.converge(&fabric(4)).await.unwrap();
    let at = |line: &str| host.tried.iter().position(|tried| tried == line).unwrap();
    assert!(at("+ bridge guard (nftables)") < at("+ bridge br-blue"));
}

#[tokio::test]
async fn a_guest_that_appears_half_way_is_taken_in() {
    let fabric = fabric(4);
    let mut vm1 = None;
    let mut host = Troubled::by(move |machine, op| {
        if vm1.is_none() && op.to_string() == "+ VNI 10" {
            vm1 = Some(machine.add_guest("vm1", "br-red"));
        }
        Ok(())
    });
    host.converge(&fabric).await.unwrap();
    assert!(host.is_settled(&fabric));
    assert!(host.has_port(host.machine.ifindex("vm1")));
}

#[tokio::test]
async fn a_guest_that_vanishes_half_way_cuts_nobody_off() {
    let fabric = fabric(4);
    let mut host = untroubled();
    host.converge(&fabric).await.unwrap();
    let [vm1, vm2] = ["vm1", "vm2"].map(|name| host.machine.add_guest(name, "br-red"));
    let attach = format!("+ tc-ingress program of link {vm1}");
    host.before = Box::new(move |machine, op| {
        if op.to_string() == attach {
            machine.remove("vm1");
        }
        Ok(())
    });
    host.converge(&fabric).await.unwrap();
    assert!(host.is_settled(&fabric));
    assert!(host.has_port(vm2));
    let rows = &host.machine.observed.state;
    assert!(
        !rows.contains_key(&Id::PortSlot(vm1)),
        "no row is left of it"
    );
}

#[tokio::test]
async fn a_guest_that_leaves_takes_its_rows_along() {
    let fabric = fabric(4);
    let mut host = untroubled();
    host.converge(&fabric).await.unwrap();
    let before = host.machine.observed.state.clone();
    host.machine.add_guest("vm1", "br-red");
    host.converge(&fabric).await.unwrap();
    assert_ne!(host.machine.observed.state, before);
    host.machine.remove("vm1");
    host.converge(&fabric).await.unwrap();
    assert_eq!(host.machine.observed.state, before);
}

#[tokio::test]
async fn an_operation_that_fails_once_is_tried_again() {
    let fabric = fabric(4);
    let mut failed = false;
    let mut host = Troubled::by(move |_, op| {
        let first = !failed && op.to_string() == "+ anchor port vxa-10";
        failed |= first;
        ensure!(!first, "the kernel is busy");
        Ok(())
    });
    let done = host.converge(&fabric).await.unwrap();
    assert!(host.is_settled(&fabric));
    assert_eq!(done.len() + 1, host.tried.len());
}

#[tokio::test]
async fn an_operation_that_always_fails_is_named_and_stops_no_other() {
    let fabric = fabric(4);
    let mut host = Troubled::by(|_, op| {
        let refused = matches!(op.id(), Id::Program(ETH0, Hook::Xdp));
        ensure!(!refused, "the driver cannot");
        Ok(())
    });
    let error = host.converge(&fabric).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "not everything could be applied:\n  + xdp program of link 2: the driver cannot"
    );
    let wanted = desired(&fabric, "host1", &host.machine.observed).unwrap();
    let left = plan(&host.machine.observed.state, &wanted);
    assert_eq!(left.len(), 1, "everything else is in place");
}

#[tokio::test]
async fn a23_replacing_removes_nothing_while_something_cannot_be_made() {
    let former = fabric(4);
    let mut other = former.clone();
    other.networks.remove("blue");
    let green = crate::desired::tests::scene::network("green", 30, &["host1", "host2"]);
    other.networks.insert("green".into(), green);
    let mut host = Troubled::by(|_, op| {
        ensure!(
            op.to_string() != "+ anchor port vxa-30",
            "the name is taken"
        );
        Ok(())
    });
    host.converge(&former).await.unwrap();
    let links = host.machine.observed.facts.links.len();
    host.tried.clear();
    let error = replace(&mut host, |observed| desired(&other, "host1", observed))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "not everything could be applied:\n  + anchor port vxa-30: the name is taken"
    );
    let removed = host.tried.iter().filter(|op| op.starts_with('-'));
    assert_eq!(removed.count(), 0, "{:?}", host.tried);
    assert!(host.tried.contains(&"+ bridge br-green".to_owned()));
    // And so there is a way back.
    host.converge(&former).await.unwrap();
    assert!(host.is_settled(&former));
    assert_eq!(host.machine.observed.facts.links.len(), links);
}

#[tokio::test]
async fn what_has_succeeded_since_is_no_failure() {
    let mut failed = false;
    let mut host = Troubled::by(move |_, op| {
        let first = !failed && op.to_string() == "+ VNI 10";
        failed |= first;
        ensure!(!first, "busy");
        ensure!(!matches!(op.id(), Id::Guard), "no nftables");
        Ok(())
    });
    let error = host.converge(&fabric(4)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "not everything could be applied:\n  + bridge guard (nftables): no nftables"
    );
}

#[tokio::test]
async fn every_failure_is_named_with_its_cause() {
    let mut host = Troubled::by(|_, op| {
        let refused = matches!(op.id(), Id::Sysctl(_) | Id::Guard);
        ensure!(!refused, "read-only");
        Ok(())
    });
    let error = host.converge(&fabric(4)).await.unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(
        lines,
        [
            "not everything could be applied:",
            "  + sysctl net/ipv4/conf/lo/forwarding: read-only",
            "  + bridge guard (nftables): read-only",
        ]
    );
}

#[tokio::test]
async fn a_machine_that_refuses_everything_is_left_after_one_round() {
    let mut host = Troubled::by(|_, _| bail!("no"));
    host.converge(&fabric(4)).await.unwrap_err();
    assert_eq!(host.looks, 1);
}

/// A machine on which someone else takes our bridge down whenever we do not look.
struct Restless(Troubled);

impl Host for Restless {
    async fn observe(&mut self) -> Result<Observed> {
        let state = &mut self.0.machine.observed.state;
        if let Some(Spec::Bridge(bridge)) = state.get_mut(&Id::Bridge("br-red".into())) {
            bridge.up = false;
        }
        self.0.observe().await
    }

    async fn apply(&mut self, op: &Op) -> Result<()> {
        self.0.apply(op).await
    }

    async fn settle(&mut self) -> Result<()> {
        self.0.settle().await
    }
}

#[tokio::test]
async fn a_machine_that_never_comes_to_rest_is_an_error() {
    let fabric = fabric(4);
    let mut host = Restless(untroubled());
    let wanted = |observed: &Observed| desired(&fabric, "host1", observed);
    let error = converge(&mut host, wanted).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the host does not come to rest: something else keeps changing it"
    );
    assert_eq!(host.0.looks, ROUNDS);
}

#[tokio::test]
async fn a_look_that_fails_is_the_error() {
    struct Blind;
    impl Host for Blind {
        async fn observe(&mut self) -> Result<Observed> {
            bail!("cannot see")
        }

        async fn apply(&mut self, op: &Op) -> Result<()> {
            panic!("{op} without having looked")
        }

        async fn settle(&mut self) -> Result<()> {
            Ok(())
        }
    }
    let error = converge(&mut Blind, |_| Ok(State::new()))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "cannot see");
    let mut host = untroubled();
    let error = converge(&mut host, |_| bail!("no such host")).await;
    assert_eq!(error.unwrap_err().to_string(), "no such host");
    assert_eq!(host.tried, [""; 0], "nothing is changed on a guess");
}

#[tokio::test]
async fn wanting_nothing_leaves_nothing() {
    let mut host = untroubled();
    let links = host.machine.observed.facts.links.clone();
    host.converge(&fabric(4)).await.unwrap();
    host.machine.add_guest("vm1", "br-red");
    host.converge(&fabric(4)).await.unwrap();
    host.machine.remove("vm1");
    host.tried.clear();
    converge(&mut host, |_| Ok(State::new())).await.unwrap();
    assert_eq!(host.machine.observed.state, State::new());
    assert_eq!(*host.machine.observed.facts.links, *links);
    let at = |line: &str| host.tried.iter().position(|tried| tried == line).unwrap();
    // XDP first, or it would strip for a TC program that is gone; the guard after its bridges.
    assert!(at("- xdp program of link 2") < at("- tc-ingress program of link 2"));
    assert!(at("- bridge br-red") < at("- bridge guard (nftables)"));
}
