//! Two organisations set up as README.md and docs/BEHAVIOURS.md tell an administrator: `install.sh` beside a PBX that
//! is there, and the blocks of the page in `sidecall.toml`. Nothing else is edited.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

mod lab;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use lab::domains::{Domain, Domains};
use lab::sidecall::{ADMIN, Sidecall, binary};
use lab::theatre::{SOON, Since, write};
use lab::{Kind, Pbx, PbxConfig, conf, ports};
use serde_json::json;

/// The blocks of configuration of the page's "Two domains, step by step".
fn blocks() -> Vec<String> {
    let page = conf::project_file("docs/BEHAVIOURS.md").unwrap();
    let steps = page.split("## Two domains, step by step").nth(1).unwrap().split("\n## ").next().unwrap();
    let fenced = steps.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    fenced.map(|block| block.lines().map(|line| line.trim_start().to_owned() + "\n").collect()).collect()
}

/// The page speaks of A; at B the names are exchanged.
fn exchanged(text: &str) -> String {
    let pairs = [("\"b\"", "\"a\""), ("to-b.", "to-a."), ("from-b.", "from-a."), ("+1310555", "+1212555")];
    let text = pairs.iter().fold(text.to_owned(), |text, (a, b)| text.replace(a, b));
    text.replace("\"1XXX\"", "\"6XXX\"").replace("+12125551XXX", "+13105556XXX").replace("node.b", "node.a")
}

/// One organisation, as it is before.
struct Office<'a> {
    pbx: &'a Pbx,
    /// Its node, and the other's.
    http: (SocketAddr, SocketAddr),
    far: SocketAddr,
    /// What we show the other node, and what it shows us.
    tokens: [&'a str; 2],
    second: bool,
}

impl Office<'_> {
    fn install(&self) -> Sidecall {
        let root = tempfile::Builder::new().prefix("sidecall-root-").tempdir().unwrap();
        let etc = root.path().join("etc/sidecall");
        conf::write(&etc.join("admin.token"), ADMIN).unwrap();
        self.run_script(root.path());
        if self.pbx.kind() == Kind::Asterisk {
            self.lead_calls_there();
        }
        self.let_calls_out();
        self.reload();
        let other = if self.second { "a" } else { "b" };
        for (file, token) in [("to", self.tokens[0]), ("from", self.tokens[1])] {
            conf::write(&etc.join(format!("{file}-{other}.token")), token).unwrap();
        }
        self.configure(&etc.join("sidecall.toml"));
        // It runs from its folder as from /etc/sidecall.
        let dir = tempfile::Builder::new().prefix("sidecall-run-").tempdir().unwrap();
        conf::copy_dir(&etc, dir.path()).unwrap();
        Sidecall::in_folder(dir, self.http.0).unwrap()
    }

    fn run_script(&self, root: &Path) {
        let at = self.pbx.dir().join(if self.pbx.kind() == Kind::Asterisk { "etc" } else { "conf" });
        let mut script = Command::new(conf::project().join("install.sh"));
        script.env("SIDECALL_ROOT", root).env_remove("FS_CLI").env_remove("ASTERISK");
        script.args(["--yes", "--pbx", self.pbx.kind().word(), "--trunk", &self.far.to_string()]);
        script.arg("--pbx-conf").arg(at).arg("--binary").arg(binary());
        if self.pbx.kind() == Kind::Asterisk {
            script.args(["--phones", "from-internal", "--trunks", "from-trunk"]);
        }
        let done = script.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// "The last step is yours." The lab's own packet trunk goes: install.sh has made one.
    fn lead_calls_there(&self) {
        let file = self.pbx.dir().join("etc/pjsip.conf");
        conf::replace(&file, "\n[sidecall]\n", "\n[sidecall](!)\n").unwrap();
        conf::replace(&file, "context=from-internal", "context=sidecall-phones").unwrap();
        conf::replace(&file, "context=from-trunk", "context=sidecall-trunks").unwrap();
    }

    /// "Where calls go out is yours to say."
    fn let_calls_out(&self) {
        let (file, own, line) = match self.pbx.kind() {
            Kind::Asterisk => {
                ("etc/extensions.conf", "Dial(PJSIP/${EXTEN}@pstn,60)", "Gosub(sidecall-out,s,1(60))\n same => n,")
            }
            Kind::FreeSwitch => (
                "conf/dialplan/default/00_a_lab.xml",
                "<action application=\"bridge\" data=\"sofia/gateway/pstn/$1\"/>",
                "<X-PRE-PROCESS cmd=\"include\" data=\"$${conf_dir}/dialplan/sidecall/out.xml\"/>\n",
            ),
        };
        conf::replace(&self.pbx.dir().join(file), own, &format!("{line}{own}")).unwrap();
    }

    /// install.sh does that where the PBX is the machine's own.
    fn reload(&self) {
        let commands = match self.pbx.kind() {
            Kind::Asterisk => ["dialplan reload", "manager reload", "pjsip reload"],
            Kind::FreeSwitch => ["reloadxml", "sofia profile external rescan", "status"],
        };
        for command in commands {
            let _ = self.pbx.console(command);
        }
    }

    fn configure(&self, file: &Path) {
        let blocks = blocks();
        let [peer, map] = ["[[peer]]", "[[pbx.map]]"].map(|begin| {
            let block = blocks.iter().find(|block| block.contains(begin)).unwrap();
            if self.second { exchanged(block) } else { block.clone() }
        });
        let other = if self.second { "https://node.a.example" } else { "https://node.b.example" };
        assert!(peer.contains(other), "{peer}");
        // Both nodes are on this machine, without TLS; the paths of a machine of its own are this test's.
        let peer = peer.replace(other, &format!("http://{}", self.http.1));
        conf::replace(file, "# The agent: attached", &format!("{peer}\n# The agent: attached")).unwrap();
        conf::replace(file, "127.0.0.1:8600", &self.http.0.to_string()).unwrap();
        conf::replace(file, "/var/lib/sidecall/", "").unwrap();
        conf::write(file, &(conf::read(file).unwrap() + "\n" + &map)).unwrap();
    }
}

