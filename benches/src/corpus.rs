//! Texts to scan, made from a fixed seed: what agents send, without a secret in it.
//!
//! Half of a chat body is prose, half is code whose line ends and quotes are JSON escapes, since escapes are what makes a
//! JSON body costly.

/// A small generator; the same numbers on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

const WORDS: &[&str] = &[
    "the",
    "request",
    "of",
    "a",
    "function",
    "returns",
    "when",
    "value",
    "is",
    "not",
    "found",
    "in",
    "table",
    "and",
    "should",
    "be",
    "checked",
    "before",
    "use",
    "because",
    "caller",
    "may",
    "hold",
    "lock",
    "while",
    "reading",
    "configuration",
    "file",
    "path",
    "result",
    "every",
    "change",
    "needs",
    "test",
    "with",
    "small",
    "input",
    "please",
    "explain",
    "how",
    "this",
    "works",
];

/// Words of languages that are not written in ASCII letters.
const LANGUAGES: &[(&str, &str)] = &[
    (
        "json Chinese",
        "请求 函数 返回 当 值 是 没有 找到 在 表 和 应该 检查 之前 使用 因为 调用者 可能 持有 锁 读取 配置 文件 路径 结果 每个 更改 需要 测试 ， 。 请 解释 这个 如何 工作 代码",
    ),
    (
        "json Japanese",
        "リクエスト の 関数 は 値 を 返します テーブル に 見つからない とき 使用 する 前に 確認 してください 設定 ファイル 読み込み 結果 変更 には テスト が 必要です 、 。 コード ガイド パス",
    ),
    (
        "json Korean",
        "요청 의 함수 가 값을 반환 합니다 테이블 에서 찾을 수 없는 경우 사용 하기 전에 확인 해야 설정 파일 을 읽는 동안 결과 변경 마다 작은 테스트 필요 설명해 주세요 .",
    ),
    (
        "json Russian",
        "запрос функция возвращает значение если не найдено в таблице и должно быть проверено перед использованием потому что вызывающий может держать блокировку пока читает файл конфигурации каждый ещё йод , .",
    ),
    (
        "json Greek",
        "το αίτημα της συνάρτησης επιστρέφει όταν η τιμή δεν βρέθηκε στον πίνακα και πρέπει να ελεγχθεί πριν από τη χρήση κάθε αλλαγή χρειάζεται δοκιμή . ,",
    ),
    (
        "json Arabic",
        "الطلب الدالة تعيد عندما القيمة ليست موجودة في الجدول ويجب التحقق قبل الاستخدام لأن المستدعي قد يحتفظ بالقفل أثناء قراءة ملف الإعدادات كل تغيير يحتاج اختبارًا ، .",
    ),
    (
        "json Hindi",
        "अनुरोध फ़ंक्शन लौटाता है जब मान तालिका में नहीं मिला और उपयोग से पहले जाँच की जानी चाहिए क्योंकि कॉलर पढ़ते समय ताला रख सकता है हर बदलाव को छोटे परीक्षण की ज़रूरत ।",
    ),
    (
        "json Thai",
        "คำขอ ฟังก์ชัน ส่งคืน เมื่อ ไม่พบ ค่า ในตาราง และ ควรตรวจสอบ ก่อนใช้ เพราะ ผู้เรียก อาจถือ ล็อก ขณะอ่าน ไฟล์ การตั้งค่า ทุกการเปลี่ยนแปลง ต้องทดสอบ",
    ),
    (
        "json Vietnamese",
        "yêu cầu của hàm trả về khi giá trị không được tìm thấy trong bảng và nên được kiểm tra trước khi sử dụng vì người gọi có thể giữ khóa trong khi đọc tệp cấu hình . ,",
    ),
];

const LINES: &[&str] = &[
    "fn parse(text: &str) -> Result<Value, Error> {",
    "    let mut items = Vec::with_capacity(text.len());",
    "    for (index, line) in text.lines().enumerate() {",
    "        if line.trim().is_empty() { continue; }",
    "        items.push(Item { index, name: line.to_owned() });",
    "    }",
    "    println!(\"{} items\", items.len());",
    "    Ok(Value::List(items))",
    "}",
    "",
];

