//! Queries made to cost much: twenty values whose joins come near a rule and match none.

/// Names and URLs; none is blocked by a rule.
#[must_use]
pub fn queries() -> Vec<(&'static str, String)> {
    let query = |value: &dyn Fn(usize) -> String| {
        let pairs: Vec<String> = (0..20).map(|at| format!("k{at}={}", value(at))).collect();
        format!("https://example.com/?{}", pairs.join("&"))
    };
    let hex = |at: usize, len: usize| -> String {
        (0..len).map(|i| char::from(b"abcdef0123456789"[(at * 7 + i * 5 + i * i) % 16])).collect()
    };
    let letters = |at: usize, len: usize| -> String {
        (0..len).map(|i| char::from(b"abcdefghijkmnopqrstuvwxyz"[(at * 7 + i * 5 + i * i) % 25])).collect()
    };
    // Digits whose check sums never come out: pieces of four add 1 to it, and no join is of more than four.
    vec![
        ("clean/4", query(&|at| format!("a{:02}z", at))),
        ("clean/13", query(&|at| letters(at, 13))),
        ("clean/22", query(&|at| letters(at, 22))),
        ("clean/51", query(&|at| format!("{}-", letters(at, 50)))),
        ("clean/400", query(&|at| format!("{}-{}", letters(at, 200), letters(at, 199)))),
        ("cards", query(&|at| format!("41111111111111{:02}", 12 + at % 3))),
        ("card halves", query(&|at| ["41111112", "51111118", "60111111"][at % 3].to_owned())),
        ("card quarters", query(&|_| "4010".to_owned())),
        ("card quarters, unknown issuer", query(&|at| format!("{}", 1000 + at * 7))),
        ("card thirds", query(&|at| format!("{}", 98_000 + at * 7))),
        ("card halves with hyphens", query(&|at| format!("9111-1{:02}1-", at))),
        ("card quarters with spaces", query(&|at| format!("9{:02}1+", at))),
        ("digits of 200", query(&|at| format!("1{:02}", at).repeat(66))),
        ("groups of 200", query(&|at| format!("9{:02}1-", at).repeat(40))),
        ("IBANs", query(&|at| format!("GB29NWBK601613319268{:02}", 20 + at))),
        ("IBAN halves", query(&|at| format!("GB29NWBK6{:02}", at))),
        ("IBAN thirds", query(&|at| format!("NO931{:02}", at))),
        ("IBAN quarters", query(&|at| format!("DE{:02}1", at))),
        (
            "wallet keys",
            query(&|at| format!("5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvy{}", &letters(at, 2))),
        ),
        ("wallet key halves", query(&|at| format!("KwueCGU8rMjxEXxiPuD5BDku{}", &letters(at, 2)))),
        ("wallet key quarters", query(&|at| format!("L2ueCGU8rMj{}", &letters(at, 2)))),
        ("wallet keys of 200", query(&|at| format!("{}KwueCGU8rMj{}", letters(at, 7), "5JueC".repeat(35)))),
        ("social security", query(&|at| format!("1{:02}-45-678", at))),
        ("social security parts", query(&|at| ["12-", "345-6"][at % 2].to_owned())),
        ("Twilio", query(&|at| format!("SK{}g", hex(at, 16)))),
        ("Ethereum", query(&|at| format!("0x{}", hex(at, 22)))),
        ("JWT", query(&|at| format!("ey{}", letters(at, 24)))),
        ("JWT with dots", query(&|at| format!("ey{}..", letters(at, 12)))),
        ("Discord", query(&|at| format!("M{}.abcdef", letters(at, 24)))),
        ("GitHub", query(&|at| format!("ghp_-{}", letters(at, 30)))),
        ("AWS", query(&|at| format!("AKIA{}-", hex(at, 14)))),
        ("Slack app", query(&|at| format!("xapp-1-{}-1-", letters(at, 8)))),
        ("Credential", query(&|at| format!("xtoken={}", letters(at, 8)))),
        ("Variable", query(&|at| format!("A_SECRET={}", letters(at, 3)))),
        ("secret access key", query(&|at| format!("secretaccesskey={}_", letters(at, 20)))),
        ("private key", query(&|_| "-----BEGIN+RSA+KEY-----".to_owned())),
        ("GitHub, long", query(&|at| format!("ghp_-{}-{}", letters(at, 190), letters(at, 190)))),
        ("combining marks", query(&|at| format!("%CC%81{}", letters(at, 13)))),
        ("stray bytes", query(&|at| format!("%82%A0{}", letters(at, 13)))),
        ("split characters", query(&|at| format!("%A0{}%C2", letters(at, 13)))),
        (
            "split characters in many ways",
            query(&|at| format!("%8{:X}{}%C{:X}", at % 16, letters(at, 13), 2 + at % 14)),
        ),
        ("parts of characters", query(&|at| ["%E3", "%82", "%A0"][at % 3].to_owned())),
        ("GBK", query(&|at| format!("%B5%C4%CA%{:X}", 0xC0 + at))),
        ("accents between values", query(&|at| format!("%CC%81{}%C3%A9", letters(at, 13)))),
        ("vowels alone", query(&|at| format!("%E1%85%A{}", 1 + at % 9))),
    ]
}
