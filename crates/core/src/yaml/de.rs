//! Tree to typed values: a serde `Deserializer` over nodes.
//! Not here: the wording of errors and the search for their places.
//! Called through [`from_node`].

use serde::Deserialize;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Expected, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::fault::{Fault, Place, Problem, Treatment, Treatments, list};
use super::scalar::Reading;
use super::{ConfigError, Key, Node, Scalar, Value};

/// How many scalars of one tree may need another treatment than their own reading suggests.
const MAX_ATTEMPTS: usize = 1000;

/// Turns a node into a typed value.
///
/// - An unquoted scalar fits a target of text as it stands (`012`, `yes`); null fits an `Option`, a list and a mapping.
/// - What a variable gave is text, and fits a boolean or number that it reads as. An unquoted variable that gave nothing
///   is `None` for an `Option`.
/// - A value with an open variable is its own text. Where the target takes no such text the value counts as absent, and
///   as `false` or 0 where it is required.
/// - An enum is a scalar, or a mapping of one key; `#[serde(tag = "…")]` works, and costs neither places nor types.
///   `#[serde(flatten)]` and `#[serde(untagged)]` lose places, since serde drops what it was told.
///
/// # Errors
/// The first key or value that does not fit.
pub fn from_node<'de, T: Deserialize<'de>>(node: &'de Node) -> Result<T, ConfigError> {
    let treatments = Treatments::default();
    let place = Place { key: None, node };
    for _ in 0..MAX_ATTEMPTS {
        let result = T::deserialize(NodeDeserializer { place, treatments: &treatments });
        match result.map_err(|fault| place.settle(fault, &treatments)) {
            Ok(value) => return Ok(value),
            Err(Fault::Placed(error)) => return Err(*error),
            Err(Fault::Retry | Fault::Loose(_)) => {}
        }
    }
    Err(node.error("too many values that are not written as their type").hint("quote texts that look like numbers"))
}

#[derive(Clone, Copy)]
struct NodeDeserializer<'de, 'run> {
    place: Place<'de>,
    treatments: &'run Treatments,
}

impl<'de, 'run> NodeDeserializer<'de, 'run> {
    fn settle<T>(self, result: Result<T, Fault>) -> Result<T, Fault> {
        result.map_err(|fault| self.place.settle(fault, self.treatments))
    }

    fn mismatch(self, expected: &dyn Expected) -> Fault {
        match self.place.node.scalar() {
            // Loose, so that an open variable gets its further attempts.
            Some(scalar) if scalar.is_open() => Fault::Loose(Problem::Message(format!("expected {expected}"))),
            _ => Fault::Placed(Box::new(self.place.mismatch(&expected.to_string(), false))),
        }
    }

    fn treatment(self, scalar: &Scalar) -> Option<Treatment> {
        self.treatments.of(scalar)
    }

    /// A value for a boolean or number, by its text.
    fn typed<V: Visitor<'de>>(self, zero: Reading, visitor: V) -> Result<V::Value, Fault> {
        let result = match &self.place.node.value {
            Value::Scalar(scalar) if self.treatment(scalar) == Some(Treatment::Zero) => visit(zero, visitor),
            Value::Scalar(scalar) => match (scalar.typed_reading(), zero) {
                (Some(reading @ Reading::Boolean(_)), Reading::Boolean(_)) => visit(reading, visitor),
                (Some(Reading::Boolean(_)), _) | (_, Reading::Boolean(_)) | (None, _) => Err(self.mismatch(&visitor)),
                (Some(number), _) => visit(number, visitor),
            },
            _ => Err(self.mismatch(&visitor)),
        };
        self.settle(result)
    }

    fn text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match &self.place.node.value {
            Value::Scalar(scalar) => visitor.visit_borrowed_str(scalar.text()),
            _ => Err(self.mismatch(&visitor)),
        };
        self.settle(result)
    }

    fn list<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match &self.place.node.value {
            Value::Sequence(items) => visitor.visit_seq(self.items(items)),
            Value::Null => visitor.visit_seq(self.items(&[])),
            _ => Err(self.mismatch(&visitor)),
        };
        self.settle(result)
    }

    fn mapping<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match &self.place.node.value {
            Value::Mapping(entries) => visitor.visit_map(self.entries(entries)),
            Value::Null => visitor.visit_map(self.entries(&[])),
            _ => Err(self.mismatch(&visitor)),
        };
        self.settle(result)
    }

    fn items(self, items: &'de [Node]) -> Items<'de, 'run> {
        Items { items: items.iter(), parent: self }
    }

    fn entries(self, entries: &'de [(Key, Node)]) -> Entries<'de, 'run> {
        Entries { entries: entries.iter(), current: None, parent: self }
    }
}

fn visit<'de, V: Visitor<'de>>(reading: Reading, visitor: V) -> Result<V::Value, Fault> {
    match reading {
        Reading::Boolean(value) => visitor.visit_bool(value),
        Reading::Unsigned(value) => visitor.visit_u64(value),
        Reading::Signed(value) => visitor.visit_i64(value),
        Reading::Float(value) => visitor.visit_f64(value),
    }
}

macro_rules! typed {
    ($($method:ident => $zero:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.typed($zero, visitor)
        }
    )*};
}

