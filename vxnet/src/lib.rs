//! vxnet: one virtual network across many Linux hypervisors.

pub mod config;
pub mod model;
