//! Two nodes on one PostgreSQL database, an agent that knows both, and each real PBX of this machine. The node that works is
//! killed, or it hangs: the other one takes over. No call waits beyond the hold, and who talks is paired, once.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where; and how long each step took

use std::thread;
use std::time::{Duration, Instant};

use lab::net::ports;
use lab::scenario::calls::{ALICE, DAVE};
use lab::scenario::site::Site;
use lab::{
    Call, ChaosProxy, Habit, Hosted, Kind, PbxConfig, Phone, Postgres, Sidecall, SidecallConfig, arrives, never,
    wait_until,
};
use serde_json::Value;

/// The hold of the snippets, and what a busy machine may add to it.
const LONGEST: Duration = Duration::from_millis(500 + 700);
/// How long anything else may take.
const SOON: Duration = Duration::from_secs(15);

/// Alice, whose phone is on the PBX, and Dave, who is behind a trunk. Hers is a connected client, and his a webhook.
struct Cluster {
    // Dropped in this order.
    alice: Hosted,
    agent: Sidecall,
    /// The one that works at first, and its stand-by.
    nodes: [Sidecall; 2],
    /// The name by which clients know the node.
    public: ChaosProxy,
    site: Site,
    _database: Postgres,
}

/// A call from Alice to Dave.
struct Ringing {
    _phone: Phone,
    call: Call,
    there: Call,
    /// It came by the packet trunk, to which a node sends it. The dialplan's own route is the PSTN.
    decided: bool,
}

impl Cluster {
    fn start(kind: Kind) -> Option<Cluster> {
        let database = Postgres::or_skip()?;
        let site = lab::or_skip(kind, Site::start_with(kind, PbxConfig::default(), &Habit::Wait))?;
        let http = [ports::local(), ports::local()];
        let public = ChaosProxy::start(http[0]).unwrap();
        let config = SidecallConfig {
            nodes: http.to_vec(),
            database: Some(database.url()),
            node_lines: format!("public_url = \"{}\"\n", public.url()),
            ..SidecallConfig::default()
        };
        let start = |http, role| {
            let config = SidecallConfig { http: Some(http), ..config.clone() };
            Sidecall::launch(&site.pbx, &config, role).unwrap()
        };
        let mut first = start(http[0], "node");
        assert!(wait_until(SOON, || first.readiness().0 == 200), "{}", first.log());
        let second = start(http[1], "node");
        assert_eq!(second.readiness().0, 503, "{}", second.log());
        let agent = start(ports::local(), "agent");
        first.wait_until_attached().unwrap_or_else(|e| panic!("{e}\n{}", agent.log()));
        for person in [ALICE, DAVE] {
            first.number(&site.number(person), person.name, person.here);
        }
        site.webhook.bind(&first, &site.number(DAVE));
        let alice = Hosted::behind(&public, &first, &site.number(ALICE)).unwrap();
        Some(Cluster { alice, agent, nodes: [first, second], public, site, _database: database })
    }

    /// Alice calls Dave, until his phone rings. The PBX holds no call longer than the hold.
    fn ring(&self) -> Ringing {
        let phone = Phone::connect(self.site.pbx.sip(), ALICE.dialled).unwrap();
        let begun = Instant::now();
        let call = phone.call(DAVE.dialled);
        let next = |trunk: &Option<Phone>| trunk.as_ref()?.next_call(Duration::ZERO);
        let mut arrived = None;
        wait_until(SOON, || {
            let decided = next(&self.site.packet).map(|there| (there, true));
            arrived = decided.or_else(|| Some((next(&self.site.pstn)?, false)));
            arrived.is_some()
        });
        let held = begun.elapsed();
        let (there, decided) = arrived.unwrap_or_else(|| panic!("no call arrives\n{}", self.log()));
        assert!(held <= LONGEST, "the call was held for {held:?}\n{}", self.log());
        eprintln!("a call reached its phone after {held:?}; decided: {decided}");
        there.ring();
        assert!(call.wait_ringing(SOON), "it doesn't ring\n{}", self.log());
        Ringing { _phone: phone, call, there, decided }
    }

    fn talk(&self) -> Ringing {
        let ringing = self.ring();
        ringing.answer();
        ringing
    }

    /// The first node works no more. Says when that was.
    fn lose(&mut self, how: impl Fn(&mut Sidecall)) -> Instant {
        how(&mut self.nodes[0]);
        Instant::now()
    }

    /// The second node is ready, clients are led to it, and the agent goes over to it.
    fn second_takes_over(&self, lost: Instant) {
        let second = &self.nodes[1];
        let ready = wait_until(SOON, || second.readiness().0 == 200).then(|| lost.elapsed());
        let ready = ready.unwrap_or_else(|| panic!("{:?}\n{}", second.readiness(), self.log()));
        self.public.lead_to(second.http);
        let used = wait_until(SOON, || second.get("/v1/status")["pbxs"][0]["link"] == "up");
        assert!(used, "the agent doesn't use it\n{}", self.log());
        eprintln!("the second node was ready after {ready:?}, and the agent used it after {:?}", lost.elapsed());
    }

