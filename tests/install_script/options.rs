//! Contexts, attendants and trunks, as they are named on the command line of `install.sh`.

use std::process::Command;

use super::{INSTALL, made_of, on_each, text};

#[test]
fn several_contexts_are_taken_remembered_and_given_back() {
    on_each("contexts", |scratch| {
        let own = match scratch.kind {
            "freeswitch" => {
                let context = "<include>\n  <context name=\"branch.2\">\n  </context>\n</include>\n";
                std::fs::write(scratch.file("dialplan/branch.xml"), context).unwrap();
                "dialplan/branch.xml"
            }
            _ => {
                let contexts = "[from-internal](+)\n[branch.2] ; people\n[branch-2]\n[from-trunk]\n[both]\n\
                                [from-internal](+)\nexten => 1,1,NoOp()\n";
                std::fs::write(scratch.file("more.conf"), contexts).unwrap();
                let plan = scratch.read("extensions.conf") + "#include \"more.conf\"\n";
                std::fs::write(scratch.file("extensions.conf"), plan).unwrap();
                "more.conf"
            }
        };
        scratch.keep("mine");
        let before = scratch.read(own);
        let asked: &[&str] = match scratch.kind {
            "freeswitch" => &["--phones", "default", "--phones", "branch.2"],
            _ => &[
                &["--phones", "from-internal", "--phones", "branch.2", "--phones", "both"][..],
                &["--trunks", "from-trunk", "--trunks", "both"],
            ]
            .concat(),
        };
        let shown = scratch.install(&[&["--dry-run"], asked].concat());
        let said = scratch.install(&[INSTALL, asked].concat());
        if scratch.kind == "freeswitch" {
            for file in ["dialplan/default.xml", own] {
                assert!(scratch.read(file).contains("sidecall/originating.xml"), "{file}");
                assert!(shown.contains(file), "{shown}");
            }
        } else {
            assert_eq!(scratch.read(own), before, "the administrator's contexts stay as they are");
            assert!(shown.contains("+include => branch.2"), "{shown}");
            let entry = scratch.read("sidecall-entry.conf");
            for context in [
                "\n[sidecall-phones-from-internal]\neswitch => Loopback/@sidecall-announce-phones-from-internal/",
                "\n[sidecall-phones-branch.2]\neswitch => Loopback/@sidecall-announce-phones-branch.2/",
                "\n[sidecall-trunks-both]\neswitch => Loopback/@sidecall-announce-trunks-both/",
                "\ninclude => branch.2\n",
                // The names that endpoints of an earlier version have.
                "\n[sidecall-phones]\ninclude => sidecall-phones-from-internal\n",
                "\n[sidecall-trunks]\ninclude => sidecall-trunks-from-trunk\n",
            ] {
                assert!(entry.contains(context), "{context}: {entry}");
            }
            assert!(said.contains("phones: set context=sidecall-phones-both (instead of both)"), "{said}");
            assert!(said.contains("pjsip reload' and asterisk -rx 'dialplan reload"), "{said}");
        }
        scratch.keep("after");
        assert!(scratch.install(INSTALL).contains("Nothing to do"));
        assert_eq!(scratch.difference("after"), "");
        // Another context takes the place of both; a line of the administrator's own is kept when all is taken back.
        if scratch.kind == "asterisk" {
            let said = scratch.install(&[INSTALL, &["--phones", "branch.2"]].concat());
            assert!(said.contains("phones: set context=sidecall-phones (instead of branch.2)"), "{said}");
            let entry = scratch.read("sidecall-entry.conf");
            assert!(entry.contains("\n[sidecall-phones]\neswitch => Loopback/@sidecall-announce-phones/"), "{entry}");
            std::fs::write(scratch.file(own), scratch.read(own) + "; mine\n").unwrap();
            scratch.install(&["--uninstall", "--yes"]);
            assert_eq!(scratch.read(own), before + "; mine\n");
        } else {
            scratch.install(&["--uninstall", "--yes"]);
            assert_eq!(scratch.difference("mine"), "");
        }
    });
}

