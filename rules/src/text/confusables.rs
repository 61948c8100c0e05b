//! The 151 look-alike characters and the ASCII letters they stand for (spec: dlp §7.3, url-scan §23).

/// The ASCII letter that `c` is taken for; `None` for characters that stay as they are.
pub fn confusable(c: char) -> Option<char> {
    let code = c as u32;
    if code < 0xD8 {
        return None;
    }
    if let 0x1F170..=0x1F189 = code {
        return letter(code - 0x1F170);
    }
    if let 0x1F1E6..=0x1F1FF = code {
        return letter(code - 0x1F1E6);
    }
    TABLE.binary_search_by_key(&c, |&(from, _)| from).ok().map(|i| TABLE[i].1)
}

/// Capital letter number `i`, from 0.
fn letter(i: u32) -> Option<char> {
    char::from_u32(u32::from(b'A') + i)
}

/// Sorted by code point (a test checks it); the two runs of 26 squared and regional letters are computed above.
pub(super) const TABLE: [(char, char); 99] = [
    ('\u{D8}', 'O'),
    ('\u{F8}', 'o'),
    ('\u{110}', 'D'),
    ('\u{111}', 'd'),
    ('\u{126}', 'H'),
    ('\u{127}', 'h'),
    ('\u{141}', 'L'),
    ('\u{142}', 'l'),
    ('\u{166}', 'T'),
    ('\u{167}', 't'),
    ('\u{262}', 'G'),
    ('\u{26A}', 'I'),
    ('\u{274}', 'N'),
    ('\u{280}', 'R'),
    ('\u{28F}', 'Y'),
    ('\u{299}', 'B'),
    ('\u{29C}', 'H'),
    ('\u{29F}', 'L'),
    ('\u{391}', 'A'),
    ('\u{392}', 'B'),
    ('\u{395}', 'E'),
    ('\u{396}', 'Z'),
    ('\u{397}', 'H'),
    ('\u{399}', 'I'),
    ('\u{39A}', 'K'),
    ('\u{39C}', 'M'),
    ('\u{39D}', 'N'),
    ('\u{39F}', 'O'),
    ('\u{3A1}', 'P'),
    ('\u{3A4}', 'T'),
    ('\u{3A5}', 'Y'),
    ('\u{3A7}', 'X'),
    ('\u{3B1}', 'a'),
    ('\u{3B5}', 'e'),
    ('\u{3B9}', 'i'),
    ('\u{3BA}', 'k'),
    ('\u{3BD}', 'v'),
    ('\u{3BF}', 'o'),
    ('\u{405}', 'S'),
    ('\u{406}', 'I'),
    ('\u{408}', 'J'),
    ('\u{410}', 'A'),
    ('\u{412}', 'B'),
    ('\u{415}', 'E'),
    ('\u{41A}', 'K'),
    ('\u{41C}', 'M'),
    ('\u{41D}', 'H'),
    ('\u{41E}', 'O'),
    ('\u{420}', 'P'),
    ('\u{421}', 'C'),
    ('\u{422}', 'T'),
    ('\u{425}', 'X'),
    ('\u{430}', 'a'),
    ('\u{432}', 'v'),
    ('\u{435}', 'e'),
    ('\u{43A}', 'k'),
    ('\u{43C}', 'm'),
    ('\u{43D}', 'h'),
    ('\u{43E}', 'o'),
    ('\u{440}', 'p'),
    ('\u{441}', 'c'),
    ('\u{442}', 't'),
    ('\u{443}', 'y'),
    ('\u{445}', 'x'),
    ('\u{455}', 's'),
    ('\u{456}', 'i'),
    ('\u{458}', 'j'),
    ('\u{54C}', 'L'),
    ('\u{54D}', 'S'),
    ('\u{555}', 'O'),
    ('\u{561}', 'a'),
    ('\u{570}', 'h'),
    ('\u{578}', 'n'),
    ('\u{57C}', 'n'),
    ('\u{57D}', 's'),
    ('\u{585}', 'o'),
    ('\u{13A1}', 'E'),
    ('\u{13A2}', 'I'),
    ('\u{13AA}', 'A'),
    ('\u{13B3}', 'W'),
    ('\u{13D2}', 'P'),
    ('\u{13D4}', 'T'),
    ('\u{13DA}', 'S'),
    ('\u{1D00}', 'A'),
    ('\u{1D04}', 'C'),
    ('\u{1D05}', 'D'),
    ('\u{1D07}', 'E'),
    ('\u{1D0A}', 'J'),
    ('\u{1D0B}', 'K'),
    ('\u{1D0D}', 'M'),
    ('\u{1D0F}', 'O'),
    ('\u{1D18}', 'P'),
    ('\u{1D1B}', 'T'),
    ('\u{1D1C}', 'U'),
    ('\u{1D20}', 'V'),
    ('\u{1D21}', 'W'),
    ('\u{1D22}', 'Z'),
    ('\u{A730}', 'F'),
    ('\u{A731}', 'S'),
];
