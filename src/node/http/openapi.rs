//! The OpenAPI document, generated from the handlers.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::contract::{Message, Notice};
use crate::node::Problem;
use crate::node::http::api::{
    calls, claims, client_stream, clients, devices, dialled_enrolments, enrolments, guests, ice, inbox, monitoring,
    number_import, numbers, pbxs, peer_offers, web_client,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "sidecall", description = "The service node of sidecall. Errors are problem details (RFC 9457). \
        The header sidecall-process of answers to agents, and of /healthz, names the process: it is new at each start."),
    paths(
        numbers::list, numbers::show, numbers::put, numbers::remove, numbers::switch, numbers::set_switch, number_import::import,
        enrolments::create, devices::create, devices::list, devices::show, devices::change, devices::remove,
        dialled_enrolments::create, dialled_enrolments::wait, dialled_enrolments::confirm,
        clients::create, clients::list, clients::change, clients::remove, client_stream::open,
        web_client::slash, web_client::page, web_client::file, web_client::guest_page,
        calls::decide, calls::list, calls::show, calls::events, claims::create,
        guests::invite, guests::list, guests::join, guests::leave, guests::stream, guests::dismiss,
        pbxs::report,
        inbox::post, inbox::page,
        ice::for_client, ice::for_guest,
        peer_offers::create, peer_offers::withdraw, peer_offers::sync_timeline,
        monitoring::healthz, monitoring::readyz, monitoring::metrics, monitoring::status, monitoring::page,
        monitoring::openapi,
    ),
    components(schemas(Message, Notice, Problem)),
    modifiers(&Bearer),
    tags(
        (name = "calls", description = "What agents ask and report"),
        (name = "pbxs", description = "The links of agents"),
        (name = "clients", description = "Multimedia clients and their streams"),
        (name = "devices", description = "Installations of clients, each with a token of its own"),
        (name = "guests", description = "People without a client of their own, who join one call with a code"),
        (name = "addresses", description = "Call-scoped addresses: for whoever has one"),
        (name = "peers", description = "Other organisations' nodes"),
        (name = "numbers", description = "The directory"),
        (name = "monitoring", description = "For operators"),
    ),
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "Of an administrator, an agent, a peer, a device or a guest, or the credential of a number for its clients",
            ))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        components.add_security_scheme(
            "certificate",
            SecurityScheme::MutualTls {
                description: Some("A peer's client certificate".to_owned()),
                deprecated: None,
                extensions: None,
            },
        );
    }
}

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_documented_and_nothing_else() {
        let document = serde_json::to_value(document()).unwrap();
        let mut documented = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                documented.insert((method.clone(), path.clone()));
            }
        }
        let routes = crate::node::ROUTES.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned()));
        assert_eq!(documented, routes.collect());
    }

    #[test]
    fn problems_are_documented_where_they_can_happen() {
        let document = serde_json::to_value(document()).unwrap();
        let answers = &document["paths"]["/v1/calls"]["post"]["responses"];
        for status in ["401", "403", "422", "503"] {
            let content = &answers[status]["content"]["application/problem+json"];
            assert!(content.is_object(), "{status}: {answers}");
        }
    }
}
