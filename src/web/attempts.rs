//! Wrong tokens, counted per address, so that tokens which a person chose cannot be tried out one after the other.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// So many wrong tokens an address may show at once, and then one more each `PAUSE`.
const AT_ONCE: u32 = 10;
const PAUSE: Duration = Duration::from_secs(6);
/// Addresses that are remembered, at most.
const MOST: usize = 10_000;

#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<IpAddr, Instant>>);

/// One household or machine has a whole /64 of IPv6 addresses (RFC 6177).
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

impl Attempts {
    /// Whether this address has shown so many wrong tokens that it has to wait.
    pub fn exhausted(&self, address: IpAddr) -> bool {
        let paid_off = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&place(address)).copied();
        paid_off.is_some_and(|at| at > Instant::now() + PAUSE * (AT_ONCE - 1))
    }

    /// Notes a wrong token.
    pub fn wrong(&self, address: IpAddr) {
        let now = Instant::now();
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= MOST {
            places.retain(|_, paid_off| *paid_off > now);
        }
        if places.len() >= MOST
            && let Some(first) = places.iter().min_by_key(|(_, paid_off)| **paid_off).map(|(place, _)| *place)
        {
            places.remove(&first);
        }
        // Each wrong one moves the moment when nothing is held against the address any more.
        let paid_off = places.entry(place(address)).or_insert(now);
        *paid_off = (*paid_off).max(now) + PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_that_guesses_has_to_wait_and_no_other_one() {
        let attempts = Attempts::default();
        for _ in 0..AT_ONCE {
            assert!(!attempts.exhausted(address("10.0.0.1")));
            attempts.wrong(address("10.0.0.1"));
        }
        assert!(attempts.exhausted(address("10.0.0.1")));
        assert!(attempts.exhausted(address("::ffff:10.0.0.1")));
        assert!(!attempts.exhausted(address("10.0.0.2")));
    }

    #[test]
    fn all_addresses_of_one_ipv6_network_count_together() {
        let attempts = Attempts::default();
        for host in 0..AT_ONCE {
            attempts.wrong(address(&format!("2001:db8::{host}")));
        }
        assert!(attempts.exhausted(address("2001:db8::ffff")));
        assert!(!attempts.exhausted(address("2001:db8:0:1::1")));
    }

    #[test]
    fn many_addresses_take_no_more_memory() {
        let attempts = Attempts::default();
        for number in 0..MOST as u32 + 100 {
            attempts.wrong(IpAddr::V4(number.into()));
        }
        assert_eq!(attempts.0.lock().unwrap().len(), MOST);
    }
}
