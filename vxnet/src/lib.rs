//! vxnet: one virtual network across many Linux hypervisors.
