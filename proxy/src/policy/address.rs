//! Addresses and address ranges: what counts as internal, and which texts are addresses at all.
//!
//! Ranges are kept as plain (network, mask) words because the check runs on every address of every request; an IPv4-mapped
//! IPv6 address or range always counts as IPv4, so that no spelling slips past. (spec: url-scan §9, §15)

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The ranges that are internal whatever the configuration says. (spec: url-scan §9)
pub const CORE_RANGES: [&str; 10] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "100.64.0.0/10",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// A set of address ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressSet {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl AddressSet {
    /// The [`CORE_RANGES`].
    #[must_use]
    pub fn core() -> Self {
        CORE_RANGES.iter().filter_map(|range| range.parse::<IpNet>().ok()).collect()
    }

    /// Reads ranges such as `10.0.0.0/8`; host bits may be set.
    ///
    /// # Errors
    /// The first text that is not a range. The configuration's loader has its own, fuller message for that.
    pub fn parse<S: AsRef<str>>(ranges: &[S]) -> Result<Self, ipnet::AddrParseError> {
        ranges.iter().map(|range| range.as_ref().parse::<IpNet>()).collect()
    }

    /// Whether there is no range at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether one of the ranges contains `address`.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match reduce(address) {
            IpAddr::V4(address) => {
                let bits = u32::from(address);
                self.v4.iter().any(|&(network, mask)| bits & mask == network)
            }
            IpAddr::V6(address) => {
                let bits = u128::from(address);
                self.v6.iter().any(|&(network, mask)| bits & mask == network)
            }
        }
    }

    /// Adds one range.
    pub fn insert(&mut self, range: IpNet) {
        match range {
            IpNet::V4(range) => self.v4.push((u32::from(range.network()), u32::from(range.netmask()))),
            IpNet::V6(range) => match mapped_range(range) {
                Some(range) => self.insert(IpNet::V4(range)),
                None => self.v6.push((u128::from(range.network()), u128::from(range.netmask()))),
            },
        }
    }
}

impl FromIterator<IpNet> for AddressSet {
    fn from_iter<I: IntoIterator<Item = IpNet>>(ranges: I) -> Self {
        let mut set = Self::default();
        set.extend(ranges);
        set
    }
}

impl Extend<IpNet> for AddressSet {
    fn extend<I: IntoIterator<Item = IpNet>>(&mut self, ranges: I) {
        for range in ranges {
            self.insert(range);
        }
    }
}

fn mapped_range(range: Ipv6Net) -> Option<Ipv4Net> {
    let prefix = range.prefix_len().checked_sub(96)?;
    Ipv4Net::new(range.network().to_ipv4_mapped()?, prefix).ok()
}