/// A chat-completion request of about `bytes` bytes.
#[must_use]
pub fn chat(bytes: usize) -> Vec<u8> {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut body = String::from(r#"{"model":"gpt-4.1","temperature":0.7,"stream":true,"messages":["#);
    let mut first = true;
    while body.len() < bytes.saturating_sub(16) || first {
        if !first {
            body.push(',');
        }
        first = false;
        body.push_str(r#"{"role":"user","content":""#);
        let end = (body.len() + 3000).min(bytes);
        while body.len() < end {
            if numbers.below(2) == 0 {
                for _ in 0..30 {
                    body.push_str(WORDS[numbers.below(WORDS.len())]);
                    body.push(' ');
                }
                body.push_str(".\\n");
            } else {
                for line in LINES {
                    body.push_str(&line.replace('"', "\\\""));
                    body.push_str("\\n");
                }
            }
        }
        body.push_str("\"}");
    }
    body.push_str("]}");
    body.into_bytes()
}

/// The same in a language of [`LANGUAGES`], with a few words of English and some code.
fn chat_in(words: &str, bytes: usize) -> Vec<u8> {
    let words: Vec<&str> = words.split(' ').collect();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut body = String::from(r#"{"model":"gpt-4.1","messages":["#);
    while body.len() < bytes {
        body.push_str(r#"{"role":"user","content":""#);
        let end = (body.len() + 3000).min(bytes);
        while body.len() < end {
            for _ in 0..40 {
                body.push_str(words[numbers.below(words.len())]);
                body.push_str([" ", ""][usize::from(words[0].len() < 7 && numbers.below(4) > 0)]);
            }
            body.push_str(WORDS[numbers.below(WORDS.len())]);
            body.push_str(LINES[numbers.below(3)].trim());
            body.push_str("\\n");
        }
        body.push_str("\"},");
    }
    body.truncate(body.len() - 1);
    body.push_str("]}");
    body.into_bytes()
}

/// A source file of about `bytes` bytes, with real line ends.
#[must_use]
pub fn code(bytes: usize) -> Vec<u8> {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let mut text = String::new();
    while text.len() < bytes {
        text.push_str("/// ");
        for _ in 0..numbers.below(12) + 3 {
            text.push_str(WORDS[numbers.below(WORDS.len())]);
            text.push(' ');
        }
        text.push('\n');
        for line in LINES {
            text.push_str(line);
            text.push('\n');
        }
        let (a, b) = (numbers.below(900), numbers.below(70000));
        text.push_str(&format!("const LIMIT_{a}: usize = {b}; // see module_{a}::lookup_table\n"));
    }
    text.truncate(bytes);
    text.into_bytes()
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A JSON body of about `bytes` bytes that is mostly base64 of noise, with some hex and some prose.
#[must_use]
pub fn base64_heavy(bytes: usize) -> Vec<u8> {
    let mut numbers = Numbers(0x9e6c_63d0_876a_68ee);
    let mut body = String::from(r#"{"items":["#);
    while body.len() < bytes {
        body.push_str(r#"{"id":""#);
        for _ in 0..32 {
            body.push(char::from(b"0123456789abcdef"[numbers.below(16)]));
        }
        body.push_str(r#"","data":""#);
        for _ in 0..4 * (numbers.below(1000) + 200) {
            body.push(char::from(DIGITS[numbers.below(64)]));
        }
        body.push_str(r#"","remark":""#);
        for _ in 0..40 {
            body.push_str(WORDS[numbers.below(WORDS.len())]);
            body.push(' ');
        }
        body.push_str(r#""},"#);
    }
    body.truncate(body.len() - 1);
    body.push_str("]}");
    body.into_bytes()
}

/// What worst cases repeat: candidates without a match, encodings within encodings, separators, words and characters that
/// the scan looks at one by one.
const UNITS: &[(&str, &str)] = &[
    ("one letter", "A"),
    ("digits", "0123456789"),
    ("percent escapes", "%25"),
    ("escaped letters", "%41"),
    ("escapes of escapes", "%2541"),
    ("malformed escapes", "%41%4"),
    ("seed words", "zoo wrong able abandon "),
    ("seed words with commas", "zoo,wrong,able,abandon,"),
    ("seed words on lines", "zoo\nwrong\nable\nabandon\n"),
    ("seed words with full stops", "zoo. abandon. "),
    ("one seed word", "abandon "),
    ("a key word and dashes", "key-"),
    ("card shapes", "4111111111111112 "),
    ("card shapes in groups", "4111 1111 1111 1112 "),
    ("digit groups", "4-1-1-1-"),
    ("character codes", "65, 75, 73, 65, 32, 57, 46, "),
    (
        "character codes of account shapes",
        "71, 66, 56, 50, 87, 69, 83, 84, 49, 50, 51, 52, 53, 54, 57, 56, 55, 54, 53, 52, 51, 51, ",
    ),
    ("character codes of character codes", "54, 53, 44, 32, 55, 53, 44, 32, "),
    ("lines of a dump", "00000000: 7468 6520 7175 6963 6b20 6272 6f77 6e20  the quick brown \n"),
    ("references to quotes", "&quot;abcdefghijklmnopqrst&quot;"),
    ("number shapes", "078-05-112 "),
    ("account shapes", "GB82WEST1234569876543 "),
    ("account beginnings", "AA00"),
    ("zero width", "a\u{200b}"),
    ("accents", "a\u{301}\u{302}"),
    ("expanding character", "\u{fdfa}"),
    ("Hangul", "\u{d55c}"),
    ("Kelvin sign", "zoo \u{212a}ey "),
    ("anchors", "sk-ant-sk-proj-ghp_AKIAeyJ.eyxox-glpat-"),
    ("token shapes", "eyJeyJeyJeyJ"),
    ("token segments", "eyJaaaaaaaaa."),
    ("short access ids", "AKIA0123456789ABCDE "),
    ("access id prefixes", "AKIA_"),
    ("key headers", "-----BEGIN PRIVATE "),
    ("app tokens", "xapp-1-A-1-"),
    ("assignments without a value", "A_TOKEN = "),
    ("credentials without a value", "password= &"),
    ("extended keys", "xprv"),
    ("wallet key beginnings", "5J"),
    ("wallet key letters", "K"),
    ("short runs", "QUJDREVGR0hJSktM "),
    ("runs of 19 and 20", "QUJDREVGR0hJSktMTU4 QUJDREVGR0hJSktMTU5P "),
    ("pieces with a slash", "QUJDREVGR0hJ/"),
    ("pieces with a plus", "QUJDREVGR0hJ+/"),
    ("base64 lines", "QUJDREVGR0hJSktM\r\n"),
    ("hex pieces", "6162636465666768 "),
    ("hex runs", "6162636465666768."),
    ("delimited hex", "61:62 "),
    ("base32", "MFRGGZDFMZTWQ2LK"),
    ("base32 pieces", "MFRGGZDFMZTWQ2LK "),
    ("plus", "+"),
    ("slash", "/"),
    ("dot", "."),
    ("letters and dots", "a."),
    ("dash", "-"),
    ("colon", ":"),
    ("line ends", "a\n"),
    ("control characters", "\0"),
    ("encoded account shapes", "REU4OTM3MDQwMDQ0MDUzMjAxMzAwMSA "),
    ("account shapes in hex", "44453839333730343030343430353332303133303031 "),
    ("account shapes encoded twice", "UkVVNE9UTTNNRFF3TURRME1EVXpNakF4TXpBd01TQQ "),
    ("card shapes with dashes, encoded", "NDExMS0xMTExLTExMTEtMTExMi0 "),
    ("hex of card shapes, encoded", "MzQzMTMxMzEzMTMxMzEzMTMxMzEzMTMxMzEzMTMxMzI "),
    ("accents, encoded", "YcyBYcyBYcyBYcyBYcyBYcyBYcyB "),
    ("squared words, encoded", "44yE44yE44yE44yE44yE44yE "),
    ("seed words between other spaces", "zoo\u{a0}wrong\u{a0}able\u{a0}"),
];

/// Texts of about `bytes` bytes, each made to cost as much as possible in one part of the scan.
#[must_use]
pub fn worst_cases(bytes: usize) -> Vec<(&'static str, Vec<u8>)> {
    let of = |unit: &str| {
        let mut text = unit.repeat(bytes / unit.len() + 1).into_bytes();
        text.truncate(bytes);
        text
    };
    let mut nested = of("nothing to see here. ");
    nested.truncate(bytes * 27 / 64 / 27 * 27);
    for _ in 0..3 {
        nested = base64(&nested);
    }
    let quoted = [b"\"".as_slice(), &nested, b"\""].concat();
    let mut numbers = Numbers(0x6a09_e667_f3bc_c908);
    let mut random = |from: &[u8]| (0..bytes).map(|_| from[numbers.below(from.len())]).collect::<Vec<u8>>();
    let all: Vec<u8> = (0..=255).collect();
    let mut cases: Vec<_> = UNITS.iter().map(|&(name, unit)| (name, of(unit))).collect();
    let wide = base64(&of("\u{fdfa}")[..bytes * 3 / 4]);
    // Each a digit away from an account's.
    let accounts = base64(&base64(&of("GB82WEST12345698765433 ")[..bytes * 9 / 16]));
    let account =
        |number: usize| base64(format!("DE89{}  ", 370_400_440_532_013_001 + 97 * number).as_bytes());
    let mut different: Vec<u8> =
        (0..bytes / 33 + 1).flat_map(|number| [account(number), vec![b' ']].concat()).collect();
    different.truncate(bytes);
    cases.extend([
        ("nested base64", nested),
        ("nested base64 in quotes", quoted),
        ("noise", random(&all)),
        ("random digits", random(b"0123456789 -")),
        ("random base64", random(DIGITS)),
        ("random base58", random(b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")),
        ("encoded noise", base64(&random(&all)[..bytes * 3 / 4])),
        ("encoded expanding characters", wide),
        ("numbers of accounts encoded twice", accounts),
        ("encoded account shapes, each another", different),
        ("bytes without meaning", vec![0xff; bytes]),
    ]);
    cases
}

fn base64(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len().div_ceil(3) * 4);
    for group in text.chunks_exact(3) {
        let all = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
        out.extend((0..4).map(|i| DIGITS[(all >> (18 - 6 * i) & 63) as usize]));
    }
    out
}

/// A request body of about so many bytes, with the type that it is sent under.
pub struct Body {
    /// What it is made of.
    pub name: &'static str,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub bytes: Vec<u8>,
}

/// Parts one after another until there are `bytes` bytes.
fn parts(bytes: usize, part: impl Fn(usize) -> String) -> String {
    let mut text = String::with_capacity(bytes + 64);
    for number in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&part(number));
    }
    text
}

/// A JSON array of such items.
fn list(bytes: usize, item: impl Fn(usize) -> String) -> Vec<u8> {
    let items = parts(bytes, |number| item(number) + ",");
    format!("[{}]", items.trim_end_matches(',')).into_bytes()
}

/// Ordinary bodies of every content type that is taken apart, and some that are not.
#[must_use]
pub fn bodies(bytes: usize) -> Vec<Body> {
    let prose =
        |number: usize| format!("{} {} and {}, ", WORDS[number % 7], WORDS[number % 41], WORDS[number % 29]);
    let code = String::from_utf8_lossy(&code(bytes)).into_owned();
    let field = |number: usize| {
        let text = parts((bytes / 60).max(3000), prose);
        format!("--B\r\nContent-Disposition: form-data; name=\"f{number}\"\r\n\r\n{text}\r\n")
    };
    let member =
        |number: usize| format!("{{\"ref\":\"r{number}x\",\"caption\":\"row {number}\",\"done\":true}}");
    let unicode = "Stra\u{df}e, \u{4f60}\u{597d}\u{4e16}\u{754c} \u{2014} \u{fc}ber ".repeat(40);
    let body = |name, content_type, bytes| Body { name, content_type, bytes };
    let json = "application/json";
    let languages = LANGUAGES.iter().map(|&(name, words)| body(name, json, chat_in(words, bytes)));
    let mut bodies = vec![
        body("json chat", json, chat(bytes)),
        body("json code", json, format!("{{\"text\":\"{}\"}}", escaped(&code)).into_bytes()),
        body("json base64", json, base64_heavy(bytes)),
        body("json records", json, list(bytes, member)),
        body("json unicode", json, list(bytes, |n| format!("{{\"caption\":\"{n} {unicode}\"}}"))),
        body(
            "form",
            "application/x-www-form-urlencoded",
            parts(bytes, |n| format!("k{n}={}&", "some+text%20of+it+".repeat(n % 60 + 10))).into_bytes(),
        ),
        body(
            "multipart",
            "multipart/form-data; boundary=B",
            (parts(bytes, field) + "--B--\r\n").into_bytes(),
        ),
        body("text", "text/plain", parts(bytes, prose).into_bytes()),
        body(
            "xml",
            "application/xml",
            parts(bytes, |n| format!("<p id=\"{n}\">{}</p>", prose(n))).into_bytes(),
        ),
        body("ndjson", "application/x-ndjson", parts(bytes, |n| member(n) + "\n").into_bytes()),
        body("unknown", "application/octet-stream", parts(bytes, prose).into_bytes()),
    ];
    bodies.extend(languages);
    bodies
}

/// A text as the inside of a JSON string.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// JSON made to cost as much as possible in one part of the inspection.
#[must_use]
pub fn worst_bodies(bytes: usize) -> Vec<Body> {
    let body = |name, bytes| Body { name, content_type: "application/json", bytes };
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let deep = format!("[{}]", vec![nested(9_999); (bytes / 19_998).max(1)].join(",")).into_bytes();
    let string = |text: String| format!("[\"{text}\"]").into_bytes();
    let object = |member: &dyn Fn(usize) -> String| {
        let members = parts(bytes, |number| member(number) + ",");
        format!("{{{}}}", members.trim_end_matches(',')).into_bytes()
    };
    vec![
        body("nesting", deep),
        body("unicode escapes", string(parts(bytes, |_| "\\u0061".to_owned()))),
        body("backslashes", string(parts(bytes, |_| "\\\\".to_owned()))),
        body("line ends", string(parts(bytes, |_| "a\\n".to_owned()))),
        body("tiny strings", list(bytes, |_| "\"a\"".to_owned())),
        body("short strings", list(bytes, |n| format!("\"v{n}\""))),
        body("names", object(&|n| format!("\"k{n}\":0"))),
        body("escaped names", object(&|n| format!("\"\\u006b{n}\":0"))),
        body("integers", list(bytes, |n| n.to_string())),
        body("floats", list(bytes, |n| format!("0.{:017}", n as u64 * 7_919_993 + 1))),
        body("exponents", list(bytes, |_| "1e300".to_owned())),
        body("words", list(bytes, |n| format!("\"{}\"", WORDS[n % WORDS.len()]))),
        body("digests", list(bytes, |n| format!("\"{:064x}\"", n as u128 * 0x9e37_79b9_7f4a_7c15_f39c))),
        body("malformed escapes", list(bytes, |n| format!("\"a+b {n} % c\""))),
        body("repeated names", list(bytes, |n| format!("{{\"a\":{n},\"a\":\"b\"}}"))),
        body("no end", parts(bytes, |_| "[\"a\",".to_owned()).into_bytes()),
    ]
}
