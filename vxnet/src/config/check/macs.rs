//! Ethernet addresses as text, and what they may be.

use vxnet_common::addr::Mac;

use crate::config::diagnostic::{Fault, quoted};

/// Reads the address of one station.
pub(super) fn station(text: &str) -> Result<Mac, Fault> {
    let mac = mac(text).ok_or_else(|| {
        Fault::new(
            format!("{} is not a MAC address", quoted(text)),
            "write six pairs of hexadecimal digits such as `52:54:00:00:00:01`",
        )
    })?;
    let class = if mac.is_group() {
        "a group address"
    } else if mac.is_zero() {
        "the zero address"
    } else {
        return Ok(mac);
    };
    Err(Fault::new(
        format!("{mac} is {class}, which no station can have"),
        "write the unicast address of the guest's link, such as `52:54:00:00:00:01`",
    ))
}

fn mac(text: &str) -> Option<Mac> {
    let mut octets = [0; 6];
    let mut pairs = text.split(':');
    for octet in &mut octets {
        let pair = pairs.next()?;
        let is_pair = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        // The standard parser would take a sign too.
        *octet = is_pair.then(|| u8::from_str_radix(pair, 16).ok())??;
    }
    pairs.next().is_none().then_some(Mac(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_are_read_in_either_case() {
        let expected = Mac([0x52, 0x54, 0, 0xab, 0xcd, 0xef]);
        assert_eq!(station("52:54:00:ab:cd:ef"), Ok(expected));
        assert_eq!(station("52:54:00:AB:CD:EF"), Ok(expected));
    }

    #[test]
    fn what_is_no_station_is_refused() {
        for text in [
            "",
            "52:54:00:00:00",
            "52:54:00:00:00:01:02",
            "52:54:0:0:0:1",
            "52-54-00-00-00-01",
            "525400000001",
            "52:54:00:00:00:0g",
            "+2:54:00:00:00:01",
            "52:54:00:00:00:01 ",
            "00:00:00:00:00:00",
            "01:00:5e:00:00:01",
            "ff:ff:ff:ff:ff:ff",
            "53:54:00:00:00:01",
        ] {
            assert!(station(text).is_err(), "{text:?}");
        }
    }
}
