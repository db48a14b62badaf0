//! The plan of the house: its rooms, and the layers inside `core` and `node`. No other file names them.

/// Each room and the rooms that it may import, the lowest first (`docs/ARCHITECTURE.md`).
pub const ROOMS: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("contract", &["core"]),
    ("web", &[]),
    ("wire", &[]),
    ("esl", &["wire"]),
    ("ami", &["wire"]),
    ("monitor", &["contract", "core"]),
    ("guard", &["core"]),
    ("store", &["contract", "core"]),
    ("pbx", &["contract", "core", "esl", "ami", "wire"]),
    ("peer", &["contract", "core", "guard"]),
    ("push", &["contract", "core", "guard", "store", "monitor"]),
    ("agent", &["pbx", "contract", "core", "monitor"]),
    ("lnp", &["core", "monitor"]),
    ("media", &["contract", "core"]),
    ("node", &["peer", "push", "lnp", "store", "contract", "core", "guard", "monitor", "web"]),
    ("config", &["agent", "node", "core"]),
    (
        "cli",
        &[
            "config", "agent", "node", "pbx", "store", "monitor", "lnp", "media", "peer", "contract", "core", "guard",
            "wire",
        ],
    ),
];

/// The layers of a room, the lowest first. A module may import its own layer and those below it; the room's `mod.rs` is
/// above them all.
pub struct Layers {
    pub room: &'static str,
    pub layers: &'static [Layer],
}

pub struct Layer {
    pub name: &'static str,
    /// The modules of this layer. The longest name that fits decides: `peering::outbound` before `peering`.
    pub modules: &'static [&'static str],
    /// Files that have not been moved into these modules yet.
    pub unmoved: &'static [&'static str],
}

const fn layer(name: &'static str, modules: &'static [&'static str], unmoved: &'static [&'static str]) -> Layer {
    Layer { name, modules, unmoved }
}

pub const NODE: Layers = Layers {
    room: "node",
    layers: &[
        layer("base", &["config", "error", "new_id", "run_to_completion", "timeline"], &[]),
        layer("live_calls", &["live_calls"], &[]),
        layer("dialled_enrolments", &["dialled_enrolments"], &[]),
        layer("disclosure", &["disclosure"], &[]),
        layer("delivery", &["delivery"], &[]),
        layer("ringing", &["ringing"], &[]),
        layer("peering::outbound", &["peering::outbound"], &[]),
        layer("pairing", &["pairing"], &[]),
        layer("peering::inbound", &["peering::inbound", "peering"], &[]),
        layer("call", &["call"], &[]),
        layer("lifecycle", &["lifecycle"], &[]),
        layer(HTTP, &["http"], &[]),
        // Puts the services together.
        layer("wiring", &["listener", "server", "services"], &[]),
    ],
};

/// The layer of `node` that speaks HTTP.
pub const HTTP: &str = "http";

pub const CORE: Layers = Layers {
    room: "core",
    layers: &[
        layer("base", &["base"], &[]),
        layer("cluster", &["cluster"], &[]),
        layer("ice", &["ice"], &[]),
        layer("address", &["address"], &[]),
        layer("numbering", &["numbering"], &[]),
        layer("enrolment", &["enrolment"], &[]),
        layer("routing", &["routing"], &[]),
        layer("call", &["call"], &[]),
        layer("fuzz", &["fuzz"], &[]),
    ],
};

impl Layers {
    /// The place of a module of this room (`["http", "router"]`) in the list, and the name by which the list has it.
    pub fn of(&self, module: &[String]) -> Option<(usize, &'static str)> {
        let fits = |name: &str| {
            let mut parts = module.iter();
            name.split("::").all(|part| parts.next().is_some_and(|own| own == part))
        };
        let all = self.layers.iter().enumerate();
        let named = all.flat_map(|(n, layer)| layer.modules.iter().chain(layer.unmoved).map(move |name| (n, *name)));
        named.filter(|(_, name)| fits(name)).max_by_key(|(_, name)| name.len())
    }
}

#[test]
fn a_module_is_on_the_layer_of_the_longest_name_that_fits() {
    let of = |path: &str| {
        NODE.of(&path.split("::").map(str::to_owned).collect::<Vec<_>>()).map(|(n, _)| NODE.layers[n].name)
    };
    assert_eq!(of("http::api::calls"), Some("http"));
    assert_eq!(of("peering::outbound::offer"), Some("peering::outbound"));
    assert_eq!(of("peering"), Some("peering::inbound"));
    assert_eq!(of("httpd"), None);
}
