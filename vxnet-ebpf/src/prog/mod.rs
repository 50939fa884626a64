//! One file per hook.

mod port;
mod resolve;
mod uplink;
mod uplink_xdp;