/// An IPv4-mapped IPv6 address as IPv4, any other address as it is.
#[must_use]
pub fn reduce(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// An address literal: dotted decimal without leading zeros, or IPv6 without zone.
#[must_use]
pub fn parse_literal(text: &str) -> Option<IpAddr> {
    // The first byte of every literal is a hexadecimal digit or a colon, and a name holds no colon.
    match text.as_bytes().first()? {
        b'0'..=b'9' => text.parse().ok(),
        b'a'..=b'f' | b'A'..=b'F' | b':' if text.as_bytes().contains(&b':') => {
            text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
        _ => None,
    }
}

/// An address literal as the resolver takes it: an IPv6 one may have a non-empty zone, which is dropped.
#[must_use]
pub fn parse_literal_with_zone(text: &str) -> Option<IpAddr> {
    match memchr::memchr(b'%', text.as_bytes()) {
        None => parse_literal(text),
        Some(at) if at + 1 == text.len() => None,
        Some(at) => text[..at].parse::<Ipv6Addr>().ok().map(IpAddr::V6),
    }
}

/// Whether the content of a URL's brackets is acceptable: IPv6, with an optional zone. (spec: url-scan §3.3)
pub(crate) fn is_ipv6_literal(text: &[u8]) -> bool {
    let (address, zone) = match memchr::memchr(b'%', text) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    zone.is_none_or(|zone| !zone.is_empty())
        && std::str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// An IPv4 address in a notation other than dotted decimal: octal, hexadecimal or binary parts, or one integer for the whole
/// address. White space at the ends is ignored. (spec: url-scan §3.10)
#[must_use]
pub fn parse_alternative_ipv4(text: &str) -> Option<Ipv4Addr> {
    let text = text.trim();
    // Every accepted spelling starts with a digit.
    if !text.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    if !text.contains('.') {
        return parse_any_radix(text.as_bytes()).map(Ipv4Addr::from);
    }
    let mut octets = [0u8; 4];
    let mut parts = text.split('.');
    let mut unusual = false;
    for octet in &mut octets {
        let part = parts.next()?;
        *octet = u8::try_from(parse_any_radix(part.as_bytes())?).ok()?;
        unusual |= part.len() > 1 && part.starts_with('0');
    }
    (unusual && parts.next().is_none()).then_some(Ipv4Addr::from(octets))
}

/// An address in any spelling that C's `inet_aton` takes too: one to four parts, the last of which fills the rest.
pub(crate) fn parse_loosely(text: &str) -> Option<IpAddr> {
    if let Some(address) = parse_literal(text) {
        return Some(address);
    }
    let parts = text.split('.').map(|part| parse_any_radix(part.as_bytes())).collect::<Option<Vec<u32>>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|&part| part > 255) {
        return None;
    }
    let bits = 32 - 8 * u32::try_from(first.len()).ok()?;
    if u64::from(*last) >> bits != 0 {
        return None;
    }
    let high = first.iter().fold(0u64, |high, &part| high << 8 | u64::from(part));
    u32::try_from(high << bits | u64::from(*last)).ok().map(|bits| IpAddr::V4(Ipv4Addr::from(bits)))
}

/// By which listed difference an address is internal although none of `ranges` holds it: the hardened mode's checks of literals,
/// of resolved addresses and of addresses about to be connected to are this one.
pub(crate) fn beyond_ranges(
    address: IpAddr,
    ranges: &AddressSet,
    allowed: &AddressSet,
) -> Option<&'static str> {
    if allowed.contains(address) {
        return None;
    }
    if address.is_unspecified() {
        return Some("D-402");
    }
    let hidden = |inner: &Ipv4Addr| {
        let inner = IpAddr::V4(*inner);
        let is_internal = ranges.contains(inner) || is_reserved(inner) || is_local_service(inner);
        is_internal && !allowed.contains(inner)
    };
    if is_reserved(address) || embedded_ipv4(address).iter().flatten().any(hidden) {
        return Some("D-403");
    }
    is_local_service(address).then_some("D-423")
}

/// Addresses outside of the usual ranges that only the own machine or network answers to: metadata of clouds (Azure's
/// 168.63.129.16, Oracle's 192.0.0.192 in the block for protocol assignments), and IPv6 site-local ones.
fn is_local_service(address: IpAddr) -> bool {
    match reduce(address) {
        IpAddr::V4(address) => matches!(address.octets(), [168, 63, 129, 16] | [192, 0, 0, _]),
        IpAddr::V6(address) => address.segments()[0] & 0xffc0 == 0xfec0,
    }
}

/// Multicast, reserved and broadcast addresses: nothing that a request could be meant for.
fn is_reserved(address: IpAddr) -> bool {
    match reduce(address) {
        IpAddr::V4(address) => address.octets()[0] >= 224,
        IpAddr::V6(address) => address.is_multicast(),
    }
}

/// The IPv4 addresses that an IPv6 address of a transition mechanism carries: NAT64, 6to4, Teredo (server and client),
/// IPv4-compatible, SIIT.
fn embedded_ipv4(address: IpAddr) -> [Option<Ipv4Addr>; 2] {
    let IpAddr::V6(address) = reduce(address) else { return [None, None] };
    let bits = u128::from(address);
    let at = |shift: u32| Some(Ipv4Addr::from((bits >> shift) as u32));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => [at(0), None],
        [0, 0, 0, 0, 0, 0, ..] if bits > 1 => [at(0), None],
        [0x2002, ..] => [at(80), None],
        [0x2001, 0, ..] => [at(64), Some(Ipv4Addr::from(!(bits as u32)))],
        _ => [None, None],
    }
}

