//! The encodings of addresses: Base58(Check) and Bech32(m), enough of them to tell an address from other text.

use sha2::{Digest, Sha256};

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Final values of the checksum register: BIP-173 and BIP-350.
const BECH32_CONSTANTS: [u32; 2] = [1, 0x2bc8_30a3];

/// Decodes at most 44 characters; `None` for a foreign character.
pub(super) fn base58(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes: Vec<u8> = Vec::with_capacity(33);
    for byte in text {
        let mut carry = BASE58.iter().position(|digit| digit == byte)?;
        for place in bytes.iter_mut().rev() {
            carry += usize::from(*place) * 58;
            *place = (carry & 0xff) as u8;
            carry >>= 8;
        }
        while carry > 0 {
            bytes.insert(0, (carry & 0xff) as u8);
            carry >>= 8;
        }
    }
    let zeros = text.iter().take_while(|&&byte| byte == b'1').count();
    bytes.splice(0..0, std::iter::repeat_n(0, zeros));
    Some(bytes)
}

/// Whether decoded Base58 is a P2PKH or P2SH address of the main network: version, 20 bytes, checksum.
pub(super) fn is_bitcoin(decoded: &[u8]) -> bool {
    let Some((payload, checksum)) = decoded.split_last_chunk::<4>() else {
        return false;
    };
    let hash = Sha256::digest(Sha256::digest(payload));
    payload.len() == 21 && matches!(payload[0], 0 | 5) && hash.starts_with(checksum)
}

/// A Bech32 text with a right checksum.
pub(super) struct Bech32 {
    /// Human-readable part, lower-case, of those that matter here.
    pub hrp: &'static str,
}

/// Checks a text with one of the known human-readable parts, all in one case.
pub(super) fn segwit(text: &str) -> Option<Bech32> {
    let lower = text.to_ascii_lowercase();
    if text.len() > 90 || (lower != text && text.to_ascii_uppercase() != text) {
        return None;
    }
    let hrp = ["bc", "bnb"]
        .into_iter()
        .find(|hrp| lower.strip_prefix(hrp).is_some_and(|rest| rest.starts_with('1')))?;
    let data = &lower.as_bytes()[hrp.len() + 1..];
    if data.len() < 8 {
        return None;
    }
    let expanded = hrp
        .bytes()
        .map(|byte| u32::from(byte >> 5))
        .chain([0])
        .chain(hrp.bytes().map(|byte| u32::from(byte & 31)));
    let mut register = expanded.fold(1, step);
    for byte in data {
        let value = BECH32.iter().position(|digit| digit == byte)?;
        register = step(register, value as u32);
    }
    BECH32_CONSTANTS.contains(&register).then_some(Bech32 { hrp })
}

fn step(register: u32, value: u32) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = register >> 25;
    let shifted = (register & 0x01ff_ffff) << 5 ^ value;
    (0..5).filter(|bit| top >> bit & 1 == 1).fold(shifted, |sum, bit| sum ^ GENERATOR[bit])
}
