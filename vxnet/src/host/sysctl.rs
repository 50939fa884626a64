//! Kernel parameters, and what they were before.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::PathBuf};

use anyhow::{Context as _, Result};

use super::Paths;
use crate::state::{Id, Spec, State};

/// File that remembers the former values, for teardown.
fn memory(paths: &Paths) -> PathBuf {
    paths.run.join("sysctl.json")
}

/// Returns the former values of the parameters that vxnet has changed.
fn former(paths: &Paths) -> Result<BTreeMap<String, String>> {
    super::memory::read(&memory(paths))
}

/// Adds the parameters that vxnet has changed, as they are now.
pub(super) fn observe(paths: &Paths, state: &mut State) -> Result<()> {
    for key in former(paths)?.into_keys() {
        if let Ok(value) = read(&key) {
            state.insert(Id::Sysctl(key), Spec::Sysctl(value));
        }
    }
    Ok(())
}

/// Sets a parameter, remembering its value if this is the first time.
pub(super) fn set(paths: &Paths, key: &str, value: &str) -> Result<()> {
    let mut values = former(paths)?;
    if !values.contains_key(key) {
        values.insert(key.into(), read(key)?);
        super::memory::write(&memory(paths), &values)?;
    }
    write(key, value)
}

/// Gives a parameter its former value back.
pub(super) fn restore(paths: &Paths, key: &str) -> Result<()> {
    let mut values = former(paths)?;
    if let Some(value) = values.remove(key) {
        write(key, &value)?;
        super::memory::write(&memory(paths), &values)?;
    }
    Ok(())
}

/// Sets a parameter that goes with its link.
pub(super) fn write(key: &str, value: &str) -> Result<()> {
    fs::write(format!("/proc/sys/{key}"), value)
        .with_context(|| format!("cannot set the kernel parameter {key} to {value}"))
}

/// Sets a parameter that goes with its link, if the link has it.
pub(super) fn write_if_there(key: &str, value: &str) -> Result<()> {
    let written = write(key, value);
    match &written {
        Err(error) if is_absent(error) => Ok(()),
        _ => written,
    }
}

fn is_absent(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == ErrorKind::NotFound)
}

/// Returns the value of a parameter.
pub(super) fn read(key: &str) -> Result<String> {
    let value = fs::read_to_string(format!("/proc/sys/{key}"))
        .with_context(|| format!("cannot read the kernel parameter {key}"))?;
    Ok(value.trim().to_owned())
}
