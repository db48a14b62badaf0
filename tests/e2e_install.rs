//! Two organisations set up as docs/INSTALL.md tells an administrator: `install.sh` beside a PBX
//! that is there, and the blocks of the page in `sidecall.toml`. Nothing else is edited.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::net::SocketAddr;
use std::path::Path;

use lab::net::ports;
use lab::pbx::conf;
use lab::pbx::installed;
use lab::pbx::machine::{Machine, NASTY, is_root, xml};
use lab::scenario::domains::{Domain, Domains};
use lab::scenario::report::{SOON, Since, write};
use lab::sidecall::{Sidecall, binary};
use lab::{Changes, Hosted, Installed, Kind, PSTN, Pbx, PbxConfig, Phone};
use serde_json::{Value, json};

/// The page's blocks of configuration.
fn blocks() -> Vec<String> {
    let page = conf::project_file("docs/INSTALL.md").unwrap();
    let fenced = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
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
    remote: SocketAddr,
    /// What we show the other node, and what it shows us.
    tokens: [&'a str; 2],
    second: bool,
}

impl Office<'_> {
    fn install(&self) -> Sidecall {
        let far = self.remote.to_string();
        let contexts: &[&str] = match self.pbx.kind() {
            Kind::Asterisk => &["--phones", "from-internal", "--trunks", "from-trunk"],
            Kind::FreeSwitch => &[],
        };
        installed::without_packet_trunk(self.pbx).unwrap();
        let installed = Installed::beside(self.pbx, &[&["--trunk", &far], contexts].concat()).unwrap();
        if self.pbx.kind() == Kind::Asterisk {
            // The last step is the administrator's.
            installed::lead_calls(self.pbx, &[("from-internal", "sidecall-phones"), ("from-trunk", "sidecall-trunks")])
                .unwrap();
        }
        installed::let_calls_out(self.pbx).unwrap();
        installed::reload(self.pbx);
        let etc = installed.etc();
        let other = if self.second { "a" } else { "b" };
        for (file, token) in [("to", self.tokens[0]), ("from", self.tokens[1])] {
            conf::write(&etc.join(format!("{file}-{other}.token")), token).unwrap();
        }
        self.configure(&etc.join("sidecall.toml"));
        installed.start(self.http.0).unwrap()
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
        conf::write(file, &(conf::read(file).unwrap() + "\n" + &map)).unwrap();
    }
}

