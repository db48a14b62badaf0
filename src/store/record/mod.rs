//! The JSON that the database holds.

#[cfg(test)]
mod tests;
