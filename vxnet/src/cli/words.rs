//! Words of the command line that several commands read.

use vxnet_common::{addr::Mac, reason::Reason};

/// Reads an address as it is usually written: six bytes in hexadecimal with colons.
pub(super) fn parse_mac(text: &str) -> Result<Mac, String> {
    let bytes: Option<Vec<u8>> = text
        .split(':')
        .map(|byte| {
            u8::from_str_radix(byte, 16)
                .ok()
                .filter(|_| byte.len() == 2 && !byte.starts_with('+'))
        })
        .collect();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .map(Mac)
        .ok_or_else(|| "write six bytes, as in 52:54:00:12:34:56".to_owned())
}

/// A reason that can be named on the command line, and that shells complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named(pub(super) Reason);

/// All of them, for the argument parser.
const ALL: [Named; Reason::ALL.len()] = {
    let mut all = [Named(Reason::ShortFrame); Reason::ALL.len()];
    let mut index = 0;
    while index < all.len() {
        all[index] = Named(Reason::ALL[index]);
        index += 1;
    }
    all
};

impl clap::ValueEnum for Named {
    fn value_variants<'a>() -> &'a [Self] {
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_is_read_as_it_is_written() {
        let mac = Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        assert_eq!(parse_mac("52:54:00:12:34:56"), Ok(mac));
        for text in [
            "",
            "52:54:00:12:34",
            "52:54:00:12:34:5",
            "52-54-00-12-34-56",
            "52:54:00:12:34:56:78",
            "+2:54:00:12:34:56",
        ] {
            assert!(parse_mac(text).is_err(), "{text}");
        }
    }
}
