//! Characters that make a text look like another one, for all that is shown to people.

/// Whether a character reorders its neighbours, or separates lines: Unicode's property `Bidi_Control`, and the line and
/// paragraph separators.
pub fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character reorders its neighbours or is not seen: also zero-width characters and tags. The two joiners that emoji
/// and some scripts need are not among them.
pub fn is_deceptive(c: char) -> bool {
    reorders(c)
        || matches!(c, '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reorders_or_hides_is_deceptive_and_what_scripts_need_is_not() {
        for c in ['\u{61c}', '\u{200e}', '\u{2028}', '\u{202e}', '\u{2066}', '\u{2069}'] {
            assert!(reorders(c) && is_deceptive(c), "{c:?}");
        }
        for c in [
            '\u{180e}',
            '\u{200b}',
            '\u{2060}',
            '\u{2065}',
            '\u{206a}',
            '\u{206f}',
            '\u{feff}',
            '\u{fffb}',
            '\u{e0041}',
        ] {
            assert!(!reorders(c) && is_deceptive(c), "{c:?}");
        }
        for c in ['a', '\u{5d0}', '\u{200c}', '\u{200d}', '\u{2010}', '\u{2070}'] {
            assert!(!is_deceptive(c), "{c:?}");
        }
    }
}
