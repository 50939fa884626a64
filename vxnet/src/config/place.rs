//! Values that know where in the file they stand.
//!
//! Each has the JSON Schema of what it holds: a place adds nothing that a user could write.

use std::{borrow::Cow, collections::BTreeMap, fmt, ops::Range};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use toml::Spanned;

/// A value with its place.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Placed<T>(pub(super) Spanned<T>);

/// The value of a key with its place, or nothing if the file does not give it.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Field<T>(pub(super) Option<Spanned<T>>);

/// Tables or values under names that the user chooses.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Named<T>(BTreeMap<Spanned<String>, T>);

/// A list of names, each with its place.
pub(super) type Names = Vec<Placed<String>>;

/// A text, or a list of texts.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(#[schemars(length(min = 1))] Names),
}

impl<T> Field<T> {
    /// Returns the value, if the file gives it.
    pub(super) fn value(&self) -> Option<&T> {
        self.0.as_ref().map(Spanned::get_ref)
    }
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Named<T> {
    /// Returns the entries in the order of the file, so that "first" is what a reader sees first.
    pub(super) fn in_file_order(&self) -> Vec<(&Spanned<String>, &T)> {
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        entries
    }
}

impl OneOrMany {
    /// Returns the texts with their places.
    pub(super) fn texts(either: &Spanned<Self>) -> Vec<(&str, Range<usize>)> {
        match either.get_ref() {
            Self::One(text) => vec![(text.as_str(), either.span())],
            Self::Many(texts) => texts
                .iter()
                .map(|Placed(text)| (text.get_ref().as_str(), text.span()))
                .collect(),
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    // An untagged enum would buffer the list and lose the places of its texts.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = OneOrMany;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, texts: A) -> Result<OneOrMany, A::Error> {
                Names::deserialize(SeqAccessDeserializer::new(texts)).map(OneOrMany::Many)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn schema_name() -> Cow<'static, str> {
        BTreeMap::<String, T>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }
}
