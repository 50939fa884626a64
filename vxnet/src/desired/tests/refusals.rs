//! What is an error, before anything has been changed.

use super::scene::{Machine, red_fabric};
use crate::desired::desired;

#[test]
fn links_that_are_not_there_for_guests_are_never_taken_over() {
    let mut machine = Machine::new(4);
    let mut fabric = red_fabric(4);
    fabric.networks.get_mut("red").unwrap().bridge = "eth0".into();
    let error = desired(&fabric, "host1", &machine.observed).unwrap_err();
    assert!(error.to_string().contains("is no bridge"), "{error}");
    // The underlay itself may sit on a bridge.
    machine.link("eth0").kind = "bridge".into();
    let error = desired(&fabric, "host1", &machine.observed).unwrap_err();
    assert!(
        error.to_string().contains("leads to the underlay"),
        "{error}"
    );
}

#[test]
fn an_unknown_host_is_an_error_with_a_remedy() {
    let error = desired(&red_fabric(4), "host9", &Machine::new(4).observed).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the fabric has no host \"host9\"\nhint: name one of its hosts with --host"
    );
}
