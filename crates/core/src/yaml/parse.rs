//! Text to tree: events of the YAML parser become nodes with positions.
//! Not here: variables and types. Anchors, aliases and merge keys (`<<`) are resolved here, within bounds.
//! Called through [`parse`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span as Range, StrInput, Tag};

use super::{ConfigError, Key, Node, Scalar, Span, Value, scalar};

/// Lists and mappings within each other; far beyond what a project needs and far below what a stack holds.
const MAX_DEPTH: usize = 64;
/// What all aliases of a file may add to the tree, in bytes of text and [`NODE_COST`] per node.
const MAX_ALIASED_BYTES: usize = 8 << 20;
const NODE_COST: usize = 128;
/// Beyond this column (a document in one line) variables have the place of their value: counting would take too long.
const MAX_COUNTED_COLUMN: usize = 10_000;

/// Reads one YAML document. `file` is the name that spans and errors carry; an empty text is [`Value::Null`].
///
/// # Errors
/// The first offence against YAML, a key that is given twice, a tag other than the core schema's, more than one
/// document, and nesting or aliases beyond what a project can need.
pub fn parse(text: &str, file: &str) -> Result<Node, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        source: Source::new(text, Arc::from(file)),
        anchors: HashMap::new(),
        aliased_bytes: 0,
    };
    builder.refuse_control_characters()?;
    builder.document()
}

/// The text and its name, for everything that has to do with places.
struct Source<'text> {
    text: &'text str,
    file: Arc<str>,
    /// Byte offset of every line's begin.
    lines: Vec<usize>,
}

impl<'text> Source<'text> {
    fn new(text: &'text str, file: Arc<str>) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, file, lines }
    }

    fn span(&self, marker: &Marker) -> Span {
        Span { file: Arc::clone(&self.file), line: marker.line().max(1), column: marker.col() + 1 }
    }

    fn start(&self) -> Span {
        Span { file: Arc::clone(&self.file), line: 1, column: 1 }
    }

    /// Byte offset of a marker, as far as lines are of a length for people and agree with the parser's.
    fn offset(&self, marker: &Marker) -> Option<usize> {
        if marker.col() > MAX_COUNTED_COLUMN {
            return None;
        }
        let line_start = *self.lines.get(marker.line().checked_sub(1)?)?;
        let line = &self.text[line_start..];
        let column = line.char_indices().nth(marker.col()).map_or(line.len(), |(at, _)| at);
        Some(line_start + column)
    }

    /// Line and column of each `${` between two markers.
    fn variables(&self, range: &Range) -> Vec<(usize, usize)> {
        let (Some(start), Some(end)) = (self.offset(&range.start), self.offset(&range.end)) else {
            return Vec::new();
        };
        let place = |at: usize| {
            let line = self.lines.partition_point(|begin| *begin <= at);
            (line, self.text[self.lines[line - 1]..at].chars().count() + 1)
        };
        let written = self.text.get(start..end).unwrap_or_default();
        written.match_indices("${").map(|(at, _)| place(start + at)).collect()
    }
}

struct Builder<'text> {
    parser: Parser<'text, StrInput<'text>>,
    source: Source<'text>,
    anchors: HashMap<usize, Node>,
    aliased_bytes: usize,
}

impl<'text> Builder<'text> {
    /// The parser takes a NUL for the end of the text and would silently drop what follows.
    fn refuse_control_characters(&self) -> Result<(), ConfigError> {
        let control = |character: char| character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\u{85}');
        let Some(at) = self.source.text.find(control) else {
            return Ok(());
        };
        let line = self.source.lines.partition_point(|begin| *begin <= at);
        let before = &self.source.text[self.source.lines[line - 1]..at];
        let span = Span { file: Arc::clone(&self.source.file), line, column: before.chars().count() + 1 };
        let character = self.source.text[at..].chars().next().map_or(0, u32::from);
        Err(ConfigError::new(&span, format!("control character U+{character:04X} in the text"))
            .hint("in a double-quoted value write it as an escape, for instance \"\\x07\""))
    }

