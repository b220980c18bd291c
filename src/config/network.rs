//! Networks as people write them: `10.0.0.0/8`, `fd00::/8`, or one address.

use std::{fmt, net::IpAddr, str::FromStr};

/// A network in CIDR notation (RFC 4632).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// Bits that all its addresses have in common.
    prefix: u8,
}

impl Network {
    /// Whether it holds this address. An IPv4 address that came by an IPv6 socket (`::ffff:10.0.0.1`) is what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.address.is_ipv4() == address.is_ipv4() && first_bits(address, self.prefix) == bits(self.address)
    }
}

/// An address as a number whose highest bit is the address's first.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn first_bits(address: IpAddr, count: u8) -> u128 {
    bits(address) & u128::MAX.checked_shl(128 - u32::from(count)).unwrap_or(0)
}

fn from_bits(bits: u128, v4: bool) -> IpAddr {
    if v4 { IpAddr::V4(u32::try_from(bits >> 96).unwrap_or_default().into()) } else { IpAddr::V6(bits.into()) }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("\"{}\" is no network: write 10.0.0.0/8 or 192.168.1.7", text.escape_debug());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.trim().parse().map_err(|_| refused())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(most), |prefix| prefix.trim().parse::<u8>()).map_err(|_| refused())?;
        if prefix > most {
            return Err(refused());
        }
        let network = first_bits(address, prefix);
        if network != bits(address) {
            let meant = from_bits(network, address.is_ipv4());
            return Err(format!("\"{text}\" has bits behind its prefix: write {meant}/{prefix} or {address}"));
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("192.168.1.7", "192.168.1.7", true),
            ("192.168.1.7", "192.168.1.8", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
        ];
        for (network, address, holds) in cases {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), holds, "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_may_be_meant() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "10.0.0.0/-1", "everybody"] {
            assert!(text.parse::<Network>().unwrap_err().contains("is no network"), "{text}");
        }
        let refusal = "10.1.2.3/8".parse::<Network>().unwrap_err();
        assert!(refusal.ends_with("write 10.0.0.0/8 or 10.1.2.3"), "{refusal}");
    }
}
