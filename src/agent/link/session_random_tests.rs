//! Whatever a session is told, in whatever order, it keeps some promises.

use proptest::prelude::*;

use super::*;

/// Any input, also in a phase that doesn't expect it. Those that end a session are rare.
fn input() -> impl Strategy<Value = LinkInput> {
    (0..100u8, any::<bool>(), 0..3usize).prop_map(|(kind, flag, n)| match kind {
        0..20 => LinkInput::Due,
        20..35 => snapshot(),
        35..42 => LinkInput::Suspicion,
        42..45 => LinkInput::NodeChanged,
        45..60 => LinkInput::Tick { followed: n, doubts: flag },
        60..75 => checked(if flag { US } else { "them" }),
        75..85 => LinkInput::Claims(vec![claim("a"); n]),
        85..92 => no_snapshot(false),
        92..96 => attached(flag.then_some("them")),
        96 => LinkInput::Shutdown,
        97 => [LinkInput::EventsEnded, LinkInput::CommandsClosed].into_iter().nth(n % 2).unwrap(),
        98 => no_snapshot(true),
        _ => LinkInput::Checked(Err("silent".to_owned())),
    })
}

proptest! {
    #[test]
    fn whatever_happens_one_snapshot_at_a_time_is_taken_and_none_in_the_second_after(
        begins in any::<bool>(),
        inputs in proptest::collection::vec((prop_oneof![0..50u64, 0..2_000u64], input()), 0..80),
    ) {
        let mut test = if begins { Test::attached(true) } else { Test::start(true) };
        let (mut under_way, mut last) = (false, None);
        let (mut checking, mut over) = (false, false);
        for (ms, input) in inputs {
            test.now += MS(ms);
            let answered = under_way && matches!(input, LinkInput::Snapshot(_));
            let shutdown = matches!(input, LinkInput::Shutdown);
            under_way &= !answered;
            checking &= !matches!(input, LinkInput::Checked(_));
            let was_over = over;
            let actions = test.tell(input);
            prop_assert!(!was_over || actions.is_empty(), "{actions:?}");
            for action in &actions {
                match action {
                    TakeSnapshot { .. } => {
                        prop_assert!(!under_way, "two snapshots at once");
                        let rest = last.map(|last| test.now - last);
                        prop_assert!(rest.is_none_or(|rest| rest >= MS(1_000)), "{rest:?} after the last one");
                        (under_way, last) = (true, Some(test.now));
                    }
                    Check => {
                        prop_assert!(!checking, "two checks at once");
                        checking = true;
                    }
                    // Events are read again as often as they are held back.
                    Reconcile { .. } | Release(_) | ReleaseUnread { .. } => prop_assert!(answered),
                    SayGoodbye => prop_assert!(shutdown),
                    End(end) => {
                        over = true;
                        prop_assert_eq!(shutdown, *end == SessionEnd::Shutdown);
                    }
                    _ => {}
                }
            }
            let reads = actions.iter().filter(|action| matches!(action, Release(_) | ReleaseUnread { .. })).count();
            prop_assert_eq!(reads, usize::from(answered && !over), "events must be read once after each snapshot");
            // What is wanted comes soon, unless something is under way.
            let wake = test.session.wakes_at();
            prop_assert!(wake.is_none_or(|at| !over && !under_way && at <= test.now + MS(1_000)), "{wake:?}");
        }
    }
}
