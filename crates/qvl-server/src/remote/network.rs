//! Ranges of addresses, and which addresses belong to the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// A range of addresses: those whose first `bits` bits are those of `first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

/// A text that is not a [`Network`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a range of addresses; write an address or ADDRESS/BITS, for example 10.1.0.0/16 or fd00::/8")]
pub struct NetworkError(String);

impl Network {
    const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u32) -> Self {
        Self { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    const fn v6(first: u16, second: u16, third: u16, bits: u32) -> Self {
        Self { first: IpAddr::V6(Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0)), bits }
    }

    /// Whether `address` lies in the range. IPv4 addresses lie in no range of IPv6, whatever their notation.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                (first.to_bits() ^ address.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                (first.to_bits() ^ address.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError(text.to_owned());
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let first: IpAddr = address.parse().map_err(|_| error())?;
        let width = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), str::parse).map_err(|_| error())?;
        if bits <= width { Ok(Self { first, bits }) } else { Err(error()) }
    }
}

/// What is not the public internet, by IANA's registry of special-purpose IPv4 addresses, and multicast.
const SPECIAL_V4: [Network; 15] = [
    Network::v4(0, 0, 0, 0, 8),        // this network
    Network::v4(10, 0, 0, 0, 8),       // private
    Network::v4(100, 64, 0, 0, 10),    // shared behind a provider's NAT
    Network::v4(127, 0, 0, 0, 8),      // loopback
    Network::v4(168, 63, 129, 16, 32), // public by its number, but Azure's platform as seen from inside
    Network::v4(169, 254, 0, 0, 16),   // link-local, where clouds keep their metadata
    Network::v4(172, 16, 0, 0, 12),    // private
    Network::v4(192, 0, 0, 0, 24),     // protocol assignments
    Network::v4(192, 0, 2, 0, 24),     // documentation
    Network::v4(192, 88, 99, 0, 24),   // relays of 6to4
    Network::v4(192, 168, 0, 0, 16),   // private
    Network::v4(198, 18, 0, 0, 15),    // benchmarks
    Network::v4(198, 51, 100, 0, 24),  // documentation
    Network::v4(203, 0, 113, 0, 24),   // documentation
    Network::v4(224, 0, 0, 0, 3),      // multicast, reserved, broadcast
];

/// The part of IPv6 that is given out for use on the internet, by IANA's registry of the address space.
const GLOBAL_V6: Network = Network::v6(0x2000, 0, 0, 3);

/// What of [`GLOBAL_V6`] is not the public internet, by IANA's registry of special-purpose IPv6 addresses.
const SPECIAL_V6: [Network; 4] = [
    Network::v6(0x2001, 0, 0, 23),     // protocol assignments: Teredo, benchmarks, ORCHID
    Network::v6(0x2001, 0xdb8, 0, 32), // documentation
    Network::v6(0x2002, 0, 0, 16),     // 6to4
    Network::v6(0x3fff, 0, 0, 20),     // documentation
];

/// Addresses of IPv4 as a network without IPv4 writes them (RFC 6052): the last 32 bits are the address.
const NAT64: Network = Network::v6(0x64, 0xff9b, 0, 96);

/// Whether `address` belongs to a host of the public internet.
///
/// Of the notations that put an IPv4 address into one of IPv6, only NAT64 is looked into, because there it is how the internet
/// is reached. Mapped and compatible addresses, 6to4 and Teredo are never public.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => !SPECIAL_V4.iter().any(|network| network.contains(address)),
        IpAddr::V6(v6) if NAT64.contains(address) => {
            let [.., a, b, c, d] = v6.octets();
            is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        IpAddr::V6(_) => GLOBAL_V6.contains(address) && !SPECIAL_V6.iter().any(|network| network.contains(address)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn public(address: &str) -> bool {
        is_public(address.parse().unwrap())
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2606:4700:4700::1111",
            "2a00:1450:4001:831::200e",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(public(address), "{address}");
        }
    }

    #[test]
    fn the_borders_of_every_special_range_are_not_public() {
        for range in [
            "0.0.0.0 0.255.255.255",
            "10.0.0.0 10.255.255.255",
            "100.64.0.0 100.127.255.255",
            "127.0.0.0 127.255.255.255",
            "168.63.129.16 168.63.129.16",
            "169.254.0.0 169.254.255.255",
            "172.16.0.0 172.31.255.255",
            "192.0.0.0 192.0.0.255",
            "192.0.2.0 192.0.2.255",
            "192.88.99.0 192.88.99.255",
            "192.168.0.0 192.168.255.255",
            "198.18.0.0 198.19.255.255",
            "198.51.100.0 198.51.100.255",
            "203.0.113.0 203.0.113.255",
            "224.0.0.0 255.255.255.255",
            ":: ::1",
            "::7f00:1 ::10.0.0.1",
            "::ffff:127.0.0.1 ::ffff:1.1.1.1",
            "64:ff9b::127.0.0.1 64:ff9b::169.254.169.254",
            "64:ff9b:1::1 100::1",
            "2001:: 2001:1ff:ffff::1",
            "2001:db8:: 2001:db8:ffff::1",
            "2002:7f00:1:: 2002:101:101::1",
            "3fff:: 3fff:fff::1",
            "4000:: 5f00::1",
            "fc00:: fdff:ffff::1",
            "fd00:ec2::254 fe80::1",
            "fec0::1 ff02::1",
        ] {
            for address in range.split(' ') {
                assert!(!public(address), "{address}");
            }
        }
    }

    #[test]
    fn a_network_is_an_address_or_an_address_with_bits() {
        let one: Network = "127.0.0.1".parse().unwrap();
        assert!(one.contains("127.0.0.1".parse().unwrap()) && !one.contains("127.0.0.2".parse().unwrap()));
        let all: Network = "::/0".parse().unwrap();
        assert!(all.contains("fe80::1".parse().unwrap()) && !all.contains("10.0.0.1".parse().unwrap()));
        for text in
            ["", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10.0.0/8", "example.org", "10.0.0.0/8/8"]
        {
            let error = text.parse::<Network>().unwrap_err();
            assert!(error.to_string().contains(&format!("`{text}` is not a range of addresses")), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_network_holds_what_its_mask_says(first: u32, address: u32, bits in 0_u32..=32) {
            let network: Network = format!("{}/{bits}", Ipv4Addr::from_bits(first)).parse().unwrap();
            let mask = u64::from(u32::MAX) << (32 - bits) & u64::from(u32::MAX);
            let expected = u64::from(first) & mask == u64::from(address) & mask;
            prop_assert_eq!(network.contains(IpAddr::V4(Ipv4Addr::from_bits(address))), expected);
        }
    }
}