#[test]
fn lines_that_pick_up_in_a_context_are_named() {
    let plan = "[globals]\n[phones]\nexten => _*8XXXX,1,Pickup(${EXTEN:2}@phones)\n; Pickup(1@phones)\n";
    let files = [("extensions.conf", plan), ("manager.conf", "[general]\nenabled = no\n")];
    let scratch = made_of("pickup", "asterisk", &files);
    let said = scratch.install(&[INSTALL, &["--phones", "phones"]].concat());
    assert!(said.contains("Pickup(...@sidecall-phones) instead of Pickup(...@phones)"), "{said}");
    assert!(said.contains("extensions.conf:3:") && !said.contains("extensions.conf:4:"), "{said}");
}

#[test]
fn what_the_administrator_adds_between_two_runs_is_kept_when_all_is_taken_back() {
    let plan = "[globals]\n[phones]\nexten => 1,1,NoOp()\n";
    let files = [("extensions.conf", plan), ("manager.conf", "[general]\nenabled = no\n")];
    let scratch = made_of("between", "asterisk", &files);
    scratch.install(INSTALL);
    let mine = "exten => 2,1,NoOp()\n";
    let edited = scratch.read("extensions.conf").replace("[phones]\n", &format!("[phones]\n{mine}"));
    std::fs::write(scratch.file("extensions.conf"), edited).unwrap();
    // This run adds another line to the same file.
    scratch.install(&[INSTALL, &["--phones", "phones"]].concat());
    assert!(scratch.read("extensions.conf").contains("sidecall-entry.conf"));
    scratch.install(&["--uninstall", "--yes"]);
    assert_eq!(scratch.read("extensions.conf"), plan.replace("[phones]\n", &format!("[phones]\n{mine}")));
}

#[test]
fn a_trunk_may_be_a_name_an_ipv6_address_or_one_that_is_there() {
    on_each("trunks", |scratch| {
        let gateway = "<include><!-- <param name=\"proxy\" value=\"192.0.2.99\"/> -->\n<gateway name=\"mine\">\n\
                       <param name=\"realm\" value=\"192.0.2.44\"/>\n<param name=\"register\" value=\"true\"/>\n\
                       </gateway></include>\n";
        match scratch.kind {
            "freeswitch" => std::fs::write(scratch.file("sip_profiles/external/mine.xml"), gateway).unwrap(),
            _ => {
                let more = "[mine]\ntype=endpoint\n[mine]\ntype=registration\n[v6]\ntype=transport\nbind=[::]\n";
                std::fs::write(scratch.file("pjsip.conf"), scratch.read("pjsip.conf") + more).unwrap();
            }
        }
        scratch.keep("mine");
        let asked = ["--trunk", "localhost:5070", "--trunk", "six=[2001:DB8::7]", "--existing-trunk", "mine"];
        let said = scratch.install(&[INSTALL, &asked].concat());
        let config = sidecall::config::Config::load(&scratch.root().join("etc/sidecall/sidecall.toml")).unwrap();
        assert_eq!(config.node.routing.trunk(&config.pbx[0].name).unwrap().as_str(), "sidecall");
        assert!(!said.contains("trunk six:") && !said.contains("trunk mine:"), "{said}");
        if scratch.kind == "freeswitch" {
            let proxy = |file: &str, address: &str| {
                let text = scratch.read(&format!("sip_profiles/{file}.xml"));
                assert!(text.contains(&format!("<param name=\"proxy\" value=\"{address}\"/>")), "{text}");
            };
            proxy("external/sidecall", "localhost:5070");
            proxy("external-ipv6/six", "[2001:DB8::7]:5060");
            // Networks of both families are a list: elsewhere FreeSWITCH compares IPv6 networks with IPv4 callers.
            let settings = scratch.read("dialplan/sidecall.xml");
            assert!(settings.contains("data=\"sidecall_trusted=sidecall-trusted\""), "{settings}");
            let lists = scratch.read("autoload_configs/acl.conf.xml");
            let list = lists.split("<list name=\"sidecall-trusted\" default=\"deny\">").nth(1).unwrap();
            let list = list.split("</list>").next().unwrap();
            // This machine's `localhost` may be ::1 as well.
            for network in ["127.0.0.1/32", "2001:DB8::7/128", "192.0.2.44/32"] {
                assert!(list.contains(&format!("<node type=\"allow\" cidr=\"{network}\"/>")), "{network}: {lists}");
            }
            assert_eq!(lists.matches("name=\"sidecall-trusted\"").count(), 1);
            assert!(said.contains("localhost is ") && said.contains("today"), "{said}");
        } else {
            assert!(scratch.read("sidecall.conf").contains("\nSIDECALL_TRUSTED=sidecall|six|mine "));
            let trunks = scratch.read("sidecall-trunk.conf");
            for line in [
                "contact=sip:localhost:5070\n",
                "match=localhost ",
                "contact=sip:[2001:DB8::7]:5060\n",
                "match=2001:DB8::7 ",
            ] {
                assert!(trunks.contains(line), "{line}: {trunks}");
            }
            assert!(!trunks.contains("[mine]"), "{trunks}");
        }
        scratch.keep("after");
        assert!(scratch.install(INSTALL).contains("Nothing to do"));
        assert_eq!(scratch.difference("after"), "");
        scratch.install(&["--uninstall", "--yes"]);
        assert_eq!(scratch.difference("mine"), "");
    });
}

