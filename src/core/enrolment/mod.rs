//! Enrolment by dialling: a page shows a code, and the phone that dials it proves whose page it is.
//!
//! `dial_code` is what is dialled, `waiting_pages` the pages that show a code, and `dial_guesses` limits wrong codes.

pub mod dial_code;
pub mod dial_guesses;
pub mod waiting_pages;
