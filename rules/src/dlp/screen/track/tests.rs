use proptest::prelude::*;

use super::*;
use crate::dlp::compiled::RuleTable;
use crate::dlp::{RuleSpec, Values, core_rules};

fn rules() -> &'static [(Rule, Tracked)] {
    static RULES: std::sync::OnceLock<Vec<(Rule, Tracked)>> = std::sync::OnceLock::new();
    RULES.get_or_init(|| {
        let specs: Vec<RuleSpec> =
            core_rules().iter().chain(super::super::super::builtin_rules()).cloned().collect();
        let rules = RuleTable::new(specs).expect("built-in rules").rules;
        let tracked = |rule: Rule| {
            let tracked = Tracked::new(&rule).unwrap_or_else(|| panic!("{}", rule.spec().name));
            (rule, tracked)
        };
        rules.into_iter().map(tracked).collect()
    })
}

/// What the rule itself says of every join.
fn plainly(rule: &Rule, values: &[&str]) -> Vec<Vec<u8>> {
    let count = values.len();
    let mut found = Vec::new();
    for choice in 0u32..1 << count {
        if (2..=4).contains(&choice.count_ones()) {
            let join: Vec<u8> = (0..count as u8).filter(|at| choice >> at & 1 == 1).collect();
            let text: String = join.iter().map(|&at| values[usize::from(at)]).collect();
            if rule.matches(&text) {
                found.push(join);
            }
        }
    }
    found.sort();
    found
}

fn assert_same(values: &[String], only: Option<&str>) -> Result<(), TestCaseError> {
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let mut all = Values::default();
    values.iter().for_each(|value| all.push_with(|out| out.extend_from_slice(value.as_bytes())));
    let seams = Seams::none(&all);
    for (rule, tracked) in
        rules().iter().filter(|(rule, _)| only.is_none_or(|name| *rule.spec().name == *name))
    {
        let plain = plainly(rule, &values);
        let mut joins = Vec::new();
        tracked.each(&seams, MOST_JOINED, &mut |join| {
            joins.push(join.to_vec());
            false
        });
        joins.sort();
        prop_assert_eq!(&joins, &plain, "{} {:?}", rule.spec().name, values);
        // A value in which the rule matches may be the last, of which no join begins.
        let is_exact = !values.last().is_some_and(|last| rule.matches(last));
        let any = tracked.matches_any(&seams);
        prop_assert!(any || plain.is_empty(), "{} {:?}", rule.spec().name, values);
        prop_assert!(!any || !is_exact || !plain.is_empty(), "{} {:?}", rule.spec().name, values);
    }
    Ok(())
}

/// Examples of all rules, cut into pieces, and texts near them.
fn pieces() -> impl Strategy<Value = Vec<String>> {
    let examples: Vec<String> = crate::dlp::builtin_examples()
        .iter()
        .chain(crate::dlp::core_examples())
        .map(|e| e.text.clone())
        .collect();
    let near = prop::sample::select(vec![
        "", "-", " ", "a", "Z9", ".", "=", "&", "0", "_", "é", "漢", "ey", "0x", "SK", "token=", "123-45-",
        "_KEY",
    ]);
    let cuts = prop::collection::vec((any::<prop::sample::Index>(), near, any::<u8>()), 0..5);
    (prop::sample::select(examples), cuts).prop_map(|(text, cuts)| {
        let chars: Vec<char> = text.chars().filter(|c| !c.is_control()).collect();
        let mut ends: Vec<usize> = cuts.iter().map(|(at, ..)| at.index(chars.len().max(1))).collect();
        ends.extend([0, chars.len()]);
        ends.sort_unstable();
        let mut values: Vec<String> =
            ends.windows(2).map(|ends| chars[ends[0]..ends[1]].iter().collect()).collect();
        for (at, near, how) in cuts {
            match how % 8 {
                0 => values.insert(at.index(values.len()), near.to_owned()),
                1 => {
                    let at = at.index(values.len());
                    values[at].push_str(near);
                }
                _ => {}
            }
        }
        values
    })
}

/// A card number of so many digits with the right sum, cut anywhere.
fn groups() -> impl Strategy<Value = Vec<String>> {
    let value = prop_oneof![
        8 => "[0-9]{1,8}",
        2 => "[0-9]{15,20}",
        4 => "[0-9]{1,5}[ -][0-9]{0,5}[ -]?[0-9]{0,4}",
        2 => "([0-9]{4}[ -]){1,8}[0-9]{0,4}",
        1 => "[ -]{1,2}[0-9]{4}",
        1 => "[0-9]{2,5}[a.-]{1,2}[0-9]{2,5}",
        2 => "4[0-9]{15}[ -]?[0-9]{0,3}",
        2 => "(4111|5500|34|6011)[ -]?",
        1 => "",
        1 => "[a_é]",
    ];
    prop::collection::vec(value, 2..8)
}

fn accounts() -> impl Strategy<Value = Vec<String>> {
    let value = prop_oneof![
        "(GB|DE|NO|BE|MT|RU|gb)[0-9]{2}",
        "(NO|BE|no)[0-9]{2}[0-9]{0,11}",
        "(GB29NWBK60161331926819|NO9386011117947|BE68539007547034|DE89370400440532013000)[a_. -]?",
        "GB29NWBK",
        "60161331926819",
        "[0-9A-Za-z]{1,9}",
        "[. _-]",
        "",
    ];
    prop::collection::vec(value, 2..8)
}

fn keys() -> impl Strategy<Value = Vec<String>> {
    const KEYS: [&str; 3] = [
        "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
        "KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP98617",
        "5Hwgr3u458GLafKBgxtssHSPqJnYoGrSzgQsPwLFhLNYskDPyyA",
    ];
    let cut = (prop::sample::select(KEYS.to_vec()), 0..52usize, 0..52usize).prop_map(|(key, a, b)| {
        let (a, b) = (a.min(key.len()), b.min(key.len()));
        key[a.min(b)..a.max(b)].to_owned()
    });
    let value = prop_oneof![
        4 => cut,
        2 => prop::sample::select(KEYS.to_vec()).prop_map(str::to_owned),
        1 => "[5KLkl]?[1-9A-Za-z]{0,60}",
        1 => "[0a5KL.]{0,3}",
    ];
    (value.clone(), prop::sample::select(KEYS.to_vec()), 0..52usize, prop::collection::vec(value, 0..4))
        .prop_map(|(first, key, cut, rest)| {
            let (head, tail) = key.split_at(cut.min(key.len()));
            [first, head.to_owned(), tail.to_owned()].into_iter().chain(rest).collect()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(1000), ..ProptestConfig::default() })]

    #[test]
    fn every_rule_is_followed_exactly(values in pieces()) {
        assert_same(&values, None)?;
    }

    #[test]
    fn card_numbers_are_summed_up_exactly(values in groups()) {
        assert_same(&values, Some("Credit Card Number"))?;
    }

    #[test]
    fn account_numbers_are_summed_up_exactly(values in accounts()) {
        assert_same(&values, Some("IBAN"))?;
    }

    #[test]
    fn wallet_keys_are_found_exactly(values in keys()) {
        assert_same(&values, Some("Bitcoin WIF Private Key"))?;
    }
}

/// Generated inputs for each property: `MUSELET_CASES`, or what a test run has time for.
fn cases(usual: u32) -> u32 {
    std::env::var("MUSELET_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}