#[test]
fn a_trunk_that_cannot_be_found_is_named() {
    on_each("unfound", |scratch| {
        if scratch.kind == "freeswitch" {
            // Whose addresses would be believed? Nothing is changed.
            for (option, trunk, what) in [
                ("--trunk", "nowhere.invalid", "nowhere.invalid has no address"),
                ("--existing-trunk", "mine", "no gateway of that name"),
            ] {
                let refused = scratch.try_install(&[INSTALL, &[option, trunk]].concat());
                assert!(!refused.status.success() && text(&refused).contains(what), "{}", text(&refused));
            }
            assert_eq!(scratch.difference("before"), "");
        } else {
            // It may be in a database.
            let said = scratch.install(&[INSTALL, &["--existing-trunk", "mine", "--trunk", "[::1]"]].concat());
            assert!(said.contains("no endpoint [mine]") && said.contains("no transport that binds an IPv6"), "{said}");
        }
    });
}

#[test]
fn attendants_trunks_and_pbxs_behind_are_set_and_taken_back() {
    on_each("attendants", |scratch| {
        let asked = [
            ["--attendant", "public"],
            ["--attendant", "default"],
            ["--main", "+12125552000|(+1212555)?30[01]0"],
            ["--trunk", "192.0.2.10"],
            ["--trunk", "carrier=198.51.100.7:5080"],
            ["--behind", "inner"],
            ["--behind", "other"],
        ];
        let said = scratch.install(&[INSTALL, &asked.concat()].concat());
        let main = "[+]12125552000|([+]1212555)?30[01]0";
        match scratch.kind {
            "asterisk" => {
                let snippet = scratch.read("sidecall.conf");
                for line in [
                    format!("\nSIDECALL_MAIN={main} "),
                    "\nSIDECALL_TRUNK=sidecall ".to_owned(),
                    "\nSIDECALL_TRUSTED=sidecall|carrier ".to_owned(),
                    "\nSIDECALL_BEHIND=inner|other ".to_owned(),
                ] {
                    assert!(snippet.contains(&line), "{line}");
                }
                let entry = scratch.read("sidecall-entry.conf");
                for name in ["public", "default"] {
                    assert!(entry.contains(&format!("[sidecall-attendant-{name}]\neswitch => ")), "{entry}");
                }
                let trunks = scratch.read("sidecall-trunk.conf");
                for line in
                    ["[carrier]\ntype=endpoint", "aors=carrier\n", "contact=sip:198.51.100.7:5080", "match=192.0.2.10"]
                {
                    assert!(trunks.contains(line), "{line}: {trunks}");
                }
                assert!(said.contains("sidecall-attendant-public") && said.contains("sidecall-pass"), "{said}");
            }
            _ => {
                let snippet = scratch.read("dialplan/sidecall.xml");
                for setting in [
                    format!("sidecall_main={main}"),
                    "sidecall_trunk=sidecall".to_owned(),
                    "sidecall_trusted=192.0.2.10/32,198.51.100.7/32".to_owned(),
                    "sidecall_behind=yes".to_owned(),
                ] {
                    assert!(snippet.contains(&format!("data=\"{setting}\"")), "{setting}");
                }
                assert!(scratch.read("dialplan/default.xml").contains("sidecall/attendant.xml"));
                let carrier = scratch.read("sip_profiles/external/carrier.xml");
                assert!(carrier.contains("name=\"carrier\"") && carrier.contains("198.51.100.7:5080"), "{carrier}");
                assert!(said.contains("{${sidecall_pass}}sofia/gateway/inner"), "{said}");
            }
        }
        let config = std::fs::read_to_string(scratch.root().join("etc/sidecall/sidecall.toml")).unwrap();
        assert!(config.contains("\ntrunk = \"sidecall\""), "{config}");
        scratch.keep("after");
        assert!(scratch.install(INSTALL).contains("Nothing to do"));
        assert_eq!(scratch.difference("after"), "");
        scratch.install(&["--uninstall", "--yes"]);
        assert_eq!(scratch.difference("before"), "");
    });
}

