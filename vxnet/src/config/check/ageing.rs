//! How long an FDB entry lives: a time as the user writes it.

use std::time::Duration;

use crate::config::{
    diagnostic::{Fault, quoted},
    raw,
};

/// The longest ageing time, that of the Linux bridge and vxlan links.
const LONGEST_SECONDS: u64 = 1_000_000;

pub(super) fn ageing(raw: &raw::Ageing) -> Result<Duration, Fault> {
    let (seconds, shown) = match raw {
        raw::Ageing::Seconds(seconds) => (*seconds, seconds.to_string()),
        raw::Ageing::Text(text) => (seconds(text)?, text.clone()),
    };
    if (1..=LONGEST_SECONDS).contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    let message = format!(
        "{} is not from 1 to {LONGEST_SECONDS} seconds",
        quoted(&shown)
    );
    Err(Fault::new(message, "write a time such as `300s`"))
}

fn seconds(text: &str) -> Result<u64, Fault> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(60 * 60),
        "d" => Some(24 * 60 * 60),
        _ => None,
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match unit {
        // A number too large for the type is too large for the limit as well.
        Some(unit) if is_number => Ok(digits.parse().unwrap_or(u64::MAX).saturating_mul(unit)),
        _ => Err(Fault::new(
            format!("{} is not a time", quoted(text)),
            "write a number and `s`, `m`, `h` or `d`, such as `300s` or `5m`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<u64> {
        ageing(&raw::Ageing::Text(text.to_owned()))
            .ok()
            .map(|time| time.as_secs())
    }

    #[test]
    fn units_and_limits() {
        assert_eq!(read("1s"), Some(1));
        assert_eq!(read("5m"), Some(300));
        assert_eq!(read("1h"), Some(3600));
        assert_eq!(read("11d"), Some(950_400));
        for text in [
            "0s",
            "1000001s",
            "12d",
            "99999999999999999999d",
            // 44 s, if it were computed modulo 2^64.
            "307445734561825861m",
            "",
            "s",
            "5",
            "-1s",
            "1.5h",
            "5 m",
            "5M",
            "５s",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
