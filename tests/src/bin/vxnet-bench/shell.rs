//! Running commands in namespaces and remembering them: a benchmark has to show what it compared.

use std::cell::RefCell;

use anyhow::Result;
use vxnet_tests::netns::Netns;

/// The commands that built one bed.
#[derive(Debug, Default)]
pub(crate) struct Shell {
    lines: RefCell<Vec<String>>,
}

impl Shell {
    /// Runs a command, written as one would type it, in `netns`.
    pub(crate) fn run(&self, netns: &Netns, line: &str) -> Result<String> {
        self.note(netns, line);
        netns.line(line).run()
    }

    /// Runs `ip <arguments>` in `netns`.
    pub(crate) fn ip(&self, netns: &Netns, arguments: &str) -> Result<String> {
        self.run(netns, &format!("ip {arguments}"))
    }

    /// Sets a sysctl of `netns`.
    pub(crate) fn sysctl(&self, netns: &Netns, key: &str, value: &str) -> Result<()> {
        self.note(netns, &format!("sysctl -w {key}={value}"));
        netns.sysctl(key, value)
    }

    /// Remembers what was done in another way than by a command.
    pub(crate) fn note(&self, netns: &Netns, line: &str) {
        let role = netns.name().rsplit('-').next().unwrap_or_default();
        self.lines.borrow_mut().push(format!("{role}# {line}"));
    }

    /// All commands so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }
}
