use super::*;

#[test]
fn follows_go_where_the_engines_differ() {
    // pattern, texts that match, texts that do not
    let cases: &[(&str, &[&str], &[&str])] = &[
        (r"^\d$", &["7"], &["٣"]),
        (r"^\D$", &["٣", "x"], &["7"]),
        (r"^\w$", &["a", "_"], &["é", "\u{17F}"]),
        (r"(?i)^\w$", &["a", "\u{17F}", "\u{212A}"], &["é"]),
        (r"(?i)^\W$", &["é"], &["\u{17F}", "\u{212A}"]),
        (r"^\s$", &["\t", "\n", "\u{c}", "\r", " "], &["\u{b}", "\u{a0}", "\u{85}"]),
        (r"^[[:space:]]$", &["\u{b}", " "], &["\u{a0}"]),
        (r"^[[:word:]]$", &["a"], &["é"]),
        (r"^[[:^alpha:]]$", &["1"], &["a"]),
        (r"\bfoo\b", &["éfoo", "fooé"], &["xfoo"]),
        (r"^\<a\>$", &["<a>"], &["a"]),
        (r"^a\b{start}$", &[], &["a"]),
        (r#"^{"a":$"#, &["{\"a\":"], &[]),
        (r"^a{,3}$", &["a{,3}"], &["aaa"]),
        (r"^a{ 1}$", &["a{ 1}"], &["a"]),
        (r"^a{01}$", &["a{01}"], &["a"]),
        (r"^a{1,2,3}$", &["a{1,2,3}"], &[]),
        (r"^a{x}$", &["a{x}"], &[]),
        (r"^a{$", &["a{"], &[]),
        (r"^[[a]$", &["[", "a"], &["]"]),
        (r"^[[a]]$", &["[]", "a]"], &["a"]),
        (r"^[a&&b]$", &["a", "&", "b"], &[]),
        (r"^[+--]$", &["+", ",", "-"], &["."]),
        (r"^[\d-z]$", &["5", "-", "z"], &["a"]),
        (r"^[\w-]$", &["-", "a"], &[]),
        (r"^[]a]$", &["]", "a"], &[]),
        (r"^[^]a]$", &["b", "\n"], &["]", "a"]),
        (r"^\Qa.b\Ec$", &["a.bc"], &["axbc"]),
        (r"^\Qa.b", &["a.b"], &["axb"]),
        (r"^\0\07\12\101$", &["\0\u{7}\nA"], &[]),
        (r"^\x41\x{1F600}$", &["A\u{1F600}"], &[]),
        (r"\x{D800}", &[], &["x", ""]),
        (r"^\p{^Greek}$", &["a"], &["α"]),
        (r"^\P{^Greek}$", &["α"], &["a"]),
        (r"^\pL\PL$", &["a1"], &["11"]),
        (r"^\p{Lu}$", &["A"], &["a"]),
        (r"(?i)^\p{Lu}$", &["A", "a"], &["1"]),
        (r"^\p{greek}\p{Any}$", &["αx"], &[]),
        (r"^(?P<n>a)(?<1b>b)(?P<n>c)$", &["abc"], &[]),
        (r"^(?)a$", &["a"], &[]),
        (r"(?U)^a+$", &["aa"], &[]),
        (r"^a.c$", &["abc", "a\u{1F600}c"], &["a\nc"]),
        (r"(?s)^a.c$", &["a\nc"], &[]),
        (r"a$", &["a"], &["a\n"]),
        (r"(?m)a$", &["a\n"], &["a\r\n"]),
        (r"(?m)^b", &["a\nb"], &["a\rb"]),
        (r"\Aa\z", &["a"], &["ba"]),
        (r"(?i)^k$", &["K", "\u{212A}"], &[]),
        (r"(?i)^s$", &["\u{17F}"], &[]),
        (r"(?i)^ß$", &["\u{1E9E}"], &["ss"]),
        (r"(?i)^σ$", &["ς"], &[]),
        (r"(?i)^µ$", &["μ"], &[]),
        (r"(?i)^[^k]$", &["x"], &["K", "\u{212A}"]),
        (r"(?i:a)b", &["Ab"], &["AB"]),
        (r"(?i)(?-i:A)b", &["AB"], &["aB"]),
        (r"^(a|)b()$", &["ab", "b"], &[]),
        (r"^*a", &["a"], &[]),
        (r"a|*", &[], &[]),
        (r"\_\-\/", &["_-/"], &[]),
        (r"^\a\f\n\r\t\v$", &["\u{7}\u{c}\n\r\t\u{b}"], &[]),
        (r"^\w{1000}$", &[], &["a"]),
        (r"^é+$", &["éé"], &[]),
    ];
    for (pattern, yes, no) in cases {
        let Ok(regex) = compile(pattern) else {
            assert!(yes.is_empty() && no.is_empty(), "{pattern} is refused");
            continue;
        };
        for text in *yes {
            assert!(regex.is_match(text), "{pattern} should match {text:?}");
        }
        for text in *no {
            assert!(!regex.is_match(text), "{pattern} should not match {text:?}");
        }
    }
}

#[test]
fn refuses_with_go_s_words() {
    let cases = [
        ("(", "missing closing ): `(`"),
        (")", "unexpected ): `)`"),
        ("a)b", "unexpected ): `a)b`"),
        ("(?=a)b", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?!a)b", "invalid or unsupported Perl syntax: `(?!`"),
        ("(?<=a)b", "invalid named capture: `(?<=a)b`"),
        ("(?P<a b>c)", "invalid named capture: `(?P<a b>`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("(a{100}){100}", "invalid repeat count: `{100}`"),
        ("a{3,2}", "invalid repeat count: `{3,2}`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a|*", "missing argument to repetition operator: `*`"),
        ("(*a)", "missing argument to repetition operator: `*`"),
        ("[a", "missing closing ]: `[a`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"\p{Foo}", r"invalid character class range: `\p{Foo}`"),
        (r"\p{Alphabetic}", r"invalid character class range: `\p{Alphabetic}`"),
        (r"a\", "trailing backslash at end of expression: ``"),
        (r"\8", r"invalid escape sequence: `\8`"),
        (r"\1", r"invalid escape sequence: `\1`"),
        (r"\Z", r"invalid escape sequence: `\Z`"),
        (r"[\b]", r"invalid escape sequence: `\b`"),
        (r"\xZZ", r"invalid escape sequence: `\xZ`"),
        (r"\é", r"invalid escape sequence: `\é`"),
    ];
    for (pattern, wanted) in cases {
        let got = compile(pattern).err().map(|e| e.to_string());
        assert_eq!(got.as_deref(), Some(format!("error parsing regexp: {wanted}").as_str()), "{pattern}");
    }
}

#[test]
fn groups_nest_a_thousand_deep_and_no_deeper() {
    let nested = |n: usize| "(".repeat(n) + "a" + &")".repeat(n);
    assert!(compile(&nested(1000)).is_ok());
    assert_eq!(compile(&nested(1001)).err().map(|e| e.reason), Some("expression nests too deeply"));
}
