//! Statements whose text depends on the number of their values.

use super::query::{Query, Scalar, Text};
use super::row::Column;
use super::value::Value;

/// A statement in the making.
pub(in crate::store) struct Builder {
    text: String,
    places: Vec<usize>,
    values: Vec<Value>,
}

impl Builder {
    /// Begins with this text.
    pub(in crate::store) fn new(text: impl Into<String>) -> Builder {
        Builder { text: text.into(), places: Vec::new(), values: Vec::new() }
    }

    /// Adds text.
    pub(in crate::store) fn push(&mut self, text: &str) -> &mut Builder {
        self.text.push_str(text);
        self
    }

    /// Adds a parameter.
    pub(in crate::store) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Builder {
        self.places.push(self.text.len());
        self.text.push('?');
        self.values.push(value.into());
        self
    }

    /// Adds ` IN (…)` with these values.
    pub(in crate::store) fn push_in(&mut self, values: impl IntoIterator<Item = String>) -> &mut Builder {
        self.push(" IN ");
        let mut columns = Columns::open(self);
        for value in values {
            columns.push_bind(value);
        }
        columns.close();
        self
    }

    /// Adds `VALUES (…), (…)` with one row for each item.
    pub(in crate::store) fn push_values<I>(
        &mut self,
        items: impl IntoIterator<Item = I>,
        mut push: impl FnMut(&mut Columns<'_>, I),
    ) -> &mut Builder {
        self.push("VALUES ");
        for (n, item) in items.into_iter().enumerate() {
            if n > 0 {
                self.push(", ");
            }
            let mut columns = Columns::open(self);
            push(&mut columns, item);
            columns.close();
        }
        self
    }

    /// The statement.
    pub(in crate::store) fn build(self) -> Query {
        Query { text: Text::Built { text: self.text, places: self.places }, values: self.values }
    }

    /// The statement, which returns one column.
    pub(in crate::store) fn build_scalar<T: Column>(self) -> Scalar<T> {
        self.build().into_scalar()
    }
}

/// A list in parentheses.
pub(in crate::store) struct Columns<'a> {
    builder: &'a mut Builder,
    is_empty: bool,
}

impl Columns<'_> {
    fn open(builder: &mut Builder) -> Columns<'_> {
        builder.push("(");
        Columns { builder, is_empty: true }
    }

    fn separate(&mut self) -> &mut Builder {
        if !std::mem::take(&mut self.is_empty) {
            self.builder.push(", ");
        }
        self.builder
    }

    /// Adds text as one item, or as several with their commas.
    pub(in crate::store) fn push(&mut self, text: &str) -> &mut Self {
        self.separate().push(text);
        self
    }

    /// Adds a parameter as one item.
    pub(in crate::store) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.separate().push_bind(value);
        self
    }

    fn close(self) {
        self.builder.push(")");
    }
}
