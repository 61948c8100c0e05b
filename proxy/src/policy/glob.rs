//! Globs as Go's `path.Match` reads them: `*` and `?` stop at `/`, `[...]` is a class, `\` takes the next character as it is.

/// A pattern. A malformed one matches nothing; the configuration's loader refuses those where it can.
#[derive(Debug, Clone)]
pub(super) struct Glob(Vec<char>);

impl Glob {
    pub(super) fn new(pattern: &str) -> Self {
        Self(pattern.chars().collect())
    }

    /// Whether it fits the whole of `text`.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.fits(&text.chars().collect::<Vec<_>>())
    }

    /// The same for the characters of a text. Backtracks to the last star only, which is enough because stars stop at `/`: the
    /// cost is bounded by the product of the lengths.
    pub(super) fn fits(&self, t: &[char]) -> bool {
        let p = &*self.0;
        let (mut pi, mut ti) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        loop {
            let step = match p.get(pi) {
                None => (ti == t.len()).then_some(None),
                Some('*') => {
                    star = Some((pi + 1, ti));
                    pi += 1;
                    continue;
                }
                Some(&c) => match t.get(ti) {
                    None => None,
                    Some(&x) => single(p, pi, c, x).map(Some),
                },
            };
            match step {
                Some(None) => return true,
                Some(Some(next)) => {
                    pi = next;
                    ti += 1;
                }
                None => match star {
                    Some((after, from)) if from < t.len() && t[from] != '/' => {
                        star = Some((after, from + 1));
                        pi = after;
                        ti = from + 1;
                    }
                    _ => return false,
                },
            }
        }
    }
}

/// Matches one pattern element at `pi` against `x`; the index after it on success.
fn single(p: &[char], pi: usize, c: char, x: char) -> Option<usize> {
    match c {
        '?' => (x != '/').then_some(pi + 1),
        '[' => class(p, pi + 1, x),
        '\\' => {
            let literal = *p.get(pi + 1)?;
            (literal == x).then_some(pi + 2)
        }
        _ => (c == x).then_some(pi + 1),
    }
}

/// A bracket class that begins at `i`.
fn class(p: &[char], mut i: usize, x: char) -> Option<usize> {
    let negated = p.get(i) == Some(&'^');
    if negated {
        i += 1;
    }
    let (mut hit, mut first) = (false, true);
    loop {
        let mut lo = *p.get(i)?;
        if lo == ']' && !first {
            return (hit != negated).then_some(i + 1);
        }
        first = false;
        if lo == '\\' {
            i += 1;
            lo = *p.get(i)?;
        }
        i += 1;
        let mut hi = lo;
        if p.get(i) == Some(&'-') && p.get(i + 1).is_some_and(|&c| c != ']') {
            i += 1;
            hi = *p.get(i)?;
            if hi == '\\' {
                i += 1;
                hi = *p.get(i)?;
            }
            i += 1;
        }
        hit |= lo <= x && x <= hi;
    }
}
