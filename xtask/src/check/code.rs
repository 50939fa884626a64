//! What of a source file is code: the checks must not stumble over comments and strings.

/// Returns `source` with comments, strings and characters blanked, line by line as before.
pub(super) fn code(source: &str) -> String {
    let text: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < text.len() {
        let end = match text[at] {
            '/' if text.get(at + 1) == Some(&'/') => line_comment(&text, at),
            '/' if text.get(at + 1) == Some(&'*') => block_comment(&text, at),
            '"' => string(&text, at),
            'r' if !continues_word(&text, at) => raw_string(&text, at).unwrap_or(at),
            '\'' => character(&text, at).unwrap_or(at),
            _ => at,
        };
        if end == at {
            out.push(text[at]);
            at += 1;
        } else {
            out.extend(
                text[at..end]
                    .iter()
                    .map(|c| if *c == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        }
    }
    out
}

/// Returns `code` (see [`code`]) without the items that only tests compile.
pub(super) fn without_tests(code: &str) -> String {
    const ATTRIBUTE: &str = "#[cfg(test)]";

    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(ATTRIBUTE) {
        out.push_str(&rest[..start]);
        let end = start + item_length(&rest[start..]);
        out.extend(rest[start..end].chars().filter(|c| *c == '\n'));
        rest = &rest[end..];
    }
    out + rest
}

/// Returns the length of the item that `code` starts with: to its `;`, or its closing brace.
fn item_length(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 && (c == ';' || c == '}') {
            return at + 1;
        }
    }
    code.len()
}

fn continues_word(text: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| text[before]);
    // `br"…"` is a raw string too.
    before.is_some_and(|c| (c.is_alphanumeric() && c != 'b') || c == '_')
}

fn line_comment(text: &[char], start: usize) -> usize {
    let length = text[start..].iter().position(|c| *c == '\n');
    length.map_or(text.len(), |length| start + length)
}

fn block_comment(text: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at + 1 < text.len() {
        match (text[at], text[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn string(text: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

fn raw_string(text: &[char], start: usize) -> Option<usize> {
    let hashes = text[start + 1..].iter().take_while(|c| **c == '#').count();
    let open = start + 1 + hashes;
    if text.get(open) != Some(&'"') {
        return None;
    }
    let closes =
        |at: &usize| text[*at] == '"' && text[at + 1..].iter().take(hashes).all(|c| *c == '#');
    let close = (open + 1..text.len()).find(closes).unwrap_or(text.len());
    Some((close + 1 + hashes).min(text.len()))
}

/// Tells a character from a lifetime, which has no closing quote.
fn character(text: &[char], start: usize) -> Option<usize> {
    if text.get(start + 1) == Some(&'\\') {
        let close = text[start + 3..].iter().position(|c| *c == '\'')?;
        return Some(start + 3 + close + 1);
    }
    (text.get(start + 2) == Some(&'\'')).then_some(start + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_characters_are_blanked() {
        let source = "a // x\nb /* x /* x */ x */ c \"x\\\"x\" d r#\"x\"x\"# e '\"' f '\\'' g";
        let words: Vec<_> = code(source).split_whitespace().map(str::to_owned).collect();
        assert_eq!(words, ["a", "b", "c", "d", "e", "f", "g"]);
        assert_eq!(code(source).lines().count(), 2);
    }

    #[test]
    fn lifetimes_and_words_that_end_in_r_are_code() {
        let source = "fn f<'a>(x: &'a str) { r(x); for_r\n(x) }";
        assert_eq!(code(source), source);
    }

    #[test]
    fn test_items_are_left_out_and_lines_keep_their_numbers() {
        let source = "a;\n#[cfg(test)]\nmod t {\n f() { b }\n}\nc;\n#[cfg(test)]\nmod d;\ne";
        assert_eq!(without_tests(source), "a;\n\n\n\n\nc;\n\n\ne");
    }
}
