//! Configurations other than the vanilla ones: managers, FreePBX, FusionPBX, contexts on one line.

use super::{INSTALL, made_of};

#[test]
fn a_manager_that_was_off_begins_on_loopback() {
    let off = "[general]\nenabled = no\nport = 5039\nbindaddr = 0.0.0.0";
    let files = [("extensions.conf", "[default]\n"), ("manager.conf", off)];
    let scratch = made_of("off", "asterisk", &files);
    scratch.install(INSTALL);
    let user = scratch.read("sidecall-manager.conf");
    assert!(user.contains("\nenabled=yes\nbindaddr=127.0.0.1\n"), "{user}");
    let manager = scratch.read("manager.conf");
    assert!(
        manager.starts_with(&format!("{off}\n; sidecall: begin\n#include \"sidecall-manager.conf\"\n")),
        "{manager}"
    );
    // Without a [globals] above it Asterisk wouldn't read the snippet.
    let globals = "\n; sidecall: begin\n[globals]\n#include \"sidecall.conf\"\n";
    assert!(scratch.read("extensions.conf").contains(globals));
    let config = std::fs::read_to_string(scratch.root().join("etc/sidecall/sidecall.toml")).unwrap();
    assert!(config.contains("address = \"127.0.0.1:5039\"") && !config.contains("freeswitch.password"), "{config}");
    scratch.install(&["--uninstall", "--yes"]);
    assert_eq!(scratch.difference("before"), "");
}

#[test]
fn a_manager_on_an_address_of_its_own_is_reached_there() {
    let files = [
        ("extensions.conf", "#include \"more.conf\"\n;#include \"sidecall.conf\"\n"),
        ("more.conf", "[globals]\nX=1\n"),
        ("manager.conf", "[general]\nenabled = yes\nbindaddr = 192.0.2.5\n"),
    ];
    let scratch = made_of("bound", "asterisk", &files);
    scratch.install(INSTALL);
    assert!(scratch.read("sidecall-manager.conf").contains("\npermit=192.0.2.5/255.255.255.255\n"));
    let config = std::fs::read_to_string(scratch.root().join("etc/sidecall/sidecall.toml")).unwrap();
    assert!(config.contains("address = \"192.0.2.5:5038\""), "{config}");
    // An include that is commented out is none, and [globals] is in another file.
    let plan = scratch.read("extensions.conf");
    assert!(plan.ends_with("; sidecall: begin\n#include \"sidecall.conf\"\n; sidecall: end\n"), "{plan}");
}

#[test]
fn what_freepbx_writes_anew_is_left_alone() {
    let written = "; generated\n";
    let scratch = made_of(
        "freepbx",
        "asterisk",
        &[
            ("extensions.conf", written),
            ("extensions_additional.conf", written),
            ("extensions_custom.conf", "[from-internal-custom]\n"),
            ("manager.conf", "[general]\nenabled = yes\nbindaddr = 127.0.0.1\n"),
            ("pjsip.conf", written),
        ],
    );
    let said = scratch.install(&[INSTALL, &["--trunks", "from-pstn", "--trunk", "192.0.2.10"]].concat());
    assert!(said.contains("[from-internal-custom]"), "{said}");
    assert_eq!(scratch.read("extensions.conf"), written);
    assert_eq!(scratch.read("pjsip.conf"), written);
    assert!(!scratch.read("manager.conf").contains("sidecall"));
    assert!(scratch.read("extensions_custom.conf").contains("#include \"sidecall.conf\""));
    assert!(scratch.read("manager_custom.conf").contains("#include \"sidecall-manager.conf\""));
    assert!(scratch.read("pjsip.endpoint_custom.conf").contains("#include \"sidecall-trunk.conf\""));
    assert!(scratch.read("sidecall-trunk.conf").contains("context=sidecall-trunks"));
    scratch.install(&["--uninstall", "--yes"]);
    assert_eq!(scratch.difference("before"), "");
}

