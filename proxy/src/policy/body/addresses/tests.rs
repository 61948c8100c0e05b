use super::*;

const OWN: &str = "0x742d35cc6634c0532925a3b844bc9e7595f2bd3e";

fn guard(allowed: &[&str], unknown: &str, chains: &[(&str, bool)]) -> AddressGuard {
    let mut section = AddressProtection {
        enabled: true,
        action: "block".to_owned(),
        unknown_action: unknown.to_owned(),
        allowed_addresses: allowed.iter().map(|&text| text.to_owned()).collect(),
        ..AddressProtection::default()
    };
    section.similarity.prefix_length = 4;
    section.similarity.suffix_length = 4;
    for &(chain, on) in chains {
        match chain {
            "eth" => section.chains.eth = Some(on),
            "btc" => section.chains.btc = Some(on),
            "bnb" => section.chains.bnb = Some(on),
            _ => section.chains.sol = Some(on),
        }
    }
    AddressGuard::new(&section).expect("switched on")
}

#[test]
fn tells_lookalikes_from_the_users_own_and_from_strangers() {
    let stranger = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
    let cases: &[(&str, &str, &[&str])] = &[
        (OWN, "allow", &[]),
        ("0x742D35CC6634C0532925A3B844BC9E7595F2BD3E", "block", &[]),
        ("0x742daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaf2bd3e", "allow", &["lookalike"]),
        ("send to 0x742daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaf2bd3e.", "allow", &["lookalike"]),
        ("to0x742daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaf2bd3e", "allow", &["lookalike"]),
        (
            "0x742daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaf2bd3e 0x742Daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaf2bd3e",
            "allow",
            &["lookalike"],
        ),
        ("0x742baaaaaaaaaaaaaaaaaaaaaaaaaaaaaaf2bd3e", "allow", &[]),
        ("0x742daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaf2bd3f", "allow", &[]),
        (stranger, "allow", &[]),
        (stranger, "warn", &["unknown"]),
        ("0x742daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaf2bd3e00", "block", &[]),
        ("a transaction 0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "block", &[]),
        ("nothing of the kind", "block", &[]),
    ];
    for (text, unknown, wanted) in cases {
        let found = guard(&[OWN], unknown, &[]).check(text.as_bytes());
        let verdicts: Vec<_> = found.iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, *wanted, "{text} with unknown {unknown}");
        for finding in &found {
            assert!(finding.explanation.starts_with("ETH address 0x"), "{}", finding.explanation);
            assert_eq!(
                finding.action,
                if finding.verdict == "unknown" { Action::Warn } else { Action::Block }
            );
        }
    }
}

#[test]
fn knows_the_addresses_of_each_chain() {
    let cases: &[(&str, Option<&str>)] = &[
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", Some("BTC")),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", None),
        ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", Some("BTC")),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", Some("BTC")),
        ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", Some("BTC")),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", None),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", Some("BTC")),
        ("bnb1grpf0955h0ykzq3ar5nmum7y6gdfl6lxfn46h2", Some("BNB")),
        ("bnb1grpf0955h0ykzq3ar5nmum7y6gdfl6lxfn46h3", None),
        ("0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", Some("ETH")),
        ("4Nd1mBQtrMJVYVfKf2PJy9NZUZdTAsp7D4xWLs4gDB4T", Some("SOL")),
        ("So11111111111111111111111111111111111111112", Some("SOL")),
        ("abcdefghijklmnopqrstuvwxyzabcdefgh", None),
        ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4", None),
    ];
    for (text, wanted) in cases {
        let found = guard(&[], "block", &[("sol", true)]).check(text.as_bytes());
        assert_eq!(found.first().map(|finding| finding.chain), *wanted, "{text}");
    }
    let sol_off = guard(&[], "block", &[]).check(b"4Nd1mBQtrMJVYVfKf2PJy9NZUZdTAsp7D4xWLs4gDB4T");
    assert!(sol_off.is_empty(), "Solana is off unless switched on");
    let only_bnb =
        guard(&[OWN], "allow", &[("eth", false)]).check(b"0x742daaaaaaaaaaaaaaaaaaaaaaaaaaaaaaf2bd3e");
    assert_eq!(only_bnb.first().map(|finding| finding.chain), Some("BNB"));
}
