//! The parameters of a statement.

/// A parameter. Each kind has its own NULL, since PostgreSQL wants to know the type of every parameter.
#[derive(Debug, Clone)]
pub(in crate::store) enum Value {
    /// A text.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
    /// A number.
    Integer(Option<i64>),
    /// A condition.
    Bool(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(Some(text))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Value {
        Value::Text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Value {
        Value::Bytes(Some(bytes))
    }
}

impl From<Option<Vec<u8>>> for Value {
    fn from(bytes: Option<Vec<u8>>) -> Value {
        Value::Bytes(bytes)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Integer(Some(number))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        i64::from(number).into()
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Value {
        Value::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(condition: bool) -> Value {
        Value::Bool(condition)
    }
}
