//! Names that fields of the API had before version 0.2. Responses carry both names, and either is read.
//!
//! Version 0.3 drops them: delete this file, with each attribute that names it.

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use super::{RemoteSideView, TimelineEvent, TimelineSide};
use crate::core::base::name::CallId;
use crate::core::base::time::UnixMillis;
use crate::core::call::remote_side::AddressSource;

/// Makes a module for `#[serde(flatten, with = "…")]`, and the schema of both names.
macro_rules! renamed {
    ($names:ident, $module:ident: $new:ident was $old:ident, $type:ty, left out if $absent:expr, default $default:expr) => {
        /// A field by its name, and by the one it had.
        #[derive(Deserialize, ToSchema)]
        pub(super) struct $names {
            #[schema(value_type = $type)]
            $new: Option<$type>,
            /// Deprecated: the name before version 0.2.
            #[schema(value_type = $type, deprecated)]
            $old: Option<$type>,
        }

        pub(super) mod $module {
            use super::*;

            pub(in crate::contract) fn serialize<S: Serializer>(
                value: &$type,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                let absent: fn(&$type) -> bool = $absent;
                let mut map = serializer.serialize_map(None)?;
                if !absent(value) {
                    map.serialize_entry(stringify!($new), value)?;
                    map.serialize_entry(stringify!($old), &before(value))?;
                }
                map.end()
            }

            pub(in crate::contract) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<$type, D::Error> {
                let default: Option<$type> = $default;
                let $names { $new, $old } = $names::deserialize(deserializer)?;
                $new.or($old).or(default).ok_or_else(|| serde::de::Error::missing_field(stringify!($new)))
            }
        }
    };
}

renamed!(RemoteNames, remote: remote was far, Option<RemoteSideView>, left out if Option::is_none, default Some(None));
renamed!(TimelineNames, timeline: timeline was story, Vec<TimelineEvent>, left out if Vec::is_empty, default Some(Vec::new()));
renamed!(KnownSourceNames, known_source: source was how, Option<AddressSource>, left out if |_| false, default Some(None));
renamed!(LinkedCallNames, linked_call: linked_call was half, Option<CallId>, left out if |_| false, default Some(None));
renamed!(SourceNames, source: source was how, AddressSource, left out if |_| false, default None);
renamed!(SideNames, side: side was end, TimelineSide, left out if |_| false, default None);
renamed!(ReportedNames, reported: reported was seen, UnixMillis, left out if |_| false, default None);

/// What the earlier name has: the remote side was `far`.
fn before(value: &impl Serialize) -> serde_json::Value {
    match serde_json::to_value(value).unwrap_or_default() {
        serde_json::Value::String(word) if word == "remote" => "far".into(),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::contract::{PbxView, TimelineDetail};

    fn both(event: &Value) {
        let read: TimelineEvent = serde_json::from_value(event.clone()).unwrap();
        assert_eq!(read.side, TimelineSide::Remote);
        assert!(matches!(read.what, TimelineDetail::Heard { source: AddressSource::Offer, .. }));
        let written = serde_json::to_value(&read).unwrap();
        assert_eq!((&written["side"], &written["end"]), (&json!("remote"), &json!("far")));
        assert_eq!((&written["source"], &written["how"]), (&json!("offer"), &json!("offer")));
        assert_eq!(serde_json::from_value::<TimelineEvent>(written).unwrap(), read);
    }

    #[test]
    fn either_name_is_read_and_both_are_written() {
        both(&json!({"at": 1, "end": "far", "pbx": "a", "call": "1", "step": "heard", "how": "offer"}));
        both(&json!({"at": 1, "side": "remote", "pbx": "a", "call": "1", "step": "heard", "source": "offer"}));
        let before = json!({"how": null, "peer": "b", "number": null, "offer": null, "answers": [], "half": "2"});
        let view: RemoteSideView = serde_json::from_value(before).unwrap();
        assert_eq!((view.source, view.linked_call.as_ref().map(CallId::as_str)), (None, Some("2")));
        let written = serde_json::to_value(&view).unwrap();
        assert_eq!(
            (&written["linked_call"], &written["half"], &written["how"]),
            (&json!("2"), &json!("2"), &Value::Null)
        );
        assert_eq!(serde_json::from_value::<RemoteSideView>(written).unwrap(), view);
        let pbx = json!({"pbx": "a", "kind": "asterisk", "agent": "x", "link": "up", "since": 1});
        assert!(serde_json::from_value::<PbxView>(pbx).is_err());
    }
}
