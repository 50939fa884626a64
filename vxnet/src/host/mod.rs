//! The kernel of this host: everything that reads or changes it.
//!
//! One adapter a file; [`Kernel`] joins them behind [`crate::reconcile::Host`]. Nothing here knows
//! the fabric: it carries out operations on what `state` names.

mod attach;
mod batch;
mod detour;
pub(crate) mod events;
pub mod floor;
pub(crate) mod holders;
mod kernel;
pub mod maps;
mod members;
mod membership;
pub(crate) mod memory;
pub mod netlink;
mod nft;
mod object;
mod offload;
pub mod paths;
mod rows;
mod sysctl;
mod trunk;

pub use self::{kernel::Kernel, object::bytes as object_bytes, paths::Paths};
