//! What was told of the last texts, so that equal ones are looked at once: tokens and names come again and again.

/// Texts that are remembered.
const RECENT: usize = 32;

/// Texts, each with what was told of it.
pub(super) struct Recent<'t, T>([(&'t [u8], T); RECENT]);

impl<'t, T: Copy + Default> Recent<'t, T> {
    pub(super) fn new() -> Self {
        Recent([(&[], T::default()); RECENT])
    }

    /// What was told of a text; `None` if that is not remembered.
    #[inline]
    pub(super) fn of(&self, text: &[u8]) -> Option<T> {
        let (known, told) = self.0[place(text)];
        (known == text && !text.is_empty()).then_some(told)
    }

    #[inline]
    pub(super) fn remember(&mut self, text: &'t [u8], told: T) {
        self.0[place(text)] = (text, told);
    }
}

fn place(text: &[u8]) -> usize {
    let ends = match text {
        [first, .., last] => usize::from(*first) * 3 + usize::from(*last),
        _ => 0,
    };
    (ends + text.len()) % RECENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_text_is_remembered() {
        let texts: Vec<Vec<u8>> = (0..400u32).map(|i| format!("t{}", i * i % 251).into_bytes()).collect();
        let mut recent = Recent::new();
        let mut hits = 0;
        for text in &texts {
            if let Some(told) = recent.of(text) {
                assert_eq!(told, text.len() as u64 * 31 + u64::from(text[1]), "{text:?}");
                hits += 1;
            }
            recent.remember(text, text.len() as u64 * 31 + u64::from(text[1]));
            assert!(recent.of(text).is_some());
        }
        assert!(hits > 0);
        assert_eq!(Recent::<u8>::new().of(b""), None);
    }
}
