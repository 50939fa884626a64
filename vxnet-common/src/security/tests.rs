//! What a guest with one MAC address and one IP address of each family gets through.

mod claims;
mod malformed;
mod rogue;
mod scene;
mod sources;
mod vxlan;