macro_rules! forward {
    ($($method:ident => $target:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.$target(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for NodeDeserializer<'de, '_> {
    type Error = Fault;

    typed! {
        deserialize_bool => Reading::Boolean(false);
        deserialize_i8 => Reading::Unsigned(0);
        deserialize_i16 => Reading::Unsigned(0);
        deserialize_i32 => Reading::Unsigned(0);
        deserialize_i64 => Reading::Unsigned(0);
        deserialize_i128 => Reading::Unsigned(0);
        deserialize_u8 => Reading::Unsigned(0);
        deserialize_u16 => Reading::Unsigned(0);
        deserialize_u32 => Reading::Unsigned(0);
        deserialize_u64 => Reading::Unsigned(0);
        deserialize_u128 => Reading::Unsigned(0);
        deserialize_f32 => Reading::Float(0.0);
        deserialize_f64 => Reading::Float(0.0);
    }

    forward! {
        deserialize_char => text;
        deserialize_str => text;
        deserialize_string => text;
        deserialize_bytes => text;
        deserialize_byte_buf => text;
        deserialize_identifier => text;
        deserialize_seq => list;
        deserialize_map => mapping;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match &self.place.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Sequence(items) => visitor.visit_seq(self.items(items)),
            Value::Mapping(entries) => visitor.visit_map(self.entries(entries)),
            Value::Scalar(scalar) => {
                let natural = !scalar.is_expanded();
                match (self.treatment(scalar), scalar.typed_reading()) {
                    (None, Some(reading)) if natural => visit(reading, visitor),
                    (Some(Treatment::Typed), Some(reading)) => visit(reading, visitor),
                    (None, _) if scalar.is_expanded_to_nothing() => visitor.visit_unit(),
                    _ => visitor.visit_borrowed_str(scalar.text()),
                }
            }
        };
        self.settle(result)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let nothing = match &self.place.node.value {
            Value::Null => true,
            Value::Scalar(scalar) => scalar.is_expanded_to_nothing(),
            _ => false,
        };
        let result = if nothing { visitor.visit_none() } else { visitor.visit_some(self) };
        self.settle(result)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = if self.place.node.is_null() { visitor.visit_unit() } else { Err(self.mismatch(&visitor)) };
        self.settle(result)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        let result = visitor.visit_newtype_struct(self);
        self.settle(result)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.list(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.list(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.mapping(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let result = match &self.place.node.value {
            Value::Scalar(scalar) => visitor.visit_enum(Variant { name: scalar.text(), content: None, parent: self }),
            Value::Mapping(entries) if entries.len() == 1 => {
                let (key, node) = &entries[0];
                let content = Some(Place { key: Some(key), node });
                visitor.visit_enum(Variant { name: &key.text, content, parent: self })
            }
            _ => Err(self.mismatch(&format!("one of {}", list(variants)).as_str())),
        };
        self.settle(result)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }
}

struct Items<'de, 'run> {
    items: std::slice::Iter<'de, Node>,
    parent: NodeDeserializer<'de, 'run>,
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let treatments = self.parent.treatments;
        let Some(node) = self.items.find(|node| !treatments.hides(node)) else {
            return Ok(None);
        };
        let place = Place { key: self.parent.place.key, node };
        let item = NodeDeserializer { place, treatments };
        item.settle(seed.deserialize(item)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.items.size_hint().1
    }
}

struct Entries<'de, 'run> {
    entries: std::slice::Iter<'de, (Key, Node)>,
    current: Option<Place<'de>>,
    parent: NodeDeserializer<'de, 'run>,
}

impl<'de> MapAccess<'de> for Entries<'de, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let treatments = self.parent.treatments;
        let Some((key, node)) = self.entries.find(|(_, node)| !treatments.hides(node)) else {
            return Ok(None);
        };
        self.current = Some(Place { key: Some(key), node });
        let result = seed.deserialize(BorrowedStrDeserializer::new(&key.text));
        result.map(Some).map_err(|fault| match fault {
            Fault::Loose(problem) => problem.at_key(key),
            other => other,
        })
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let place = self.current.take().unwrap_or(self.parent.place);
        let value = NodeDeserializer { place, treatments: self.parent.treatments };
        value.settle(seed.deserialize(value))
    }

    fn size_hint(&self) -> Option<usize> {
        self.entries.size_hint().1
    }
}

/// An enum's variant: by its name alone, or with content under its name.
struct Variant<'de, 'run> {
    name: &'de str,
    content: Option<Place<'de>>,
    parent: NodeDeserializer<'de, 'run>,
}

impl<'de, 'run> Variant<'de, 'run> {
    fn content(&self) -> Result<NodeDeserializer<'de, 'run>, Fault> {
        let place = self.content.ok_or_else(|| self.parent.mismatch(&"a mapping"))?;
        Ok(NodeDeserializer { place, treatments: self.parent.treatments })
    }
}

impl<'de> EnumAccess<'de> for Variant<'de, '_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Fault> {
        let result = seed.deserialize(BorrowedStrDeserializer::new(self.name));
        let value = result.map_err(|fault| match (fault, self.content.and_then(|place| place.key)) {
            (Fault::Loose(problem), Some(key)) => problem.at_key(key),
            (fault, _) => fault,
        })?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de, '_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.content {
            Some(place) if !place.node.is_null() => Err(self.content()?.mismatch(&"nothing")),
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        let content = self.content()?;
        content.settle(seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.content()?.list(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        self.content()?.mapping(visitor)
    }
}
