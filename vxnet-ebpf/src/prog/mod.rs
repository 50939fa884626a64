//! One file per hook.

mod detour;
mod gro_socket;
mod port;
mod resolve;
mod uplink;
mod uplink_xdp;
