//! What the administrator edits between two runs is kept, and what no longer fits is named.

use super::{INSTALL, on_each, text};

#[test]
fn what_the_administrator_edits_is_kept() {
    on_each("edited", |scratch| {
        scratch.install(INSTALL);
        let (snippet, edited) = match scratch.kind {
            "freeswitch" => ("dialplan/sidecall.xml", "dialplan/default.xml"),
            _ => ("sidecall.conf", "extensions.conf"),
        };
        let mine = scratch.read(snippet).replace("500", "300");
        std::fs::write(scratch.file(snippet), &mine).unwrap();
        let hand = if scratch.kind == "freeswitch" { "<!-- by hand -->\n" } else { "; by hand\n" };
        let with_hand = scratch.read(edited) + hand;
        std::fs::write(scratch.file(edited), with_hand).unwrap();

        let said = scratch.install(INSTALL);
        assert!(said.contains("kept as you edited it"), "{said}");
        assert_eq!(scratch.read(snippet), mine);

        scratch.install(&["--uninstall", "--yes"]);
        let before = std::fs::read_to_string(scratch.dir.join("before").join(scratch.conf).join(edited)).unwrap();
        assert_eq!(scratch.read(edited), before + hand);
        assert!(!scratch.file(snippet).exists());
    });
}

/// An upgrade leaves such a file as it is, so nobody else says that it needs a line more.
#[test]
fn a_manager_user_that_was_edited_is_told_of_the_filter() {
    on_each("edited-user", |scratch| {
        if scratch.kind != "asterisk" {
            return;
        }
        scratch.install(INSTALL);
        let files = ["sidecall-manager.conf", "manager.d/sidecall.conf"];
        let file = files.into_iter().find(|file| scratch.file(file).exists()).unwrap();
        let made = scratch.read(file);
        let install = |from: &str, to: &str| {
            assert!(made.contains(from), "{made}");
            std::fs::write(scratch.file(file), made.replace(from, to)).unwrap();
            scratch.install(INSTALL)
        };
        let said = install("eventfilter=", "; eventfilter=");
        assert!(
            said.contains("lacks a line") && said.contains(&format!("[sidecall] of {}", scratch.file(file).display())),
            "{said}"
        );
        let said = install("writetimeout=1000", "writetimeout=2000");
        assert!(said.contains("kept as you edited it") && !said.contains("lacks a line"), "{said}");
    });
}

#[test]
fn uninstall_refuses_while_calls_still_lead_there() {
    on_each("refuse", |scratch| {
        if scratch.kind != "asterisk" {
            return;
        }
        scratch.install(INSTALL);
        let before = scratch.read("extensions.conf");
        for (name, line) in [("gosub", "Gosub(sidecall-originating,s,1)"), ("pickup", "Pickup(1001@sidecall-phones)")] {
            let with_call = format!("{before}[mine]\nexten => _X.,1,{line}\n");
            std::fs::write(scratch.file("extensions.conf"), with_call).unwrap();
            scratch.keep(name);
            let refused = scratch.try_install(&["--uninstall", "--yes"]);
            assert!(!refused.status.success());
            assert!(text(&refused).contains(line), "{}", text(&refused));
            assert_eq!(scratch.difference(name), "");
        }
    });
}

#[test]
fn an_edited_snippet_finds_its_new_version_beside_it() {
    on_each("newer", |scratch| {
        scratch.install(INSTALL);
        let snippet = if scratch.kind == "freeswitch" { "dialplan/sidecall.xml" } else { "sidecall.conf" };
        let mine = scratch.read(snippet).replace("500", "300");
        std::fs::write(scratch.file(snippet), &mine).unwrap();
        scratch.install(INSTALL);
        let beside = format!("{snippet}.sidecall-new");
        assert!(!scratch.file(&beside).exists());
        // With other options it is another file, as it is with another version.
        let said = scratch.install(&[INSTALL, &["--main", "+12125552000|2000"]].concat());
        assert!(said.contains("sidecall-new"), "{said}");
        assert_eq!(scratch.read(snippet), mine);
        assert!(scratch.read(&beside).contains("[+]12125552000|2000"), "{}", scratch.read(&beside));
        scratch.keep("after");
        assert!(scratch.install(INSTALL).contains("Nothing to do"));
        assert_eq!(scratch.difference("after"), "");
        scratch.install(&["--uninstall", "--yes"]);
        assert!(!scratch.file(&beside).exists());
    });
}

/// It executes an extension that `sidecall.xml` no longer has.
#[test]
fn an_edited_announcement_of_an_earlier_version_is_named() {
    on_each("announcing", |scratch| {
        if scratch.kind != "freeswitch" {
            return;
        }
        scratch.install(INSTALL);
        let include = "<X-PRE-PROCESS cmd=\"include\" data=\"announce.xml\"/>";
        let execute = "<action application=\"execute_extension\" data=\"announce XML sidecall\"/>";
        let file = "dialplan/sidecall/terminating.xml";
        let old = scratch.read(file).replace(include, execute);
        assert!(old.contains(execute), "{old}");
        std::fs::write(scratch.file(file), old).unwrap();
        let said = scratch.install(INSTALL);
        assert!(said.contains("terminating.xml, which you edited, is of an earlier version"), "{said}");
        assert!(!said.contains("originating.xml, which you edited"), "{said}");
        assert!(!said.contains("enrol.xml, which you edited"), "{said}");
    });
}

/// It waits by an extension that `sidecall.xml` no longer has.
#[test]
fn an_edited_enrolment_of_an_earlier_version_is_named() {
    on_each("enrolling", |scratch| {
        if scratch.kind != "freeswitch" {
            return;
        }
        scratch.install(INSTALL);
        let file = "dialplan/sidecall/enrol.xml";
        let new = scratch.read(file);
        let wait = new.lines().find(|line| line.contains("${cond(")).unwrap();
        let old = new.replace(wait, "<action application=\"execute_extension\" data=\"wait XML sidecall\"/>");
        std::fs::write(scratch.file(file), old).unwrap();
        let said = scratch.install(INSTALL);
        assert!(said.contains("enrol.xml, which you edited, is of an earlier version"), "{said}");
        assert!(!said.contains("ating.xml, which you edited"), "{said}");
        // The edited sidecall.xml of that version still has it.
        let snippet = "dialplan/sidecall.xml";
        let parts = "<context name=\"sidecall\">";
        let old = scratch.read(snippet).replace(parts, &format!("{parts}<extension name=\"wait\"></extension>"));
        std::fs::write(scratch.file(snippet), old).unwrap();
        assert!(!scratch.install(INSTALL).contains("enrol.xml, which you edited"));
    });
}

/// A snippet of the version that dialled the packet trunk on the first line, with an edit.
#[test]
fn an_edited_snippet_of_an_earlier_version_is_named() {
    on_each("older", |scratch| {
        scratch.install(INSTALL);
        let (snippet, new) = match scratch.kind {
            "freeswitch" => ("dialplan/sidecall.xml", "sidecall_emergency="),
            _ => ("sidecall.conf", "[sidecall-out]"),
        };
        let old = scratch.read(snippet).replace(new, "gone").replace("500", "300");
        std::fs::write(scratch.file(snippet), old).unwrap();
        let said = scratch.install(INSTALL);
        assert!(said.contains("is of an earlier version"), "{said}");
        assert!(!said.contains("Gosub(sidecall-out,s,1(60"), "{said}");
    });
}