fn two_domains(a: Kind, b: Kind) {
    let bare = |config| PbxConfig { snippets: false, ..config };
    let missing = [a, b].into_iter().find(|kind| kind.find().is_err()).unwrap_or(a);
    let Some(mut domains) = lab::or_skip(missing, Domains::set_with(a, b, None, bare)) else { return };
    let http = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], ports::free())));
    let tokens = ["token-that-b-has-given-to-a", "token-that-a-has-given-to-b"];
    let at = |own: &Domain, far: &Domain, second: bool| {
        let [us, them] = if second { [1, 0] } else { [0, 1] };
        let tokens = [tokens[us], tokens[them]];
        Office { pbx: &own.pbx, http: (http[us], http[them]), far: far.pbx.trunk_sip(), tokens, second }.install()
    };
    let installed = [at(&domains.a, &domains.b, false), at(&domains.b, &domains.a, true)];
    let [at_a, at_b] = installed;
    domains.a.adopt(at_a);
    domains.b.adopt(at_b);

    // A number each, and a client: README, "Numbers and clients".
    for (domain, name) in [(&domains.a, "Alice"), (&domains.b, "Bob")] {
        domain.sidecall().entry(&domain.number(1), json!({"name": name}));
    }
    let (alice, bob) = (domains.a.client(1).unwrap(), domains.b.client(1).unwrap());
    let (phone, far_phone) = (domains.a.phone(1).unwrap(), domains.b.phone(1).unwrap());
    for way_back in [false, true] {
        let (told, told_there) = (Since::now(&alice), Since::now(&bob));
        let [from, to] = if way_back { [&far_phone, &phone] } else { [&phone, &far_phone] };
        let called = if way_back { domains.a.number(1) } else { domains.b.number(1) };
        let call = from.call(&called);
        let other = to.answer_next(SOON);
        assert!(other.is_some() && call.wait_answered(SOON), "{called}: {}", domains.log());
        let log = || format!("{}\n{}", domains.a.sidecall().log(), domains.b.sidecall().log());
        let of_bob = told.peer(Some(&domains.b.number(1))).unwrap_or_else(|| panic!("{}", log()));
        let of_alice = told_there.peer(Some(&domains.a.number(1))).unwrap_or_else(|| panic!("{}", log()));
        assert_eq!(write(domains.a.sidecall(), &of_bob, "from Alice"), 202);
        assert_eq!(write(domains.b.sidecall(), &of_alice, "from Bob"), 202);
        assert!(told_there.text("from Alice") && told.text("from Bob"));
        call.hang_up();
        assert!(told.ended(Some(&domains.b.number(1))) && told_there.ended(Some(&domains.a.number(1))));
    }
    let calls = domains.a.sidecall().calls();
    let packet = calls.iter().find(|call| call["route"] == "packet").unwrap_or_else(|| panic!("{calls:#?}"));
    let told = domains.a.sidecall().get(&format!("/v1/calls/{}", packet["call"].as_str().unwrap()));
    let routed: Vec<_> = told["story"].as_array().unwrap().iter().filter(|step| step["step"] == "routed").collect();
    assert!(matches!(routed[..], [only] if only["trunk"] == "sidecall"), "{told:#}");
}

#[test]
fn two_domains_from_the_documentation_alone_asterisk() {
    two_domains(Kind::Asterisk, Kind::Asterisk);
}

#[test]
fn two_domains_from_the_documentation_alone_freeswitch() {
    two_domains(Kind::FreeSwitch, Kind::Asterisk);
}
