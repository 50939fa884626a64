//! The kernel of this host: everything that reads or changes it.
//!
//! One adapter a file; [`Kernel`] joins them behind [`crate::reconcile::Host`]. Nothing here knows
//! the fabric: it carries out operations on what `state` names.

mod attach;
mod batch;
pub mod floor;
mod kernel;
pub mod maps;
pub mod netlink;
mod nft;
mod object;
mod offload;
pub mod paths;
mod sysctl;

pub use self::{kernel::Kernel, object::bytes as object_bytes, paths::Paths};
