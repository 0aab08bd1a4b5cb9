//! Wildcards over keys: `*`, `**`, `?`, `[…]` and `{a,b}`, with the meaning that they have in DuckDB and in shells.
//! Not here: which of the matching files are read (`pattern`).
//! Called by `pattern` alone.

/// One alternative of a pattern, ready to match keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    segments: Vec<Segment>,
    prefix: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// `**`: any number of folders, none included; at the end, everything below.
    AnyDepth,
    Name(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Character(char),
    /// `?`: one character other than `/`.
    One,
    /// `*`: any characters other than `/`.
    Many,
    /// `[a-z]` or `[!a-z]`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// More alternatives than this are a mistake, and would each be listed.
const MAX_ALTERNATIVES: usize = 1_000;

/// Whether the text has wildcards that are not escaped.
pub(crate) fn is_glob(text: &str) -> bool {
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                characters.next();
            }
            '*' | '?' => return true,
            '[' if characters.as_str().contains(']') => return true,
            '{' if characters.as_str().contains('}') && characters.as_str().contains(',') => return true,
            _ => {}
        }
    }
    false
}

impl Glob {
    /// Reads a pattern; `{a,b}` gives one glob for each alternative. `None` where there are too many.
    pub fn parse(text: &str) -> Option<Vec<Self>> {
        let mut done = Vec::new();
        let mut pending = vec![text.to_owned()];
        while let Some(candidate) = pending.pop() {
            match expand_first_brace(&candidate) {
                Some(alternatives) => pending.extend(alternatives.into_iter().rev()),
                None => done.push(Self::new(&candidate)),
            }
            if done.len() + pending.len() > MAX_ALTERNATIVES {
                return None;
            }
        }
        Some(done)
    }

    fn new(text: &str) -> Self {
        let segments: Vec<_> = text
            .split('/')
            .map(|part| if part == "**" { Segment::AnyDepth } else { Segment::Name(tokens(part)) })
            .collect();
        let prefix = literal_prefix(&segments);
        Self { segments, prefix }
    }

    /// What every matching key begins with; nothing else needs to be listed.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub fn matches(&self, key: &str) -> bool {
        let names: Vec<&str> = key.split('/').collect();
        matches_segments(&self.segments, &names)
    }
}

fn literal_prefix(segments: &[Segment]) -> String {
    let mut prefix = String::new();
    for (index, segment) in segments.iter().enumerate() {
        if index > 0 {
            prefix.push('/');
        }
        let Segment::Name(tokens) = segment else { return prefix };
        for token in tokens {
            let Token::Character(character) = token else { return prefix };
            prefix.push(*character);
        }
    }
    prefix
}

fn matches_segments(segments: &[Segment], names: &[&str]) -> bool {
    match segments {
        [] => names.is_empty(),
        [Segment::AnyDepth] => !names.is_empty(),
        [Segment::AnyDepth, rest @ ..] => (0..=names.len()).any(|taken| matches_segments(rest, &names[taken..])),
        [Segment::Name(tokens), rest @ ..] => match names {
            [name, others @ ..] => {
                let name: Vec<char> = name.chars().collect();
                matches_name(tokens, &name) && matches_segments(rest, others)
            }
            [] => false,
        },
    }
}

fn matches_name(tokens: &[Token], name: &[char]) -> bool {
    let (mut token, mut at) = (0, 0);
    // The last `*` and how much it has taken: when the rest does not match, it takes one character more.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let matched = match tokens.get(token) {
            Some(Token::Many) => {
                star = Some((token, at));
                token += 1;
                continue;
            }
            Some(other) => name.get(at).is_some_and(|character| other.accepts(*character)),
            None if at == name.len() => return true,
            None => false,
        };
        if matched {
            token += 1;
            at += 1;
        } else if let Some((star_token, taken)) = star.filter(|(_, taken)| *taken < name.len()) {
            star = Some((star_token, taken + 1));
            token = star_token + 1;
            at = taken + 1;
        } else {
            return false;
        }
    }
}

impl Token {
    fn accepts(&self, character: char) -> bool {
        match self {
            Self::Character(own) => *own == character,
            Self::One | Self::Many => true,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated
            }
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::with_capacity(characters.len());
    let mut at = 0;
    while at < characters.len() {
        let (token, length) = match characters[at] {
            '\\' if at + 1 < characters.len() => (Token::Character(characters[at + 1]), 2),
            '?' => (Token::One, 1),
            '*' => (Token::Many, 1),
            '[' => class(&characters[at..]).unwrap_or((Token::Character('['), 1)),
            character => (Token::Character(character), 1),
        };
        tokens.push(token);
        at += length;
    }
    tokens
}

/// Reads `[…]` and says how many characters it takes; `None` when the bracket is not closed.
fn class(text: &[char]) -> Option<(Token, usize)> {
    let negated = matches!(text.get(1), Some('!' | '^'));
    let first = if negated { 2 } else { 1 };
    // A bracket that comes first is a member, as in `[]a]`.
    let end = first + 1 + text.get(first + 1..)?.iter().position(|character| *character == ']')?;
    let members = &text[first..end];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == '-' {
            ranges.push((members[at], members[at + 2]));
            at += 3;
        } else {
            ranges.push((members[at], members[at]));
            at += 1;
        }
    }
    Some((Token::Class { negated, ranges }, end + 1))
}

