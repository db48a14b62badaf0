//! Where the four people of [`People`] are: on one PBX, or three of them there and the caller in another
//! organisation.

use serde_json::json;

use crate::scenario::domains::INNER;
use crate::scenario::people::{NAMES, People, Setting};
use crate::sidecall::domain;
use crate::{Domain, Domains, Hosted, Kind, Pbx, PbxConfig, Phone, Result, Sidecall, SidecallConfig};

/// The people, and what is around them.
#[derive(Debug)]
pub struct Office {
    // Dropped in this order.
    /// Who is there.
    pub people: People,
    /// PBXs, agents and nodes.
    pub house: House,
}

/// PBXs, agents and nodes.
#[derive(Debug)]
pub enum House {
    /// One of each.
    One(Box<(Sidecall, Pbx)>),
    /// Those of two organisations.
    Two(Box<Domains>),
}

impl Office {
    /// Opens one on one PBX.
    pub fn open(kind: Kind) -> Result<Office> {
        let pbx = Pbx::start_with(kind, with_feature_codes(PbxConfig::patient()))?;
        let sidecall = Sidecall::start_with(&pbx, &config())?;
        let number = |extension: &str| format!("{extension};phone-context={}", domain(&pbx));
        let people = on_one(&pbx, &sidecall, number, |extension| Phone::register(pbx.sip(), extension))?;
        Ok(Office { people, house: House::One(Box::new((sidecall, pbx))) })
    }

    /// Opens one where the three called people are on a PBX of this kind, and what else there is on `other`. From outside,
    /// every FreeSWITCH is in `direct` mode.
    pub fn open_in(setting: Setting, kind: Kind, other: Kind) -> Result<Office> {
        let (b, c) = match setting {
            Setting::OnePbx => return Office::open(kind),
            Setting::FromOutside => (kind, None),
            Setting::Behind => (other, Some(kind)),
        };
        let mut domains = Domains::start_with(other, b, c, |config| match setting {
            Setting::FromOutside => with_feature_codes(PbxConfig::direct(config)),
            _ => with_feature_codes(config),
        })?;
        domains.a.start_sidecall(&config())?;
        match c {
            Some(_) => domains.start_b_with_inner(&config())?,
            None => domains.b.start_sidecall(&config())?,
        }
        let mut people = Vec::new();
        for (n, name) in (0..).zip(NAMES) {
            let (at, node) = match (n, &domains.c) {
                (0, _) => (&domains.a, domains.a.sidecall()),
                (_, None) => (&domains.b, domains.b.sidecall()),
                (_, Some(inner)) => (inner, domains.b.sidecall()),
            };
            let home = if n > 0 && c.is_some() { INNER } else { crate::sidecall::PBX };
            node.entry(&at.number(n), json!({"name": name, "pbx": home}));
            people.push((at.number(n), Hosted::start(node, &at.number(n))?, at.phone(n)?));
        }
        let people = People::new(setting, &called(&domains).pbx, people);
        Ok(Office { people, house: House::Two(Box::new(domains)) })
    }

    /// What everything logged, for a test that fails.
    pub fn log(&self) -> String {
        match &self.house {
            House::One(one) => format!("{:#?}\n{}\n{}", one.0.calls(), one.0.log(), one.1.log()),
            House::Two(domains) => {
                let [at_a, at_b] = [&domains.a, &domains.b].map(|domain| domain.sidecall().calls());
                format!("A: {at_a:#?}\nB: {at_b:#?}\n{}", domains.log())
            }
        }
    }
}

impl House {
    /// The PBX where calls come to somebody else.
    pub fn pbx(&self) -> &Pbx {
        match self {
            House::One(one) => &one.1,
            House::Two(domains) => &called(domains).pbx,
        }
    }

    /// Agent and node of the three who are called.
    pub fn sidecall(&mut self) -> &mut Sidecall {
        match self {
            House::One(one) => &mut one.0,
            House::Two(domains) => domains.b.sidecall_mut(),
        }
    }
}

/// The four on one PBX. `number` and `phone` are those of an extension, 1000 to 1003.
pub fn on_one(
    pbx: &Pbx,
    sidecall: &Sidecall,
    number: impl Fn(&str) -> String,
    phone: impl Fn(&str) -> Result<Phone>,
) -> Result<People> {
    let mut people = Vec::new();
    for (n, name) in (0..).zip(NAMES) {
        let extension = pbx.config().plan.extension(n);
        let number = number(&extension);
        sidecall.number(&number, name, true);
        people.push((number.clone(), Hosted::start(sidecall, &number)?, phone(&extension)?));
    }
    Ok(People::new(Setting::OnePbx, pbx, people))
}

fn called(domains: &Domains) -> &Domain {
    domains.c.as_ref().unwrap_or(&domains.b)
}

fn with_feature_codes(config: PbxConfig) -> PbxConfig {
    PbxConfig { feature_codes: true, ..config }
}

/// A conference is full soon.
fn config() -> SidecallConfig {
    SidecallConfig { node_lines: "conference_size = 3\n".into(), ..SidecallConfig::default() }
}