    fn document(&mut self) -> Result<Node, ConfigError> {
        let mut root = None;
        loop {
            let (event, range) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(ConfigError::new(
                        &self.source.span(&range.start),
                        "a second document in the same file",
                    )
                    .hint("split the project with `include` instead of `---`"));
                }
                Event::DocumentStart(_) => {
                    let (event, range) = self.next()?;
                    root = Some(self.node(event, range, 0)?);
                }
                _ => {
                    return Err(ConfigError::new(&self.source.span(&range.start), "content outside of the document"));
                }
            }
        }
        Ok(root.unwrap_or_else(|| Node { span: self.source.start(), value: Value::Null }))
    }

    fn next(&mut self) -> Result<(Event<'text>, Range), ConfigError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.refused(&error)),
            None => Err(ConfigError::new(&self.source.start(), "the text ends within a value")),
        }
    }

    fn refused(&self, error: &ScanError) -> ConfigError {
        let result = ConfigError::new(&self.source.span(error.marker()), format!("invalid YAML: {}", error.info()));
        let line = self.source.text.lines().nth(error.marker().line().saturating_sub(1)).unwrap_or_default();
        if line[..line.len() - line.trim_start().len()].contains('\t') {
            result.hint("indent with spaces; YAML allows no tabs there")
        } else if error.info().contains("flow") && line.contains("${") {
            result.hint("between `{ }` and `[ ]` a value with a variable needs quotes: \"${NAME}\"")
        } else {
            result
        }
    }

    fn node(&mut self, event: Event<'text>, range: Range, depth: usize) -> Result<Node, ConfigError> {
        let span = self.source.span(&range.start);
        if depth > MAX_DEPTH {
            return Err(ConfigError::new(&span, format!("more than {MAX_DEPTH} levels of nesting")));
        }
        let (anchor, value) = match event {
            Event::Alias(anchor) => return self.alias(anchor, &span),
            Event::Scalar(text, style, anchor, tag) => {
                self.check_tag(tag.as_deref(), &span)?;
                (anchor, self.scalar(text, style, tag.as_deref(), &range))
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), &span)?;
                (anchor, Value::Sequence(self.sequence(depth)?))
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), &span)?;
                (anchor, Value::Mapping(self.mapping(depth)?))
            }
            _ => return Err(ConfigError::new(&span, "expected a value")),
        };
        let node = Node { span, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn scalar(&self, text: Cow<'text, str>, style: ScalarStyle, tag: Option<&Tag>, range: &Range) -> Value {
        let plain = style == ScalarStyle::Plain && tag.is_none_or(|tag| tag.suffix != "str");
        if plain && scalar::is_null(&text) {
            return Value::Null;
        }
        let mut result = Scalar::new(text, plain);
        let expressions = result.text.matches("${").count();
        if expressions > 0 {
            result.variables = self.source.variables(range);
            if result.variables.len() != expressions {
                result.variables.clear();
            }
        }
        Value::Scalar(result)
    }

    fn sequence(&mut self, depth: usize) -> Result<Vec<Node>, ConfigError> {
        let mut items = Vec::new();
        loop {
            let (event, range) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(items);
            }
            items.push(self.node(event, range, depth + 1)?);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, ConfigError> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut places: HashMap<String, Span> = HashMap::new();
        let mut merged: Vec<(Key, Node)> = Vec::new();
        loop {
            let (event, range) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let plain = matches!(event, Event::Scalar(_, ScalarStyle::Plain, _, _));
            let key = self.key(event, range, depth)?;
            if let Some(first) = places.insert(key.text.clone(), key.span.clone()) {
                return Err(ConfigError::new(&key.span, format!("key `{}` is given twice", key.text))
                    .hint(format!("first given at line {}, column {}", first.line, first.column)));
            }
            let (event, range) = self.next()?;
            let node = self.node(event, range, depth + 1)?;
            if plain && key.text == "<<" {
                merge_key(node, &mut merged)?;
            } else {
                entries.push((key, node));
            }
        }
        for (key, node) in merged {
            // The key `<<` itself is in `places`, but a merged mapping cannot hold an unquoted one.
            if !places.contains_key(&key.text) {
                places.insert(key.text.clone(), key.span.clone());
                entries.push((key, node));
            }
        }
        Ok(entries)
    }

    fn key(&mut self, event: Event<'text>, range: Range, depth: usize) -> Result<Key, ConfigError> {
        let node = match event {
            // Read here, because the words for null are names like any other in a key.
            Event::Scalar(text, style, anchor, tag) if !(style == ScalarStyle::Plain && text.is_empty()) => {
                let span = self.source.span(&range.start);
                self.check_tag(tag.as_deref(), &span)?;
                let node = Node { span, value: Value::Scalar(Scalar::new(text, style == ScalarStyle::Plain)) };
                if anchor > 0 {
                    self.anchors.insert(anchor, node.clone());
                }
                node
            }
            event => self.node(event, range, depth + 1)?,
        };
        match node.value {
            Value::Scalar(scalar) => Ok(Key { text: scalar.text, span: node.span }),
            Value::Null => Err(node.error("expected a key before `:`")),
            Value::Sequence(_) | Value::Mapping(_) => Err(node
                .error("a key must be a single word or text")
                .hint("quote the value if it is meant to begin with `{` or `[`")),
        }
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Result<Node, ConfigError> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(ConfigError::new(span, "the alias refers to a value that contains it"));
        };
        self.aliased_bytes = self.aliased_bytes.saturating_add(weight(node));
        if self.aliased_bytes > MAX_ALIASED_BYTES {
            return Err(ConfigError::new(span, "the aliases of this file repeat too much"));
        }
        Ok(node.clone())
    }

    fn check_tag(&self, tag: Option<&Tag>, span: &Span) -> Result<(), ConfigError> {
        match tag {
            None => Ok(()),
            Some(tag) if tag.is_yaml_core_schema() => Ok(()),
            Some(tag) => Err(ConfigError::new(span, format!("unknown tag `{tag}`"))
                .hint("quote a value that begins with `!`; environment variables are written ${NAME}")),
        }
    }
}

/// Collects the entries that a merge key brings; of several mappings the first to have a key wins
/// (<https://yaml.org/type/merge.html>).
fn merge_key(node: Node, merged: &mut Vec<(Key, Node)>) -> Result<(), ConfigError> {
    match node.value {
        Value::Mapping(entries) => merged.extend(entries),
        Value::Sequence(items) if items.iter().all(|item| matches!(item.value, Value::Mapping(_))) => {
            for item in items {
                merge_key(item, merged)?;
            }
        }
        _ => return Err(node.error("`<<` takes a mapping or a list of mappings")),
    }
    Ok(())
}

fn weight(node: &Node) -> usize {
    NODE_COST
        + match &node.value {
            Value::Null => 0,
            Value::Scalar(scalar) => scalar.text.len(),
            Value::Sequence(items) => items.iter().map(weight).sum(),
            Value::Mapping(entries) => entries.iter().map(|(key, node)| key.text.len() + weight(node)).sum(),
        }
}
