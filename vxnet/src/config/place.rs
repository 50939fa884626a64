//! Values that know where in the file they stand.
//!
//! Each has the JSON Schema of what it holds: a place adds nothing that a user could write.

use std::{borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData, ops::Range};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer,
    de::{
        Error, IntoDeserializer as _, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
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

/// A value, or a list of values.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum OneOrMany<T = String> {
    One(T),
    Many(#[schemars(length(min = 1))] Vec<Placed<T>>),
}

/// A value in its short form, or a table that says more.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum ShortOrTable<S, T> {
    Short(S),
    Table(T),
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

    /// Returns the place of the first entry, or that of the whole if it has none: the place of a
    /// table that only headers make is unknown.
    pub(super) fn place(field: &Field<Self>) -> Option<Range<usize>> {
        let whole = field.0.as_ref()?;
        let starts = whole.get_ref().0.keys().map(Spanned::span);
        Some(starts.min_by_key(|span| span.start).unwrap_or(whole.span()))
    }
}

impl<T> OneOrMany<T> {
    /// Returns the values with their places.
    pub(super) fn items(either: &Spanned<Self>) -> Vec<(&T, Range<usize>)> {
        match either.get_ref() {
            Self::One(one) => vec![(one, either.span())],
            Self::Many(many) => many
                .iter()
                .map(|Placed(one)| (one.get_ref(), one.span()))
                .collect(),
        }
    }
}

impl OneOrMany {
    /// Returns the texts with their places.
    pub(super) fn texts(either: &Spanned<Self>) -> Vec<(&str, Range<usize>)> {
        let texts = Self::items(either).into_iter();
        texts.map(|(text, place)| (text.as_str(), place)).collect()
    }
}

// An untagged enum would buffer what is inside and lose the places there, here and below.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a value or a list of values")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(text.into_deserializer()).map(OneOrMany::One)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                T::deserialize(number.into_deserializer()).map(OneOrMany::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(items)).map(OneOrMany::Many)
            }
        }

        deserializer.deserialize_any(Either(PhantomData))
    }
}

impl<'de, S: Deserialize<'de>, T: Deserialize<'de>> Deserialize<'de> for ShortOrTable<S, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<S, T>(PhantomData<(S, T)>);

        impl<'de, S: Deserialize<'de>, T: Deserialize<'de>> Visitor<'de> for Either<S, T> {
            type Value = ShortOrTable<S, T>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a value or a table")
            }

            fn visit_bool<E: Error>(self, short: bool) -> Result<Self::Value, E> {
                S::deserialize(short.into_deserializer()).map(ShortOrTable::Short)
            }

            fn visit_str<E: Error>(self, short: &str) -> Result<Self::Value, E> {
                S::deserialize(short.into_deserializer()).map(ShortOrTable::Short)
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(table)).map(ShortOrTable::Table)
            }
        }

        deserializer.deserialize_any(Either(PhantomData))
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
