//! Text from outside, made fit to be shown: without what could move a cursor or turn a line round, and cut where it is too long.
//!
//! Labels and annotations come from rule files and, through them, from whatever a device calls itself. Escaping is each receiver's own; what is common is here.
//!
//! Invariant: a cut text is within its limit by the measure that is given, ends between two characters that stand alone, and says how many were left out.
//!
//! ```text
//! "SoC\u{7}hot\u{202e}" → "SoC hot"          cut("aaaaaaaa…", 40, …) → "aaaaaaa… (973 characters left out)"
//! ```

/// How a receiver counts.
pub(crate) type Weigh = fn(char) -> usize;

/// By UTF-16 units, which are never fewer than characters: Telegram's way, and safe for whoever counts characters.
pub(crate) fn units(c: char) -> usize {
    c.len_utf16()
}

/// By bytes of UTF-8.
pub(crate) fn bytes(c: char) -> usize {
    c.len_utf8()
}

/// Of a text, in all.
pub(crate) fn weight(text: &str, weigh: Weigh) -> usize {
    text.chars().map(weigh).sum()
}

/// One line: control characters and ends of lines are spaces, what turns the direction of writing is gone, spaces are single; at most so many characters.
pub(crate) fn line(text: &str, most: usize) -> String {
    let words = |c: char| if is_break(c) { ' ' } else { c };
    let mut line = String::new();
    let mut count = 0;
    let mut gap = false;
    for c in text.chars().filter(|c| !is_unseen(*c)).map(words) {
        if c.is_whitespace() {
            gap = !line.is_empty();
            continue;
        }
        if std::mem::take(&mut gap) {
            line.push(' ');
            count += 1;
        }
        line.push(c);
        count += 1;
        if count > most {
            break;
        }
    }
    shorten(line, most)
}

/// Several lines: ends of lines stay, at most two in a row, none at the ends; the rest as with [`line`], but inner spaces stay.
pub(crate) fn lines(text: &str, most: usize) -> String {
    let mut kept = String::new();
    let mut count = 0;
    let mut ends = 0;
    for c in text.chars().filter(|c| !is_unseen(*c)) {
        match c {
            '\n' | '\u{2028}' | '\u{2029}' | '\u{85}' => ends += 1,
            '\r' => {}
            _ => {
                if !kept.is_empty() {
                    (0..ends.min(2)).for_each(|_| kept.push('\n'));
                }
                ends = 0;
                kept.push(if is_break(c) { ' ' } else { c });
                count += 1;
            }
        }
        if count > most {
            break;
        }
    }
    shorten(kept.trim_end().to_owned(), most)
}

/// The first characters of a text, and an ellipsis if there are more.
fn shorten(mut text: String, most: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        let end = stop_before(&text, end);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Controls and ends of lines.
fn is_break(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// What changes how the rest is shown and is not seen itself: overrides of direction, isolates, marks, the mark of byte order, invisible
/// operators, tags, and what is no character.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// The last place at or before `end` where a text may end: not before what belongs to the character before it.
fn stop_before(text: &str, end: usize) -> usize {
    let mut end = end;
    // No letter has more marks than that; a wall of them is cut anywhere.
    for _ in 0..16 {
        let next = text.get(end..).and_then(|rest| rest.chars().next());
        let before = text.get(..end).and_then(|rest| rest.chars().next_back());
        let Some(last) = before.filter(|last| *last == '\u{200d}' || next.is_some_and(joins)) else { break };
        end -= last.len_utf8();
    }
    end
}

/// Whether a character belongs to the one before it: accents, variation selectors, skin tones, joiners.
fn joins(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' | '\u{20d0}'..='\u{20ff}')
}

/// Cuts a text to a limit, and says in it how many characters were left out.
pub(crate) fn cut(text: &str, limit: usize, weigh: Weigh) -> String {
    if weight(text, weigh) <= limit {
        return text.to_owned();
    }
    let all = text.chars().count();
    let said = |left_out: usize| format!("… ({left_out} characters left out)");
    let room = limit.saturating_sub(weight(&said(all), weigh));
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        taken += weigh(*c);
        taken > room
    });
    let end = stop_before(text, end.map_or(text.len(), |(at, _)| at));
    let kept = text.get(..end).unwrap_or_default().trim_end();
    let cut = format!("{kept}{}", said(all - kept.chars().count()));
    if weight(&cut, weigh) <= limit { cut } else { String::new() }
}

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Words.
    Words(&'a str),
    /// An `http` or `https` address of plain characters, which needs no escaping but `&`'s.
    Url(&'a str),
}

/// Tells addresses from words.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    text.split_inclusive([' ', '\n', '\t']).flat_map(|token| {
        let word = token.trim_end_matches([' ', '\n', '\t']);
        let url = word.trim_end_matches(['.', ',', ';', ':', '!', '?']);
        let (head, tail) = if is_url(url) { token.split_at(url.len()) } else { ("", token) };
        [Piece::Url(head), Piece::Words(tail)].into_iter().filter(|piece| match piece {
            Piece::Words(text) | Piece::Url(text) => !text.is_empty(),
        })
    })
}

