//! Names that fields of the API had before version 0.2. Responses carry both names, and either is read.
//!
//! Version 0.3 drops them: delete this file, with each attribute that names it.

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serializer};
use utoipa::ToSchema;

use super::{RemoteSideView, TimelineEvent, TimelineSide};
use crate::core::base::name::CallId;
use crate::core::base::time::UnixMillis;
use crate::core::call::remote_side::AddressSource;

/// Makes a module for `#[serde(flatten, with = "…")]`, and the schema of both names.
macro_rules! renamed {
    (
        $names:ident, $module:ident: $new:ident, required $required:literal, was $old:ident with $before:path as $shown:ty,
        $type:ty, left out if $absent:expr, default $default:expr
    ) => {
        /// A field by its name, and by the one it had.
        #[derive(Deserialize, ToSchema)]
        pub(super) struct $names {
            #[schema(value_type = $type, required = $required)]
            $new: Option<$type>,
            /// Deprecated: the name before version 0.2.
            #[schema(value_type = $shown, required = false, deprecated)]
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
                    map.serialize_entry(stringify!($old), $before(value))?;
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

renamed!(
    RemoteNames, remote: remote, required false, was far with same as Option<RemoteSideView>,
    Option<RemoteSideView>, left out if Option::is_none, default Some(None)
);
renamed!(
    TimelineNames, timeline: timeline, required false, was story with same as Vec<TimelineEvent>,
    Vec<TimelineEvent>, left out if Vec::is_empty, default Some(Vec::new())
);
renamed!(
    KnownSourceNames, known_source: source, required false, was how with same as Option<AddressSource>,
    Option<AddressSource>, left out if |_| false, default Some(None)
);
renamed!(
    LinkedCallNames, linked_call: linked_call, required false, was half with same as Option<CallId>,
    Option<CallId>, left out if |_| false, default Some(None)
);
renamed!(
    SourceNames, source: source, required true, was how with same as AddressSource,
    AddressSource, left out if |_| false, default None
);
renamed!(
    SideNames, side: side, required true, was end with earlier_side as String,
    TimelineSide, left out if |_| false, default None
);
renamed!(
    ReportedNames, reported: reported, required true, was seen with same as UnixMillis,
    UnixMillis, left out if |_| false, default None
);

fn same<T>(value: &T) -> &T {
    value
}

/// The remote side was `far`.
fn earlier_side(side: &TimelineSide) -> &'static str {
    match side {
        TimelineSide::First => "first",
        TimelineSide::Second => "second",
        TimelineSide::Both => "both",
        TimelineSide::Remote => "far",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::contract::{CallView, PbxView, TimelineDetail};

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
        assert!(serde_json::from_value::<PbxView>(pbx.clone()).is_err());
        for name in ["seen", "reported"] {
            let mut pbx = pbx.clone();
            pbx[name] = json!(7);
            let written = serde_json::to_value(serde_json::from_value::<PbxView>(pbx).unwrap()).unwrap();
            assert_eq!((&written["seen"], &written["reported"]), (&json!(7), &json!(7)));
            assert_eq!(serde_json::from_value::<PbxView>(written).unwrap().reported, UnixMillis(7));
        }
    }

    #[test]
    fn a_call_has_both_names_or_neither() {
        let remote = json!({"peer": "b", "number": null, "offer": null, "answers": []});
        let event = json!({"at": 1, "end": "far", "pbx": "a", "call": "1", "step": "answered", "machine": false});
        let call = json!({
            "call": "1", "pbx": "a", "leg": "l", "legs": [], "calling": null, "called": "+12125550100",
            "side": "originating", "route": "pstn", "trunk": null, "reason": "called-not-served", "address": null,
            "phase": "ended", "decided": 1, "answered": null, "ended": null, "cause": null, "deliveries": [],
        });
        let bare: CallView = serde_json::from_value(call.clone()).unwrap();
        assert_eq!((&bare.remote, bare.timeline.len()), (&None, 0));
        let written = serde_json::to_value(&bare).unwrap();
        for name in ["remote", "far", "timeline", "story"] {
            assert_eq!(written.get(name), None, "{name}");
        }
        for names in [["far", "story"], ["remote", "timeline"]] {
            let mut call = call.clone();
            (call[names[0]], call[names[1]]) = (remote.clone(), json!([event]));
            let read: CallView = serde_json::from_value(call).unwrap();
            assert_eq!(read.timeline[0].side, TimelineSide::Remote);
            let written = serde_json::to_value(&read).unwrap();
            assert_eq!(written["remote"], written["far"]);
            assert_eq!(written["timeline"], written["story"]);
            assert_eq!(serde_json::from_value::<CallView>(written).unwrap(), read);
        }
    }
}