#[test]
fn a_trunk_by_another_name_is_the_one_that_calls_take() {
    on_each("named", |scratch| {
        scratch.install(&[INSTALL, &["--trunk", "b.example=192.0.2.10:5070"]].concat());
        let (snippet, setting) = match scratch.kind {
            "freeswitch" => ("dialplan/sidecall.xml", "sidecall_trunk=b.example\""),
            _ => ("sidecall.conf", "\nSIDECALL_TRUNK=b.example "),
        };
        assert!(scratch.read(snippet).contains(setting));
        let config = sidecall::config::Config::load(&scratch.root().join("etc/sidecall/sidecall.toml")).unwrap();
        assert_eq!(config.node.routing.trunk(&config.pbx[0].name).unwrap().as_str(), "b.example");
    });
}

#[test]
fn wrong_options_are_named() {
    let root = std::env::temp_dir();
    for (args, what) in [
        (&["--pbx", "yate"][..], "yate"),
        (&["--trunk", "a;b"], "a;b"),
        (&["--trunk", "a b=192.0.2.1"], "a b"),
        (&["--trunk", "192.0.2.1", "--trunk", "sidecall=192.0.2.2"], "two trunks"),
        (&["--trunk", "192.0.2.1", "--existing-trunk", "sidecall"], "two trunks"),
        (&["--trunk", "300.0.2.1"], "300.0.2.1"),
        (&["--trunk", "192.0.2.1:70000"], "70000"),
        (&["--trunk", "2001:db8::1"], "brackets"),
        (&["--trunk", "[2001:db8::1::2]"], "brackets"),
        (&["--trunk", "[2001:db8::1]5060"], "brackets"),
        (&["--trunk", "sip..example"], "sip..example"),
        (&["--trunk", "$(id)"], "$(id)"),
        (&["--existing-trunk", "a b"], "a b"),
        (&["--phones", "a", "--phones", "a"], "named twice"),
        (&["--trunks", "a b"], "--trunks a b"),
        (&["--main", "x"], "--main x"),
        (&["--attendant", "a/b"], "--attendant"),
        (&["--context", "x y"], "x y"),
        (&["--frobnicate"], "--frobnicate"),
        (&["--prefix"], "--prefix"),
    ] {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh"));
        let done = command.args(args).arg("--dry-run").env("SIDECALL_ROOT", &root).output().unwrap();
        let said = text(&done);
        assert!(!done.status.success() && said.contains(what), "{args:?}: {said}");
    }
}
