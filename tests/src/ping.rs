//! iputils' ping and what it found out.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::netns::Netns;

/// A ping to be run.
#[derive(Debug, Clone)]
pub struct Ping {
    target: IpAddr,
    count: u32,
    size: u32,
    dont_fragment: bool,
}

/// ping's own summary.
#[derive(Debug, Clone)]
pub struct PingResult {
    pub sent: u32,
    pub received: u32,
    pub duplicates: u32,
    /// The mean round trip, in milliseconds.
    pub mean_ms: Option<f64>,
    /// ping's whole output.
    pub text: String,
}

impl Ping {
    pub fn new(target: impl Into<IpAddr>) -> Self {
        Self {
            target: target.into(),
            count: 3,
            size: 56,
            dont_fragment: false,
        }
    }

    #[must_use]
    pub fn count(mut self, count: u32) -> Self {
        self.count = count;
        self
    }

    /// Bytes of ICMP payload.
    #[must_use]
    pub fn size(mut self, size: u32) -> Self {
        self.size = size;
        self
    }

    #[must_use]
    pub fn dont_fragment(mut self) -> Self {
        self.dont_fragment = true;
        self
    }

    pub fn run(&self, netns: &Netns) -> Result<PingResult> {
        let Self {
            target,
            count,
            size,
            dont_fragment,
        } = self;
        let discovery = if *dont_fragment { "do" } else { "dont" };
        let line = format!("ping -n -i 0.05 -W 1 -c {count} -s {size} -M {discovery} {target}");
        // No reply is a result, not a failure of the tool.
        let output = netns.line(&line).timeout(Duration::from_mins(1)).output()?;
        let text = format!("{}{}", output.stdout, output.stderr);
        parse(&text).with_context(|| format!("`{line}` in {netns} printed\n{text}"))
    }
}

impl PingResult {
    /// Every request answered, exactly once.
    pub fn all(&self) -> bool {
        self.sent > 0 && self.received == self.sent && self.duplicates == 0
    }
}

fn parse(text: &str) -> Option<PingResult> {
    let summary = text
        .lines()
        .find(|line| line.contains("packets transmitted"))?;
    let figure = |what: &str| {
        let field = summary.split(", ").find(|field| field.contains(what))?;
        field
            .trim_start_matches('+')
            .split(' ')
            .next()?
            .parse()
            .ok()
    };
    let mean = text
        .lines()
        .find(|line| line.starts_with("rtt "))
        .and_then(|line| line.split('=').nth(1)?.split('/').nth(1)?.parse().ok());
    Some(PingResult {
        sent: figure("packets transmitted")?,
        received: figure("received")?,
        duplicates: figure("duplicates").unwrap_or(0),
        mean_ms: mean,
        text: text.to_owned(),
    })
}
