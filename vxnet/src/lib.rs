//! vxnet: one virtual network across many Linux hypervisors.

pub mod model;
