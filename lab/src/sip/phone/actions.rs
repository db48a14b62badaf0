//! What a phone does: registers, calls, rings, answers, refuses, hangs up.

use super::dialog::{Dialog, Draft, Phase};
use super::line::{Line, Party, State};
use super::media::Media;
use super::sdp::{self, Codec, Direction};

impl State {
    pub(super) fn register(&mut self, line: &Line) {
        let Party { number, domain, .. } = &line.party;
        let own = format!("<sip:{number}@{domain}>");
        self.send(
            line,
            Draft {
                method: "REGISTER",
                uri: format!("sip:{domain}"),
                from: format!("{own};tag={:08x}", rand::random::<u32>()),
                to: own,
                call_id: format!("{:016x}@{}", rand::random::<u64>(), line.party.local.ip()),
                cseq: 1,
                asked: 1,
                headers: vec![("Expires".into(), "3600".into())],
                body: String::new(),
                dialog: None,
            },
        );
    }

    /// Calls. The id of the new call.
    pub(super) fn invite(&mut self, line: &Line, to: &str, display: &str, headers: Vec<(String, String)>) -> usize {
        let Party { number, domain, local, tone, .. } = &line.party;
        let media = Media::open(local.ip(), *tone).expect("a port for RTP");
        let name = if display.is_empty() { String::new() } else { format!("\"{display}\" ") };
        let id = self.dialogs.len();
        let draft = Draft {
            method: "INVITE",
            uri: format!("sip:{to}@{domain}"),
            from: format!("{name}<sip:{number}@{domain}>;tag={:08x}", rand::random::<u32>()),
            to: format!("<sip:{to}@{domain}>"),
            call_id: format!("{:016x}@{}", rand::random::<u64>(), local.ip()),
            cseq: 1,
            asked: 1,
            headers,
            body: sdp::write(media.addr, 1, Direction::SendRecv, Codec::Pcmu),
            dialog: Some(id),
        };
        media.speak(false);
        let branch = self.send(line, draft.clone());
        let invite = self.messages.last().expect("the INVITE").clone();
        let mut dialog = Dialog::new(invite, draft.from.clone(), draft.to.clone(), media);
        dialog.target.clone_from(&draft.uri);
        dialog.cseq = 1;
        dialog.out = Some((draft, branch));
        self.dialogs.push(dialog);
        id
    }

    /// A request within a call; its CSeq, under which the outcome will stand.
    pub(super) fn ask(
        &mut self,
        line: &Line,
        id: usize,
        method: &'static str,
        headers: Vec<(String, String)>,
        body: String,
    ) -> u32 {
        let draft = self.dialogs[id].draft(id, method, headers, body);
        let asked = draft.asked;
        self.send(line, draft);
        asked
    }

    /// Ends a call whatever its phase: BYE, CANCEL, or a refusal.
    pub(super) fn hang_up(&mut self, line: &Line, id: usize) {
        let dialog = &mut self.dialogs[id];
        match (dialog.phase, dialog.incoming) {
            (Phase::Over, _) => {}
            (Phase::Up, _) => {
                self.ask(line, id, "BYE", Vec::new(), String::new());
                self.dialogs[id].end(None);
            }
            (_, true) => self.finish(line, id, "480 Temporarily Unavailable", &[]),
            (_, false) => {
                // It is over when INVITE gets its 487.
                let invite = dialog.out.clone().filter(|_| !dialog.cancelled);
                dialog.cancelled = true;
                let Some((invite, branch)) = invite else { return };
                let cancel = Draft { method: "CANCEL", headers: Vec::new(), body: String::new(), ..invite };
                let text = cancel.text(line.party.local, &line.party.number, &branch);
                self.put(line, line.party.pbx, &text);
                self.keep(format!("{branch} CANCEL"), text, Some(Draft { asked: 0, ..cancel }));
            }
        }
    }

    /// A response to the INVITE of an incoming call.
    pub(super) fn respond(&mut self, line: &Line, id: usize, status: &str, headers: &[(&str, String)], body: &str) {
        let dialog = &self.dialogs[id];
        let (invite, to) = (dialog.invite.clone(), dialog.local.clone());
        self.reply(line, &invite, Some(&to), status, headers, body);
    }

    /// Refuses an incoming call.
    pub(super) fn finish(&mut self, line: &Line, id: usize, status: &str, headers: &[(&str, String)]) {
        if self.dialogs[id].phase >= Phase::Up {
            return;
        }
        self.respond(line, id, status, headers, "");
        self.dialogs[id].status = status.get(..3).and_then(|code| code.parse().ok());
        self.dialogs[id].end(None);
    }

    pub(super) fn ring(&mut self, line: &Line, id: usize) {
        if self.dialogs[id].phase <= Phase::Ringing {
            self.dialogs[id].phase = Phase::Ringing;
            self.respond(line, id, "180 Ringing", &[], "");
        }
    }

    /// 183 with media: whoever calls hears this phone before it answers.
    pub(super) fn speak_early(&mut self, line: &Line, id: usize) {
        let dialog = &mut self.dialogs[id];
        if dialog.phase > Phase::Ringing {
            return;
        }
        dialog.phase = Phase::Ringing;
        let offer = dialog.invite.body.clone();
        dialog.take_media(&offer);
        dialog.media.speak(true);
        let body = dialog.description(&offer);
        self.respond(line, id, "183 Session Progress", &[], &body);
    }

    pub(super) fn answer(&mut self, line: &Line, id: usize) {
        let dialog = &mut self.dialogs[id];
        if dialog.phase >= Phase::Up {
            return;
        }
        dialog.phase = Phase::Up;
        dialog.status = Some(200);
        let offer = dialog.invite.body.clone();
        dialog.take_media(&offer);
        let body = dialog.description(&offer);
        self.respond(line, id, "200 OK", &[], &body);
    }
}
