use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;

fn v4(last: u8) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, last), 0).into()
}

fn v6(last: u16) -> SocketAddr {
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last), 0).into()
}

/// A resolver that finds these addresses, and the names that were looked up.
fn finding(addresses: &[SocketAddr]) -> (SpreadingResolver, Arc<Mutex<Vec<String>>>) {
    let names = Arc::new(Mutex::new(Vec::new()));
    let (asked, addresses) = (names.clone(), addresses.to_vec());
    let resolver = SpreadingResolver::with_lookup(move |name| {
        asked.lock().unwrap().push(name);
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    });
    (resolver, names)
}

async fn resolved(resolver: &SpreadingResolver) -> Vec<SocketAddr> {
    let found = resolver.resolve("store.example".parse().unwrap()).await;
    found.unwrap().collect()
}

#[tokio::test]
async fn each_resolution_begins_with_the_next_address() {
    let (resolver, names) = finding(&[v4(2), v4(1), v4(3)]);
    let clone = resolver.clone();
    assert_eq!(resolved(&resolver).await, [v4(1), v4(2), v4(3)]);
    assert_eq!(resolved(&clone).await, [v4(2), v4(3), v4(1)]);
    assert_eq!(resolved(&resolver).await, [v4(3), v4(1), v4(2)]);
    assert_eq!(resolved(&resolver).await, [v4(1), v4(2), v4(3)]);
    assert_eq!(*names.lock().unwrap(), ["store.example"; 4]);
}

#[tokio::test]
async fn the_preferred_family_stays_first() {
    let (resolver, _) = finding(&[v6(1), v4(1), v6(2), v4(2), v4(3)]);
    assert_eq!(resolved(&resolver).await, [v6(1), v6(2), v4(1), v4(2), v4(3)]);
    assert_eq!(resolved(&resolver).await, [v6(2), v6(1), v4(2), v4(3), v4(1)]);
    let (resolver, _) = finding(&[v4(1), v6(1), v6(2)]);
    resolved(&resolver).await;
    assert_eq!(resolved(&resolver).await, [v4(1), v6(2), v6(1)]);
}

#[tokio::test]
async fn a_name_server_that_rotates_does_not_undo_the_turns() {
    let turn = AtomicUsize::new(0);
    let resolver = SpreadingResolver::with_lookup(move |_| {
        let mut addresses = vec![v4(1), v4(2), v4(3)];
        addresses.rotate_right(turn.fetch_add(1, Ordering::Relaxed) % 3);
        Box::pin(async move { Ok(addresses) })
    });
    let mut firsts = Vec::new();
    for _ in 0..6 {
        firsts.push(resolved(&resolver).await[0]);
    }
    assert_eq!(firsts, [v4(1), v4(2), v4(3), v4(1), v4(2), v4(3)]);
}

#[tokio::test]
async fn one_address_and_none_are_unchanged() {
    for addresses in [vec![v4(1)], vec![v6(1)], vec![]] {
        let (resolver, _) = finding(&addresses);
        for _ in 0..3 {
            assert_eq!(resolved(&resolver).await, addresses);
        }
    }
}

#[tokio::test]
async fn a_failed_lookup_is_the_operating_systems_error() {
    let found = SpreadingResolver::new()
        .resolve("missing.invalid".parse().unwrap())
        .await;
    let Err(error) = found else {
        panic!("a name under .invalid has an address");
    };
    assert!(error.downcast_ref::<io::Error>().is_some(), "{error:?}");
}

#[tokio::test]
async fn the_operating_system_knows_localhost() {
    for address in resolved_name("localhost").await {
        assert!(address.ip().is_loopback() && address.port() == 0, "{address}");
    }
}

async fn resolved_name(name: &str) -> Vec<SocketAddr> {
    let found = SpreadingResolver::new().resolve(name.parse().unwrap()).await;
    let found: Vec<_> = found.unwrap().collect();
    assert!(!found.is_empty());
    found
}

fn address() -> impl Strategy<Value = SocketAddr> {
    any::<IpAddr>().prop_map(|ip| (ip, 0).into())
}

proptest! {
    #[test]
    fn no_address_is_lost_or_invented(addresses in prop::collection::vec(address(), 0..20), turn in any::<usize>()) {
        let spread = spread(addresses.clone(), turn);
        prop_assert_eq!(
            spread.first().map(SocketAddr::is_ipv6),
            addresses.first().map(SocketAddr::is_ipv6)
        );
        let sorted = |mut addresses: Vec<SocketAddr>| {
            addresses.sort_unstable();
            addresses.dedup();
            addresses
        };
        prop_assert_eq!(sorted(spread), sorted(addresses));
    }

    #[test]
    fn every_address_is_the_first_in_its_turn(count in 1_u8..20, begin in 0..usize::MAX / 2) {
        let addresses: Vec<_> = (0..count).map(v4).collect();
        let firsts = (begin..begin + usize::from(count)).filter_map(|turn| spread(addresses.clone(), turn).first().copied());
        let firsts: std::collections::BTreeSet<_> = firsts.collect();
        prop_assert_eq!(firsts.len(), addresses.len());
    }
}
