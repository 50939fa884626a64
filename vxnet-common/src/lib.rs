//! What vxnet's kernel programs and its user space must agree on.
//!
//! Nothing here does I/O, so that the same code runs in the kernel, in the CLI and in unit tests.
#![no_std]

pub mod addr;
