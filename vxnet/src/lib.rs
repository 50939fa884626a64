//! vxnet: one virtual network across many Linux hypervisors.
//!
//! Pure rooms: [`model`] (the fabric), [`config`] (its file), [`state`] (what the kernel holds),
//! [`desired`] (what it should hold), [`plan`] (the difference) and
//! [`trace`] (the way of one frame). Rooms with I/O: [`host`] (the
//! kernel), [`reconcile`] (bringing one to the other), [`daemon`] (doing so for ever) and [`cli`].
//! `cargo xtask check` holds the arrows between them.

pub mod cli;
pub mod config;
pub mod daemon;
pub mod desired;
pub mod host;
pub mod model;
pub mod plan;
pub mod reconcile;
pub mod state;
pub mod trace;
