//! One file per hook.

mod gro;
mod port;
mod resolve;
mod uplink;
mod uplink_xdp;