/// An unsigned integer of at most 32 bits whose prefix names its radix, with `_` between digits.
fn parse_any_radix(text: &[u8]) -> Option<u32> {
    let (radix, digits, after_prefix) = match text {
        [b'0', b'x' | b'X', rest @ ..] if !rest.is_empty() => (16, rest, true),
        [b'0', b'b' | b'B', rest @ ..] if !rest.is_empty() => (2, rest, true),
        [b'0', b'o' | b'O', rest @ ..] if !rest.is_empty() => (8, rest, true),
        [b'0', rest @ ..] => (8, rest, true),
        _ => (10, text, false),
    };
    let mut value: u32 = 0;
    let mut digit_before = after_prefix;
    for &byte in digits {
        if byte == b'_' {
            if !digit_before {
                return None;
            }
            digit_before = false;
            continue;
        }
        let digit = char::from(byte).to_digit(radix)?;
        value = value.checked_mul(radix)?.checked_add(digit)?;
        digit_before = true;
    }
    (digit_before && !text.is_empty()).then_some(value)
}

/// Whether a resolver would even ask for `name`; any other name fails without a query. (spec: url-scan §15.2)
#[must_use]
pub fn is_queryable_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.len() > 253 {
        return false;
    }
    let mut has_letter = false;
    for label in name.as_bytes().split(|&byte| byte == b'.') {
        if label.is_empty() || label.len() > 63 || label.starts_with(b"-") || label.ends_with(b"-") {
            return false;
        }
        for &byte in label {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'-' => has_letter = true,
                b'0'..=b'9' => {}
                _ => return false,
            }
        }
    }
    has_letter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_alternative_ipv4_notations_and_nothing_else() {
        let cases = [
            ("0x7f000001", Some("127.0.0.1")),
            ("2130706433", Some("127.0.0.1")),
            ("017700000001", Some("127.0.0.1")),
            ("0x7f.0.0.1", Some("127.0.0.1")),
            ("0177.0.0.1", Some("127.0.0.1")),
            ("127.0.0.0x1", Some("127.0.0.1")),
            ("0b1111111.0.0.1", Some("127.0.0.1")),
            ("0o177.0.0.1", Some("127.0.0.1")),
            ("0_177.0.0.1", Some("127.0.0.1")),
            ("2_130_706_433", Some("127.0.0.1")),
            ("0x_7f000001", Some("127.0.0.1")),
            ("0X7F000001\u{a0}", Some("127.0.0.1")),
            ("0", Some("0.0.0.0")),
            ("12345", Some("0.0.48.57")),
            ("0127.0.0.1", Some("87.0.0.1")),
            ("127.0.0.1", None),
            ("127.1", None),
            ("0x7f.1", None),
            ("08.0.0.1", None),
            ("256.1.1.1", None),
            ("4294967296", None),
            ("0x7f000001.", None),
            ("127.0.0.1.", None),
            ("1_0.0.0.1", None),
            ("1__0", None),
            ("10_", None),
            ("_10", None),
            ("0x", None),
            ("+1", None),
            ("", None),
            ("１２７.0.0.1", None),
        ];
        for (text, expected) in cases {
            assert_eq!(
                parse_alternative_ipv4(text).map(|ip| ip.to_string()).as_deref(),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn knows_which_names_are_never_asked_for() {
        let long = format!("{}.test", "a".repeat(64));
        for name in
            ["", ".", "127.1", "127.0.0.1.", "a..b", "-a.test", "a-.test", "例え.jp", "a b", "a%b", &long]
        {
            assert!(!is_queryable_name(name), "{name:?}");
        }
        for name in ["localhost", "a.test.", "_dmarc.a.test", "1-2", "xn--r8jz45g.jp"] {
            assert!(is_queryable_name(name), "{name:?}");
        }
    }

    #[test]
    fn mapped_addresses_and_ranges_count_as_ipv4() {
        let mapped = AddressSet::parse(&["::ffff:10.0.0.0/104"]).expect("a range");
        let plain = AddressSet::parse(&["10.1.2.3/8"]).expect("a range");
        for set in [&mapped, &plain] {
            for (address, inside) in
                [("10.9.9.9", true), ("::ffff:10.9.9.9", true), ("11.0.0.1", false), ("::a09:909", false)]
            {
                assert_eq!(set.contains(address.parse().expect("an address")), inside, "{address}");
            }
        }
    }
}
