//! One file per hook.

mod detour;
mod port;
mod resolve;
mod uplink;
mod uplink_xdp;