/// Such a user is left as it is. But a missing filter is told of: without it, a caller's empty line begins an event.
#[test]
fn a_manager_user_of_the_administrators_is_told_of_the_filter() {
    let filter = "eventfilter = ![[:cntrl:]]{4}[^[:cntrl:]] ; ours\n";
    let install = |name: &str, more: &str| {
        let user = "[sidecall]\nsecret = f00d4cafe\n";
        let manager = "[general]\nenabled = yes\nbindaddr = 127.0.0.1\n";
        let files = [
            ("extensions.conf", "[globals]\n"),
            ("extensions_additional.conf", "; generated\n"),
            ("manager.conf", manager),
            ("manager_additional.conf", user),
            ("manager_custom.conf", more),
        ];
        let scratch = made_of(name, "asterisk", &files);
        let said = scratch.install(INSTALL);
        // Asterisk reads none of manager.conf if a file that it includes is missing.
        assert!(!scratch.file("sidecall-manager.conf").exists() && scratch.read("manager_custom.conf") == more);
        said
    };
    let said = install("no-filter", "");
    assert!(said.contains("eventfilter=![[:cntrl:]]{4}[^[:cntrl:]]"), "{said}");
    assert!(said.contains("manager_custom.conf") && said.contains("[sidecall](+)"), "{said}");
    let said = install("own-filter", &format!("[sidecall](+)\n{filter}"));
    assert!(!said.contains("eventfilter"), "{said}");
}

/// An earlier version included a file that it did not make: Asterisk then reads none of manager.conf.
#[test]
fn an_include_of_a_manager_user_that_is_not_there_is_taken_out() {
    let include = "#include \"sidecall-manager.conf\"\n";
    let marked = format!("; sidecall: begin\n{include}; sidecall: end\n");
    for (name, left) in [("left", &marked[..]), ("unmarked", include)] {
        let manager = |between: &str| format!("[general]\nenabled = yes\n{between}\n[sidecall]\nsecret = f00d4cafe\n");
        let (text, custom) = (manager(left), format!("; mine\n{left}"));
        let files =
            [("extensions.conf", "[globals]\n"), ("manager.conf", &text[..]), ("manager_custom.conf", &custom[..])];
        let scratch = made_of(name, "asterisk", &files);
        scratch.install(INSTALL);
        assert_eq!(scratch.read("manager.conf"), manager(""), "{name}");
        assert_eq!(scratch.read("manager_custom.conf"), "; mine\n", "{name}");
        scratch.install(&["--uninstall", "--yes"]);
        assert_eq!(scratch.difference("before"), "", "{name}");
    }
}

#[test]
fn a_context_is_only_edited_where_it_begins() {
    let socket = "<param name=\"listen-ip\" value=\"127.0.0.1\"/>\n<param name=\"password\" value=\"f00d4cafe\"/>\n";
    let default = "<include>\n<!-- once:\n  <context name=\"default\">\n-->\n  <context name=\"default\">\n\
                   <!-- ours comes first -->\n  </context>\n</include>\n";
    let public = "<include><context name=\"public\"></context></include>\n";
    let files = [
        ("autoload_configs/event_socket.conf.xml", socket),
        ("dialplan/default.xml", default),
        ("dialplan/public.xml", public),
        ("freeswitch.xml", ""),
    ];
    let scratch = made_of("context", "freeswitch", &files);
    let said = scratch.install(INSTALL);
    let line = "    <X-PRE-PROCESS cmd=\"include\" data=\"sidecall/originating.xml\"/>\n";
    assert_eq!(scratch.read("dialplan/default.xml"), default.replace("<!-- ours", &format!("{line}<!-- ours")));
    // On one line with what is in it: said, and not done.
    assert_eq!(scratch.read("dialplan/public.xml"), public);
    assert!(said.contains("<context name=\"public\">"), "{said}");
    scratch.install(&["--uninstall", "--yes"]);
    assert_eq!(scratch.difference("before"), "");
}

#[test]
fn fusionpbx_is_told_what_to_paste() {
    let socket = "<param name=\"listen-ip\" value=\"127.0.0.1\"/>\n<param name=\"listen-port\" value=\"8021\"/>\n\
                  <!-- <param name=\"password\" value=\"ClueCon\"/> -->\n<param name=\"password\" value=\"f00d4cafe\"/>\n";
    let files = [
        ("autoload_configs/event_socket.conf.xml", socket),
        ("dialplan/default.xml", "<include>\n<context name=\"default\">\n</context>\n</include>\n"),
        ("freeswitch.xml", ""),
    ];
    let scratch = made_of("fusion", "freeswitch", &files);
    std::fs::create_dir_all(scratch.root().join("etc/fusionpbx")).unwrap();
    let said = scratch.install(INSTALL);
    assert!(said.contains("FusionPBX") && said.contains("Dialplan Manager"), "{said}");
    assert!(said.contains("context sidecall ") && said.contains("switch.event_socket.password"), "{said}");
    assert!(!scratch.read("dialplan/default.xml").contains("sidecall"));
    // A password of the administrator's own stays.
    assert_eq!(scratch.read("autoload_configs/event_socket.conf.xml"), socket);
    assert_eq!(scratch.secrets()[2], "f00d4cafe");
}