/// Whether a text is an address that may become a link: `http` or `https`, of plain characters, not too long.
pub(crate) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._~:/?#@!$&+,;=%".contains(&c);
    rest.is_some_and(|rest| !rest.is_empty() && text.len() <= 1000 && rest.bytes().all(plain))
}

/// For HTML and for Telegram's: `& < > "` as entities.
pub(crate) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_one_line_and_written_in_one_direction() {
        assert_eq!(
            line(" SoC\u{7}hot\r\nBcc: x\u{202e}\u{2028}\u{1b}[31m  y ", 100),
            "SoC hot Bcc: x [31m y"
        );
        assert_eq!(line("aaaa", 3), "aaa…");
        assert_eq!(line("aaa", 3), "aaa");
        assert_eq!(line("\u{5e9}\u{5dc}\u{5d5}\u{5dd}", 9), "\u{5e9}\u{5dc}\u{5d5}\u{5dd}", "Hebrew stays");
        assert_eq!(lines("\n\na\r\nb\n\n\n\n\tc\u{0}\n", 100), "a\nb\n\n c");
    }

    #[test]
    fn what_is_cut_says_how_much_and_keeps_characters_whole() {
        let text = "x".repeat(100);
        assert_eq!(cut(&text, 100, units), text);
        assert_eq!(cut(&text, 50, units), format!("{}… (77 characters left out)", "x".repeat(23)));
        let family = format!("{}👨‍👩‍👧{}", "x".repeat(20), "y".repeat(80));
        for limit in 49..70 {
            let cut = cut(&family, limit, units);
            let kept = cut.split('…').next().unwrap();
            assert!(kept.ends_with(['x', '👧', 'y']), "{limit}: {cut}");
        }
    }

    #[test]
    fn addresses_are_told_from_words() {
        let found: Vec<_> =
            pieces("see https://e.org/a_b?c=1&d. Not javascript:x https://e.org/<b>").collect();
        assert_eq!(found[1], Piece::Url("https://e.org/a_b?c=1&d"));
        assert_eq!(found.iter().filter(|piece| matches!(piece, Piece::Url(_))).count(), 1);
    }

    proptest! {
        #[test]
        fn a_cut_text_is_within_its_limit(text in any::<String>(), limit in 0_usize..200) {
            for weigh in [units as Weigh, bytes] {
                let cut = cut(&text, limit, weigh);
                prop_assert!(weight(&cut, weigh) <= limit);
                prop_assert!(weight(&text, weigh) > limit || cut == text);
            }
        }

        #[test]
        fn a_line_has_no_controls_and_pieces_lose_nothing(text in any::<String>(), most in 1_usize..300) {
            let line = line(&text, most);
            prop_assert!(!line.chars().any(char::is_control) && line.chars().count() <= most + 1);
            let lines = lines(&text, most);
            prop_assert!(!lines.chars().any(|c| c.is_control() && c != '\n'));
            let joined: String = pieces(&text).map(|piece| match piece { Piece::Words(t) | Piece::Url(t) => t }).collect();
            prop_assert_eq!(joined, text);
        }
    }
}
