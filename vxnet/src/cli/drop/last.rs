//! `vxnet drop show --last`: the headers of the frames that were dropped last.

use std::{collections::BTreeMap, fmt::Write as _, process::ExitCode};

use anyhow::Result;
use serde::Serialize;
use vxnet_common::{
    frame::ethertype,
    map::{
        dropped::{Dropped, SERVICE, TAGGED},
        stats::GONE_PORTS,
    },
    reason::Reason,
};

use super::{UNKNOWN, names};
use crate::{
    cli::{
        decode::{self, hex},
        output::{self, Format, Row},
    },
    host::maps::{Maps, clock},
};

/// A frame that was dropped.
#[derive(Serialize)]
struct Last {
    reason: &'static str,
    port: String,
    /// Milliseconds since then.
    ago_ms: u64,
    /// Bytes of the frame.
    len: u32,
    /// The tag that stood beside the frame.
    tag: Option<u16>,
    /// It was one of 802.1ad.
    service_tag: bool,
    summary: String,
    /// The first bytes of the frame.
    header: String,
}

impl Row for Last {
    const HEADINGS: &'static [&'static str] = &["AGO", "REASON", "PORT", "LENGTH", "FRAME"];

    fn cells(&self) -> Vec<String> {
        vec![
            ago(self.ago_ms),
            self.reason.into(),
            self.port.clone(),
            self.len.to_string(),
            self.summary.clone(),
        ]
    }
}

pub(super) fn run(
    maps: &Maps,
    port: Option<&str>,
    reason: Option<Reason>,
    with_hex: bool,
    format: Format,
) -> Result<ExitCode> {
    let names: BTreeMap<u32, String> = names(maps)?.into_iter().collect();
    let now = clock()?;
    let mut frames = Vec::new();
    for of in Reason::ALL
        .iter()
        .filter(|of| reason.is_none_or(|reason| reason == **of))
    {
        for row in maps.last_drops(*of)? {
            let frame = Last::new(*of, &row, &names, now);
            if port.is_none_or(|port| frame.port == port) {
                frames.push(frame);
            }
        }
    }
    frames.sort_by_key(|frame| frame.ago_ms);
    if format.json || !with_hex {
        return output::rows(format, &frames);
    }
    let text = output::table(&frames);
    let mut lines = text.lines();
    let mut text = lines
        .next()
        .map(|line| format!("{line}\n"))
        .unwrap_or_default();
    for (line, frame) in lines.zip(&frames) {
        let _ = writeln!(text, "{line}\n  {}", frame.header);
    }
    output::text(&text)
}

impl Last {
    fn new(reason: Reason, row: &Dropped, names: &BTreeMap<u32, String>, now: u64) -> Self {
        let kept = &row.header[..row.header.len().min(row.kept as usize)];
        let tag = (row.tag & TAGGED != 0).then_some(row.tag as u16);
        let kind = if row.tag & SERVICE == 0 {
            ethertype::VLAN
        } else {
            ethertype::SERVICE_VLAN
        };
        let gone = || match row.port {
            GONE_PORTS => "(gone)".to_owned(),
            slot => format!("slot {slot} (gone)"),
        };
        let name = names.get(&row.port).cloned();
        Self {
            reason: reason.name(),
            port: name.unwrap_or_else(|| {
                if row.port == 0 {
                    UNKNOWN.to_owned()
                } else {
                    gone()
                }
            }),
            ago_ms: now.saturating_sub(row.time) / 1_000_000,
            len: row.len,
            tag,
            service_tag: row.tag & SERVICE != 0,
            summary: decode::summary(kept, tag.map(|tag| (kind, tag))),
            header: hex(kept),
        }
    }
}

/// Writes a time span as people say it.
fn ago(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        10_000..600_000 => format!("{}s", ms / 1000),
        600_000..36_000_000 => format!("{}m", ms / 60_000),
        _ => format!("{}h", ms / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use vxnet_common::map::dropped::HEADER;

    use super::*;

    #[test]
    fn a_dropped_frame_is_one_line() {
        let mut header = [0; HEADER];
        header[..14].copy_from_slice(&[255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 0x88, 0xcc]);
        let row = Dropped {
            time: 1_000_000_000,
            port: 4,
            len: 60,
            tag: TAGGED | 0x3e9,
            kept: 60,
            header,
        };
        let names = BTreeMap::from([(4, "vnet1".to_owned())]);
        let last = Last::new(Reason::LinkLocal, &row, &names, 3_500_000_000);
        let summary = "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, VLAN 1001, EtherType 0x88cc";
        assert_eq!(last.cells(), ["2.5s", "link_local", "vnet1", "60", summary]);
        assert_eq!(last.header.len(), 120);
        let service = Dropped {
            tag: row.tag | SERVICE,
            ..row
        };
        let last = Last::new(Reason::Tagged, &service, &names, 0);
        assert!(last.summary.contains("S-VLAN 1001"), "{}", last.summary);
        let gone = Last::new(Reason::LinkLocal, &Dropped { port: 5, ..row }, &names, 0);
        assert_eq!((gone.port.as_str(), gone.ago_ms), ("slot 5 (gone)", 0));
        let stranger = Last::new(Reason::LinkLocal, &Dropped { port: 0, ..row }, &names, 0);
        assert_eq!(stranger.port, "(unknown)");
    }

    #[test]
    fn times_are_short() {
        let spans = [0, 9_999, 10_000, 599_999, 600_000, 36_000_000].map(ago);
        assert_eq!(spans, ["0.0s", "9.9s", "10s", "599s", "10m", "10h"]);
    }
}
