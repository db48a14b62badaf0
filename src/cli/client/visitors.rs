//! Guests of the other side, as the device that has them tells of them (`guests` in `web/PROTOCOL.md`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cli::output::clean;
use crate::core::base::guest_name::GuestName;
use crate::core::base::name::ClientId;
use crate::media::signal::DeviceTag;

/// Maximum number of guests of a device.
const GUESTS_MAX: usize = 16;

/// A guest of the other side. Nobody has checked the name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Visitor {
    id: ClientId,
    name: GuestName,
}

/// All guests of the device that says so; none if it says something else, or doesn't keep to the limits.
pub(super) fn parse_visitors(content: &Map<String, Value>) -> Option<Vec<Visitor>> {
    let kind = content.get("type")?.as_str()?;
    let told = content.get("guests")?.as_array().filter(|told| kind == "guests" && told.len() <= GUESTS_MAX)?;
    content.get("from")?.as_str()?.parse::<DeviceTag>().ok()?;
    let mut visitors: Vec<Visitor> = Vec::new();
    for guest in told {
        let visitor = Visitor::deserialize(guest).ok()?;
        // Of entries with the same id, the first counts.
        if visitors.iter().all(|known| known.id != visitor.id) {
            visitors.push(visitor);
        }
    }
    Some(visitors)
}

/// What is said of somebody's guests, behind their host's name.
pub(super) fn visitors_text(visitors: &[Visitor]) -> String {
    let names: Vec<_> = visitors.iter().map(|visitor| format!("\"{}\"", clean(visitor.name.as_str()))).collect();
    match &names[..] {
        [] => "has no guests any more".to_owned(),
        [name] => format!("has a guest who goes by {name}"),
        names => format!("has guests who go by {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(guests: &Value) -> Option<String> {
        let content = json!({"type": "guests", "from": "0123456789abcdef", "guests": guests, "text": "Guests: x"});
        parse_visitors(content.as_object().unwrap()).map(|visitors| visitors_text(&visitors))
    }

    #[test]
    fn the_guests_that_a_device_has_are_named() {
        let (zoe, max) = (json!({"id": "g1", "name": "Zoë"}), json!({"id": "g2", "name": "Max"}));
        assert_eq!(said(&json!([])).unwrap(), "has no guests any more");
        assert_eq!(said(&json!([zoe])).unwrap(), "has a guest who goes by \"Zoë\"");
        assert_eq!(said(&json!([zoe, max])).unwrap(), "has guests who go by \"Zoë\", \"Max\"");
        assert_eq!(said(&json!([zoe, {"id": "g1", "name": "Eve"}])), said(&json!([zoe])), "the first counts");
    }

    #[test]
    fn what_does_not_keep_to_the_limits_is_no_list_of_guests() {
        let many: Vec<_> = (0..=GUESTS_MAX).map(|n| json!({"id": format!("g{n}"), "name": "Zoë"})).collect();
        assert!(said(&json!(many[1..])).is_some());
        for guests in [json!(many), json!([{"id": "g1", "name": "Bob\u{202e}"}]), json!([{"id": "g1"}]), json!("Zoë")]
        {
            assert_eq!(said(&guests), None, "{guests}");
        }
        let nobody = json!({"type": "guests", "guests": []});
        assert_eq!(parse_visitors(nobody.as_object().unwrap()), None);
    }
}
