//! `vxnet drop explain`: what a reason means, and what to do about it.

use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use vxnet_common::reason::Reason;

use crate::cli::output::{self, Format};

/// A reason in words.
#[derive(Serialize)]
struct Explanation {
    reason: &'static str,
    code: u32,
    /// Whether the frame goes on in spite of the count.
    notice: bool,
    meaning: &'static str,
    remedy: &'static str,
}

impl Explanation {
    fn of(reason: Reason) -> Self {
        Self {
            reason: reason.name(),
            code: reason as u32,
            notice: reason.is_notice(),
            meaning: reason.meaning(),
            remedy: reason.remedy(),
        }
    }

    fn text(&self) -> String {
        format!(
            "{}\n  {}\n  hint: {}\n",
            self.reason, self.meaning, self.remedy
        )
    }
}

pub(super) fn run(reason: Option<Reason>, format: Format) -> Result<ExitCode> {
    if let Some(reason) = reason {
        let explanation = Explanation::of(reason);
        return if format.json {
            output::json(&explanation)
        } else {
            output::text(&explanation.text())
        };
    }
    let all: Vec<Explanation> = Reason::ALL.iter().copied().map(Explanation::of).collect();
    if format.json {
        return output::json(&all);
    }
    let texts: Vec<String> = all.iter().map(Explanation::text).collect();
    output::text(&texts.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_explained_in_three_lines() {
        let text = Explanation::of(Reason::BadVid).text();
        assert_eq!(
            text,
            "bad_vid\n  VLAN 4095 is reserved and never on a wire\n  hint: set another VLAN, 1 to \
             4094, on the interface that sends\n"
        );
    }
}