    /// The calls in which Alice's client was told of Dave, and his of her: one for each time. What else they were told is there
    /// as a whole.
    fn told(&self) -> [Vec<Value>; 2] {
        let calls = |told: Vec<Value>, other| {
            let number = self.site.number(other);
            let call = |told: Value| if told["peer"]["number"] == *number { told["call"].clone() } else { told };
            sorted(told.into_iter().map(call).collect())
        };
        [calls(self.alice.events("peer"), DAVE), calls(self.site.webhook.accepted("peer"), ALICE)]
    }

    /// The second node knows so many calls, all of them up, and both clients of each were told of each other, once.
    fn all_are_paired_once(&self, calls: usize) {
        let up = || {
            let all = self.nodes[1].calls();
            let talking = all.into_iter().filter(|call| call["phase"] == "talking");
            sorted(talking.map(|call| call["call"].clone()).collect())
        };
        let all = || {
            let up = up();
            up.len() == calls && self.told().iter().all(|told| *told == up)
        };
        let state = || format!("{:#?}, told: {:#?}\n{}", self.nodes[1].calls(), self.told(), self.log());
        let begun = Instant::now();
        assert!(arrives(SOON, all), "{}", state());
        eprintln!("{calls} calls were paired {:?} later", begun.elapsed());
        assert!(never(|| !all()), "{}", state());
        assert_eq!(self.site.webhook.refused(), 0, "a signature was wrong");
    }

    /// Everybody hangs up, and the second node hears of it.
    fn all_end(&self, calls: &[Ringing]) {
        assert!(calls.iter().all(|call| call.call.is_up()), "the voice was touched\n{}", self.log());
        calls.iter().for_each(|call| call.call.hang_up());
        let over = || self.nodes[1].calls().iter().all(|call| call["phase"] == "ended");
        assert!(wait_until(SOON, over), "{:#?}\n{}", self.nodes[1].calls(), self.log());
    }

    fn log(&self) -> String {
        let [first, second] = &self.nodes;
        format!("agent:\n{}\nfirst node:\n{}\nsecond node:\n{}", self.agent.log(), first.log(), second.log())
    }
}

impl Ringing {
    fn answer(&self) {
        self.there.answer();
        assert!(self.call.wait_answered(SOON), "{:?}", self.call.status());
    }
}

fn sorted(mut calls: Vec<Value>) -> Vec<Value> {
    calls.sort_unstable_by_key(Value::to_string);
    calls
}

/// How many calls a node has decided.
fn decided(node: &Sidecall) -> usize {
    node.log().lines().filter(|line| line.contains("INFO decided ")).count()
}

fn a_node_is_killed_while_a_call_rings(kind: Kind) {
    let Some(mut cluster) = Cluster::start(kind) else { return };
    let rings = cluster.ring();
    let killed = cluster.lose(|first| first.child().kill());
    // One more, while no node works.
    let dark = cluster.ring();
    rings.answer();
    dark.answer();
    cluster.second_takes_over(killed);
    cluster.all_are_paired_once(2);
    cluster.all_end(&[rings, dark]);
}

fn a_node_that_hung_changes_nothing_when_it_continues(kind: Kind) {
    let Some(mut cluster) = Cluster::start(kind) else { return };
    let rings = cluster.ring();
    let stopped = cluster.lose(|first| first.child().stop());
    // It finds both when it continues: that this one was answered, and the question about another one.
    rings.answer();
    let dark = cluster.talk();
    cluster.second_takes_over(stopped);
    let next = cluster.talk();
    assert!(next.decided, "{}", cluster.log());
    cluster.all_are_paired_once(3);

    let before = decided(&cluster.nodes[0]);
    cluster.nodes[0].child().cont();
    let knows = || cluster.nodes[0].log().contains("another process has taken over the database");
    assert!(wait_until(SOON, knows), "{}", cluster.log());
    let last = cluster.talk();
    cluster.all_are_paired_once(4);
    assert!(last.decided && cluster.nodes[0].readiness().0 != 200, "{}", cluster.log());
    assert_eq!(decided(&cluster.nodes[0]), before, "{}", cluster.log());
    cluster.all_end(&[rings, dark, next, last]);
}

fn an_idle_node_is_killed(kind: Kind) {
    let Some(mut cluster) = Cluster::start(kind) else { return };
    let killed = cluster.lose(|first| first.child().kill());
    let dark = thread::scope(|scope| {
        scope.spawn(|| cluster.second_takes_over(killed));
        cluster.talk()
    });
    let next = cluster.talk();
    assert!(next.decided, "{}", cluster.log());
    cluster.all_are_paired_once(2);
    cluster.all_end(&[dark, next]);
}

lab::on_both_pbxs! {
    a_node_is_killed_while_a_call_rings,
    a_node_that_hung_changes_nothing_when_it_continues,
    an_idle_node_is_killed,
}