fn two_domains(a: Kind, b: Kind) {
    let bare = |config| PbxConfig { snippets: false, ..config };
    let missing = [a, b].into_iter().find(|kind| kind.find().is_err()).unwrap_or(a);
    let Some(mut domains) = lab::or_skip(missing, Domains::start_with(a, b, None, bare)) else { return };
    let http = [(); 2].map(|()| ports::local());
    let tokens = ["token-that-b-has-given-to-a", "token-that-a-has-given-to-b"];
    let at = |own: &Domain, far: &Domain, second: bool| {
        let [us, them] = if second { [1, 0] } else { [0, 1] };
        let tokens = [tokens[us], tokens[them]];
        Office { pbx: &own.pbx, http: (http[us], http[them]), remote: far.pbx.trunk_sip(), tokens, second }.install()
    };
    let installed = [at(&domains.a, &domains.b, false), at(&domains.b, &domains.a, true)];
    let [at_a, at_b] = installed;
    (domains.a.running, domains.b.running) = (Some(at_a), Some(at_b));

    // A number each, and a client: docs/INSTALL.md, "Numbers" and "Clients".
    let [alice, bob] = [(&domains.a, "Alice"), (&domains.b, "Bob")].map(|(domain, name)| {
        domain.sidecall().entry(&domain.number(1), json!({"name": name}));
        Hosted::start(domain.sidecall(), &domain.number(1)).unwrap()
    });
    let (phone, far_phone) = (domains.a.phone(1).unwrap(), domains.b.phone(1).unwrap());
    for way_back in [false, true] {
        let (told, told_there) = (Since::now(&alice), Since::now(&bob));
        let [from, to] = if way_back { [&far_phone, &phone] } else { [&phone, &far_phone] };
        let called = if way_back { domains.a.number(1) } else { domains.b.number(1) };
        let call = from.call(&called);
        let other = to.answer_next(SOON);
        let there = other.unwrap_or_else(|| panic!("{called} does not ring: {}", domains.log()));
        assert!(call.wait_answered(SOON), "{called}: {}", domains.log());
        assert!(call.wait_hears(to, SOON) && there.wait_hears(from, SOON), "{called}: {}", domains.log());
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
    let routed: Vec<_> = told["timeline"].as_array().unwrap().iter().filter(|step| step["step"] == "routed").collect();
    assert!(matches!(routed[..], [only] if only["trunk"] == "sidecall"), "{told:#}");
}

#[test]
fn two_domains_from_the_documentation_alone_asterisk() {
    two_domains(Kind::Asterisk, Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn two_domains_from_the_documentation_alone_freeswitch() {
    two_domains(Kind::FreeSwitch, Kind::Asterisk);
}

/// What a PBX makes of trunks by name and by IPv6 address, as `install.sh` writes them.
fn trunks_by_name_and_by_ipv6_are_known(kind: Kind) {
    let config = PbxConfig { snippets: false, ..PbxConfig::default() };
    let Some(pbx) = lab::or_skip(kind, Pbx::start_with(kind, config)) else { return };
    let trunks = ["--trunk", "named=localhost:5999", "--trunk", "six=[::1]:5998"];
    let _made = Installed::beside(&pbx, &trunks).unwrap();
    installed::reload(&pbx);
    let says = |command: &str, what: &str| {
        let said = lab::wait_until(SOON, || pbx.console(command).contains(what));
        assert!(said, "{command}: no {what} in {}\n{}", pbx.console(command), pbx.log());
    };
    match kind {
        Kind::Asterisk => {
            says("pjsip show aor named", "sip:localhost:5999");
            says("pjsip show identify named", "127.0.0.1");
            says("pjsip show aor six", "sip:[::1]:5998");
            says("pjsip show identify six", "::1");
        }
        Kind::FreeSwitch => {
            // The lab has no profile of IPv6, so `six` is no gateway here.
            says("sofia status gateway named", "localhost:5999");
            for (from, believed) in [("127.0.0.1", "true"), ("::1", "true"), ("127.0.0.2", "false"), ("::2", "false")] {
                says(&format!("expand acl {from} ${{sidecall_trusted}}"), believed);
            }
        }
    }
}

/// The second context of phones, with one phone, and that of trunks, with one that logs in.
const CONTEXTS: [(&str, &str); 2] = [("branch", "1003"), ("carrier", "1009")];

/// What an administrator with these contexts has.
fn several_contexts(kind: Kind) -> Changes {
    CONTEXTS.into_iter().fold(Changes::default(), |changes, (context, number)| match kind {
        Kind::Asterisk => {
            let endpoint = |context: &str| format!("[{number}]\ntype=endpoint\ncontext={context}\n");
            changes.add("extensions.conf", format!("[{context}]\nexten => _1XXX,1,Dial(PJSIP/${{EXTEN}},60)\n")).edit(
                "pjsip.conf",
                endpoint("from-internal"),
                endpoint(context),
            )
        }
        Kind::FreeSwitch => {
            let set = |context: &str| format!("name=\"user_context\" value=\"{context}\"");
            let plan = format!(
                "<include>\n<context name=\"{context}\">\n\
                 <extension name=\"phones\"><condition field=\"destination_number\" expression=\"^(1\\d{{3}})$\">\n\
                 <action application=\"bridge\" data=\"user/$1@${{domain_name}}\"/>\n\
                 </condition></extension>\n</context>\n</include>\n"
            );
            changes.add(&format!("dialplan/{context}.xml"), plan).edit(
                &format!("directory/default/{number}.xml"),
                set("default"),
                set(context),
            )
        }
    })
}

/// Calls from each context are announced, from the side that it is of, and both people are heard.
fn calls_of_several_contexts_are_announced(kind: Kind) {
    let config = PbxConfig { snippets: false, changes: several_contexts(kind), ..PbxConfig::patient() };
    let Some(pbx) = lab::or_skip(kind, Pbx::start_with(kind, config)) else { return };
    let [first, last] = match kind {
        Kind::Asterisk => ["from-internal", "from-trunk"],
        Kind::FreeSwitch => ["default", "public"],
    };
    let [(branch, _), (carrier, _)] = CONTEXTS;
    let options = ["--phones", first, "--phones", branch, "--trunks", last, "--trunks", carrier];
    let made = Installed::beside(&pbx, &options).unwrap();
    if kind == Kind::Asterisk {
        let [phones, trunks] = [[first, branch], [last, carrier]];
        let led: Vec<_> = phones
            .map(|own| (own, format!("sidecall-phones-{own}")))
            .into_iter()
            .chain(trunks.map(|own| (own, format!("sidecall-trunks-{own}"))))
            .collect();
        let led: Vec<_> = led.iter().map(|(own, front)| (*own, front.as_str())).collect();
        installed::lead_calls(&pbx, &led).unwrap();
    }
    installed::reload(&pbx);
    let sidecall = made.start(ports::local()).unwrap();
    let phone = |number: &str| Phone::register(pbx.sip(), number).unwrap();
    let outside = Phone::behind_trunk(pbx.trunk_sip(), "+12125550103", PSTN).unwrap();
    for (caller, dialled, called, side) in [
        (phone("1000"), "1001", phone("1001"), "originating"),
        (phone("1003"), "1002", phone("1002"), "originating"),
        (outside, "+12125551004", phone("1004"), "terminating"),
        (phone("1009"), "1005", phone("1005"), "terminating"),
    ] {
        let call = caller.call(dialled);
        let there = called.answer_next(SOON).unwrap_or_else(|| panic!("{dialled} does not ring: {}", pbx.log()));
        assert!(call.wait_answered(SOON), "{dialled}: {}", pbx.log());
        assert!(call.wait_hears(&called, SOON) && there.wait_hears(&caller, SOON), "{dialled}: {}", pbx.log());
        call.hang_up();
        assert!(there.wait_ended(SOON));
        let announced = || {
            let to = |call: &Value| call["called"].as_str().is_some_and(|called| called.starts_with(dialled));
            sidecall.calls().iter().any(|call| to(call) && call["side"] == side)
        };
        assert!(lab::wait_until(SOON, announced), "{dialled}: {:#?}\n{}", sidecall.calls(), pbx.log());
    }
}

lab::on_both_pbxs! {
    trunks_by_name_and_by_ipv6_are_known,
    calls_of_several_contexts_are_announced,
}

/// The running FreeSWITCH gets a password of any characters from `install.sh`, which no command line shows, and the agent
/// logs in with it.
#[lab::needs_freeswitch]
#[test]
fn a_running_freeswitch_takes_a_password_of_any_characters() {
    if !is_root() {
        return eprintln!("skipped: only root has a machine of its own");
    }
    let config = PbxConfig { snippets: false, ..PbxConfig::default() };
    let Some(pbx) = lab::or_skip(Kind::FreeSwitch, Pbx::start_with(Kind::FreeSwitch, config)) else { return };
    let conf_dir = pbx.etc();
    // The well-known one is replaced, by the one that is in /etc/sidecall already.
    conf::replace(&conf_dir.join("autoload_configs/event_socket.conf.xml"), pbx.event_secret(), "ClueCon").unwrap();
    let _ = pbx.console("bgapi reload mod_event_socket");
    assert!(lab::wait_until(SOON, || pbx.console("status").is_empty()), "the password of the lab still opens");
    let mut machine = Machine::make();
    let etc = machine.path("etc/sidecall");
    conf::write(&etc.join("freeswitch.password"), NASTY).unwrap();
    conf::write(&etc.join("admin.token"), lab::sidecall::ADMIN).unwrap();
    let _ = machine.record();
    let options = ["--pbx", "freeswitch", "--pbx-conf", conf_dir.to_str().unwrap(), "--binary"];
    let program = binary();
    let (well, said) = machine.install(&[&options[..], &[program.to_str().unwrap()]].concat());
    assert!(well && said.contains("+OK [Success]") && said.contains("reload mod_event_socket"), "{said}");
    assert!(!said.contains("doesn't answer") && !said.contains("take the new password"), "{said}");

    let dir = tempfile::Builder::new().prefix("sidecall-run-").tempdir().unwrap();
    conf::copy_dir(&etc, dir.path()).unwrap();
    let http = ports::local();
    let file = dir.path().join("sidecall.toml");
    conf::replace(&file, "127.0.0.1:8600", &http.to_string()).unwrap();
    conf::replace(&file, "/var/lib/sidecall/", "").unwrap();
    drop(Sidecall::in_folder(dir, http).unwrap());

    let (well, said) = machine.install(&["--uninstall"]);
    assert!(well && said.contains("+OK [Success]"), "{said}");
    let commands = machine.record().command_lines();
    assert!(commands.contains("/mv ") && commands.contains("/awk "), "{commands}");
    for secret in [NASTY, &xml(NASTY), "ClueCon"] {
        assert!(!commands.contains(secret) && !said.contains(secret), "{secret}: {said}\n{commands}");
    }
}

/// The manager's user has a secret of any characters; `install.sh` takes it over, and the agent logs in with it.
#[test]
fn a_manager_secret_of_any_characters_is_taken_over() {
    let config = PbxConfig { snippets: false, ..PbxConfig::default() };
    let Some(pbx) = lab::or_skip(Kind::Asterisk, Pbx::start_with(Kind::Asterisk, config)) else { return };
    let (file, secret) = (pbx.etc().join("manager.conf"), NASTY.replace(';', "\\;"));
    conf::replace(&file, &format!("secret={}", pbx.event_secret()), &format!("secret={secret}")).unwrap();
    installed::reload(&pbx);
    let installed = Installed::beside(&pbx, &[]).unwrap();
    drop(installed.start(ports::local()).unwrap());
    installed.take_back();
}
