//! What a PBX of the lab wrote down about its calls (call detail records).

use super::{Kind, Pbx, conf, wait_until};

/// One call detail record, in the words that both PBXs have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cdr {
    /// Caller ID number.
    pub src: String,
    /// What was called, as the dialplan knew it last.
    pub dst: String,
    /// Caller ID name.
    pub name: String,
    /// The dialplan's context.
    pub context: String,
    /// `ANSWERED`, `NO ANSWER`, `BUSY` … (Asterisk), or the hang-up cause (FreeSWITCH).
    pub disposition: String,
    /// It was answered.
    pub answered: bool,
    /// Whose account it is on.
    pub account: String,
    /// Asterisk: the dialplan's last application.
    pub application: String,
}

impl Pbx {
    /// The records so far, in the order in which calls ended.
    pub fn cdrs(&self) -> Vec<Cdr> {
        let file = match self {
            Pbx::Asterisk(pbx) => pbx.cdr_file(),
            Pbx::FreeSwitch(pbx) => pbx.cdr_file(),
        };
        parse(self.kind(), &conf::read(&file).unwrap_or_default())
    }

    /// Waits until no call is up, and all that have ended are written down.
    pub fn wait_written(&self, limit: std::time::Duration) -> bool {
        wait_until(limit, || match self.kind() {
            // A table: a channel's name has a slash, and nothing else.
            Kind::Asterisk => {
                let table = self.console("cdr show active");
                table.contains("Dst. Channel") && !table.contains('/')
            }
            Kind::FreeSwitch => self.console("show channels count").contains("\n0 total."),
        })
    }

    /// Waits until there are `n` (they are written after a call's end), and returns them.
    pub fn wait_for_cdrs(&self, n: usize, limit: std::time::Duration) -> Vec<Cdr> {
        wait_until(limit, || self.cdrs().len() >= n);
        self.cdrs()
    }
}

/// Asterisk's `cdr_csv`: accountcode, src, dst, dcontext, clid, channel, dstchannel, lastapp, lastdata, start,
/// answer, end, duration, billsec, disposition, … FreeSWITCH's template `example`: caller_id_name,
/// caller_id_number, destination_number, context, start, answer, end, duration, billsec, cause, uuid, bleg_uuid, accountcode, …
fn parse(kind: Kind, text: &str) -> Vec<Cdr> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let row = |record: csv::StringRecord| {
        let field = |n: usize| record.get(n).unwrap_or_default().trim().to_owned();
        let (src, dst, name, context, answer, cause, account) = match kind {
            Kind::Asterisk => (1, 2, 4, 3, 10, 14, 0),
            Kind::FreeSwitch => (1, 2, 0, 3, 5, 9, 12),
        };
        let name =
            field(name).split_once('"').map_or(field(name), |(_, rest)| rest.split('"').next().unwrap_or("").into());
        Cdr {
            src: field(src),
            dst: field(dst),
            name: name.split('<').next().unwrap_or_default().trim().to_owned(),
            context: field(context),
            disposition: field(cause),
            answered: !field(answer).is_empty(),
            account: field(account),
            application: if kind == Kind::Asterisk { field(7) } else { String::new() },
        }
    };
    reader.records().filter_map(Result::ok).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_become_the_same_rows() {
        let asterisk = "\"\",\"1000\",\"1001\",\"from-internal\",\"\"\"Alice\"\" <1000>\",\"PJSIP/1000-1\",\"PJSIP/1001-2\",\
            \"Dial\",\"PJSIP/1001,60\",\"2026-01-01 00:00:00\",\"2026-01-01 00:00:01\",\"2026-01-01 00:00:02\",2,1,\"ANSWERED\",\
            \"DOCUMENTATION\",\"1.1\",\"\"\n";
        let freeswitch = "\"Alice\",\"1000\",\"1001\",\"default\",\"2026-01-01 00:00:00\",\"\",\"2026-01-01 00:00:02\",\"2\",\"0\",\
            \"USER_BUSY\",\"uuid\",\"\",\"1000\",\"PCMU\",\"PCMU\"\n";
        let row = |context: &str, disposition: &str, answered, account: &str, application: &str| Cdr {
            src: "1000".into(),
            dst: "1001".into(),
            name: "Alice".into(),
            context: context.into(),
            disposition: disposition.into(),
            answered,
            account: account.into(),
            application: application.into(),
        };
        assert_eq!(parse(Kind::Asterisk, asterisk), [row("from-internal", "ANSWERED", true, "", "Dial")]);
        assert_eq!(parse(Kind::FreeSwitch, freeswitch), [row("default", "USER_BUSY", false, "1000", "")]);
    }
}
