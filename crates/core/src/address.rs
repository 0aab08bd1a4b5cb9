//! Addresses that hand out a machine's own credentials to whoever asks from it.
//! Not here: who may ask for what, and connections.
//! Called by the server's look at settings, and wherever a name is resolved on behalf of other people.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is link-local, or one of those beside them that clouds use for the same.
pub fn hands_out_credentials(address: IpAddr) -> bool {
    const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
    const AZURE: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
    const ORACLE: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 192);
    const AMAZON: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    const GOOGLE: Ipv6Addr = Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254);
    match address {
        IpAddr::V4(address) => address.is_link_local() || [ALIBABA, AZURE, ORACLE].contains(&address),
        IpAddr::V6(address) => match within(address) {
            Some(inner) => hands_out_credentials(IpAddr::V4(inner)),
            None => address.is_unicast_link_local() || address == AMAZON || address == GOOGLE,
        },
    }
}

/// The address that a mapped, translated (64:ff9b::/96) or tunnelled (2002::/16) one leads to.
fn within(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let embedded = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(embedded(high, low))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_the_credentials_is_seen() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fe80::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(hands_out_credentials(address.parse().unwrap()), "{address}");
        }
        for address in ["127.0.0.1", "10.0.0.1", "192.168.1.1", "8.8.8.8", "::1", "::", "2001:db8::1", "fd00::1"] {
            assert!(!hands_out_credentials(address.parse().unwrap()), "{address}");
        }
    }
}
