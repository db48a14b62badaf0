//! What a PBX of the lab wrote down about its calls (call detail records).

use crate::pbx::conf;
use crate::{Kind, Pbx, wait_until};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cdr {
    pub src: String,
    /// The called number, as the dialplan knew it last.
    pub dst: String,
    pub answered: bool,
    /// Every column but ids and times, as `name="value"`, in the order of the file.
    pub columns: Vec<String>,
}

impl Pbx {
    /// The records so far, in the order in which calls ended.
    pub fn cdrs(&self) -> Vec<Cdr> {
        parse(self.kind(), &conf::read(&self.dir().join("log/cdr-csv/Master.csv")).unwrap_or_default())
    }

    /// Waits until no call is up, and all that have ended are written down.
    pub fn wait_recorded(&self, limit: std::time::Duration) -> bool {
        wait_until(limit, || match self.kind() {
            // A table: a channel's name has a slash, and nothing else.
            Kind::Asterisk => {
                let table = self.console("cdr show active");
                table.contains("Dst. Channel") && !table.contains('/')
            }
            Kind::FreeSwitch => self.console("show channels count").contains("\n0 total."),
        })
    }

    /// Asterisk: waits until it has taken its Local channels out of the calls that are up, if it does: it needs a few packets
    /// of voice for that, and its records show whether the call ended before.
    pub fn wait_joined(&self, limit: std::time::Duration) {
        if self.kind() == Kind::Asterisk {
            wait_until(limit, || !self.console("core show channels concise").contains("Local/"));
        }
    }

    /// Waits until there are `n` (they are written after a call's end), and returns them.
    pub fn wait_for_cdrs(&self, n: usize, limit: std::time::Duration) -> Vec<Cdr> {
        wait_until(limit, || self.cdrs().len() >= n);
        self.cdrs()
    }
}

/// The columns of Asterisk's `cdr_csv`, with `loguniqueid` and `loguserfield` as in its samples. A dash is an id or a
/// time, which is new in every call.
const ASTERISK: &str = "accountcode src dst dcontext clid channel dstchannel lastapp lastdata - answer - - - disposition \
    amaflags - userfield";

/// The columns of FreeSWITCH's template `example`, which is the one that its samples use.
const FREESWITCH: &str =
    "caller_id_name src dst context - answer - - - hangup_cause - - accountcode read_codec write_codec";

fn parse(kind: Kind, text: &str) -> Vec<Cdr> {
    let names = if kind == Kind::Asterisk { ASTERISK } else { FREESWITCH };
    let names: Vec<&str> = names.split(' ').collect();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    reader.records().filter_map(Result::ok).map(|record| row(&names, &record)).collect()
}

fn row(names: &[&str], record: &csv::StringRecord) -> Cdr {
    let field = |name: &str| {
        let at = names.iter().position(|known| *known == name).unwrap_or(usize::MAX);
        record.get(at).unwrap_or_default().trim().to_owned()
    };
    // A column that this lab doesn't know counts as well.
    let all = (0..record.len()).map(|n| (names.get(n).copied().unwrap_or("unknown"), &record[n]));
    let columns = all.filter(|(name, _)| *name != "-").map(|(name, value)| match name {
        "answer" => format!("answered=\"{}\"", if value.is_empty() { "no" } else { "yes" }),
        "channel" | "dstchannel" => format!("{name}=\"{}\"", without_serial(value)),
        _ => format!("{name}=\"{}\"", value.trim()),
    });
    Cdr { src: field("src"), dst: field("dst"), answered: !field("answer").is_empty(), columns: columns.collect() }
}

/// `PJSIP/1000-0000001f` is `PJSIP/1000`, and `Local/1003@phones-00000002;1` is `Local/1003@phones;1`.
fn without_serial(channel: &str) -> String {
    let Some((name, serial)) = channel.rsplit_once('-') else { return channel.to_owned() };
    let (digits, half) = serial.split_at(serial.find(';').unwrap_or(serial.len()));
    let is_serial = digits.len() == 8 && digits.chars().all(|c| c.is_ascii_hexdigit());
    if is_serial { format!("{name}{half}") } else { channel.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_but_ids_and_times_is_read() {
        let asterisk = "\"\",\"1000\",\"1001\",\"from-internal\",\"\"\"Alice\"\" <1000>\",\"PJSIP/1000-0000001f\",\
            \"Local/1001@x-00000002;1\",\"Dial\",\"PJSIP/1001,60\",\"2026-01-01 00:00:00\",\"2026-01-01 00:00:01\",\
            \"2026-01-01 00:00:02\",2,1,\"ANSWERED\",\"DOCUMENTATION\",\"1.1\",\"mine\"\n";
        let freeswitch = "\"Alice\",\"1000\",\"1001\",\"default\",\"2026-01-01 00:00:00\",\"\",\"2026-01-01 00:00:02\",\"2\",\"0\",\
            \"USER_BUSY\",\"uuid\",\"\",\"1000\",\"PCMU\",\"PCMA\",\"more\"\n";
        let [row] = &parse(Kind::Asterisk, asterisk)[..] else { panic!("one row") };
        assert_eq!((row.src.as_str(), row.dst.as_str(), row.answered), ("1000", "1001", true));
        let columns = r#"accountcode="" src="1000" dst="1001" dcontext="from-internal" clid=""Alice" <1000>"
            channel="PJSIP/1000" dstchannel="Local/1001@x;1" lastapp="Dial" lastdata="PJSIP/1001,60" answered="yes"
            disposition="ANSWERED" amaflags="DOCUMENTATION" userfield="mine""#;
        assert_eq!(row.columns.join(" "), columns.split_whitespace().collect::<Vec<_>>().join(" "));
        let [row] = &parse(Kind::FreeSwitch, freeswitch)[..] else { panic!("one row") };
        assert_eq!((row.src.as_str(), row.dst.as_str(), row.answered), ("1000", "1001", false));
        let columns = r#"caller_id_name="Alice" src="1000" dst="1001" context="default" answered="no"
            hangup_cause="USER_BUSY" accountcode="1000" read_codec="PCMU" write_codec="PCMA" unknown="more""#;
        assert_eq!(row.columns.join(" "), columns.split_whitespace().collect::<Vec<_>>().join(" "));
    }
}