/// Replaces the first `{a,b}` by each of its alternatives; `None` when there is no such group.
fn expand_first_brace(text: &str) -> Option<Vec<String>> {
    let characters: Vec<char> = text.chars().collect();
    let mut open = 0;
    let mut depth = 0_usize;
    let mut commas = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        match characters[at] {
            '\\' => at += 1,
            '[' => at += class(&characters[at..]).map_or(0, |(_, length)| length - 1),
            '{' => {
                if depth == 0 {
                    open = at;
                    commas.clear();
                }
                depth += 1;
            }
            ',' if depth == 1 => commas.push(at),
            '}' if depth > 0 => {
                depth -= 1;
                if depth == 0 && !commas.is_empty() {
                    return Some(alternatives(&characters, open, &commas, at));
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The text with the group from `open` to `close` replaced by each of its parts.
fn alternatives(text: &[char], open: usize, commas: &[usize], close: usize) -> Vec<String> {
    let starts = std::iter::once(&open).chain(commas).map(|before| before + 1);
    let ends = commas.iter().chain(std::iter::once(&close));
    starts
        .zip(ends)
        .map(|(start, end)| [&text[..open], &text[start..*end], &text[close + 1..]].concat().iter().collect())
        .collect()
}

/// Takes the wildcards of a name literally, as members of brackets; DuckDB reads those the same way.
pub(crate) fn escape(name: &str) -> String {
    if !is_glob(name) {
        return name.to_owned();
    }
    name.chars().fold(String::with_capacity(name.len()), |mut text, character| {
        if "*?[{\\".contains(character) {
            text.extend(['[', character, ']']);
        } else {
            text.push(character);
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, key: &str) -> bool {
        Glob::parse(pattern).expect(pattern).iter().any(|glob| glob.matches(key))
    }

    #[test]
    fn wildcards() {
        for (pattern, key, expected) in [
            ("a/*.csv", "a/b.csv", true),
            ("a/*.csv", "a/b/c.csv", false),
            ("a/*.csv", "a/b.csv.gz", false),
            ("a/*", "a/", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcdf", false),
            ("**/x.csv", "x.csv", true),
            ("**/x.csv", "a/b/x.csv", true),
            ("a/**/x.csv", "a/x.csv", true),
            ("a/**/x.csv", "b/a/x.csv", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**.csv", "a/b.csv", true),
            ("a/**.csv", "a/b/c.csv", false),
            ("?.csv", "é.csv", true),
            ("?.csv", "ab.csv", false),
            ("x[0-9].csv", "x7.csv", true),
            ("x[!0-9].csv", "x7.csv", false),
            ("x[^0-9].csv", "xa.csv", true),
            ("x[]a].csv", "x].csv", true),
            ("x[.csv", "x[.csv", true),
            ("{a,b}/x", "b/x", true),
            ("{a,b}/x", "c/x", false),
            ("{a,b{1,2}}", "b2", true),
            ("{a/b,c}/*.csv", "a/b/x.csv", true),
            ("{a}/x", "{a}/x", true),
            ("a,b/x", "a,b/x", true),
            ("[{]a,b}", "{a,b}", true),
            ("\\{a,b}", "{a,b}", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
        ] {
            assert_eq!(matches(pattern, key), expected, "{pattern} on {key}");
        }
    }

    #[test]
    fn only_wildcards_make_a_glob() {
        for (text, expected) in [
            ("a/b.csv", false),
            ("a b+%=é.csv", false),
            ("a[b", false),
            ("{guid}", false),
            ("a\\*", false),
            ("a*", true),
            ("a[b]", true),
            ("{a,b}", true),
            ("x?", true),
        ] {
            assert_eq!(is_glob(text), expected, "{text}");
        }
    }

    #[test]
    fn the_prefix_ends_at_the_first_wildcard() {
        let prefixes = |pattern: &str| -> Vec<String> {
            Glob::parse(pattern).expect(pattern).iter().map(|glob| glob.prefix().to_owned()).collect()
        };
        assert_eq!(prefixes("a/b/c*.csv"), ["a/b/c"]);
        assert_eq!(prefixes("a/**/x"), ["a/"]);
        assert_eq!(prefixes("**"), [""]);
        assert_eq!(prefixes("{a,b}/x*"), ["a/x", "b/x"]);
    }

    #[test]
    fn escaped_names_match_themselves_alone() {
        for name in ["a[1].csv", "{a,b}*.csv", "what?.csv", "[!a]\\*", "plain.csv", "a\\b.csv"] {
            let escaped = escape(name);
            assert!(matches(&escaped, name) || escaped == name, "{escaped}");
            assert!(
                !matches(&escaped, "a1.csv") && !matches(&escaped, "a.csv") && !matches(&escaped, "whatx.csv"),
                "{escaped}"
            );
        }
    }

    #[test]
    fn too_many_alternatives_are_none() {
        assert_eq!(Glob::parse(&"{a,b}".repeat(12)), None);
    }
}
