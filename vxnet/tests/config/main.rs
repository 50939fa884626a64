//! The fabric file: what is accepted, what is refused, where the blame is put and how that reads.

mod addresses;
mod attack29;
mod command;
mod examples;
mod fabric_file;
mod names;
mod networks;
mod portgroups;
mod ports;
mod report;
mod schema;
mod segments;
mod shape;
mod trunks;
mod vlans;
