use super::*;
use crate::fence::TreeVerb::*;
use crate::fence::{CommitName, CommitSource};
use rstest::rstest;
use stopgate_core::session::Harness;

fn resource(text: &str) -> Resource {
    text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn party(name: &str) -> Party {
    let key = SessionKey::new(Harness::Codex, &format!("id-of-{name}")).unwrap_or_else(|| panic!("{name}"));
    Party { key, name: name.to_owned() }
}

fn lease(name: &str, of: &str, origin: LeaseOrigin) -> ForeignLease {
    let resource = resource(of);
    ForeignLease { holder: party(name), resource, mode: LeaseMode::Write, origin, since_ms: 1_000 }
}

fn declared(name: &str, of: &str) -> ForeignLease {
    lease(name, of, LeaseOrigin::Declared)
}

fn observed(name: &str, of: &str) -> ForeignLease {
    lease(name, of, LeaseOrigin::Observed)
}

fn reading(name: &str, of: &str) -> ForeignLease {
    ForeignLease { mode: LeaseMode::Read, ..declared(name, of) }
}

fn of_write(path: &str, leases: Vec<ForeignLease>, observed_denies: bool) -> FenceDecision {
    let target = WriteTarget { path: PathBuf::from("/w").join(path), is_subtree: path.ends_with('/'), pattern: None };
    let write =
        WriteFacts { target, tree: "/w".into(), resource: Some(resource(path)), others: vec![party("amber")], leases };
    decide(&FenceFacts { at_ms: 2_000, observed_denies, writes: vec![write], acts: vec![] })
}

#[rstest]
#[case::nobody(vec![], FenceVerdict::Allow)]
#[case::elsewhere(vec![declared("amber", "src/b.rs")], FenceVerdict::Allow)]
#[case::its_neighbour_by_letters(vec![declared("amber", "src/a.rsx")], FenceVerdict::Allow)]
#[case::a_name_is_no_path(vec![declared("amber", "@merge:main")], FenceVerdict::Allow)]
#[case::declared(vec![declared("amber", "src/a.rs")], FenceVerdict::Deny)]
#[case::declared_above(vec![declared("amber", "src/")], FenceVerdict::Deny)]
#[case::declared_tree(vec![declared("amber", "/")], FenceVerdict::Deny)]
#[case::a_write_disturbs_a_reader(vec![reading("amber", "src/")], FenceVerdict::Deny)]
#[case::observed(vec![observed("amber", "src/a.rs")], FenceVerdict::Note)]
#[case::both(vec![observed("birch", "src/a.rs"), declared("amber", "src/a.rs")], FenceVerdict::Deny)]
fn a_write_is_weighed_by_the_leases_of_others(#[case] leases: Vec<ForeignLease>, #[case] expected: FenceVerdict) {
    let decision = of_write("src/a.rs", leases, false);
    assert_eq!(decision.verdict, expected, "{decision:?}");
    assert_eq!(decision.grounds.is_empty(), expected == FenceVerdict::Allow);
}

#[test]
fn what_is_seen_is_refused_where_that_is_configured() {
    let seen = |denies| of_write("src/a.rs", vec![observed("amber", "src/a.rs")], denies).verdict;
    assert_eq!((seen(false), seen(true)), (FenceVerdict::Note, FenceVerdict::Deny));
}

#[test]
fn a_directory_that_goes_takes_what_is_leased_in_it() {
    assert_eq!(of_write("src/", vec![declared("amber", "src/deep/a.rs")], false).verdict, FenceVerdict::Deny);
}

#[test]
fn a_session_is_told_of_once_and_what_weighs_most_comes_first() {
    let leases = vec![observed("amber", "src/a.rs"), observed("birch", "src/a.rs"), declared("amber", "src/")];
    let decision = of_write("src/a.rs", leases, false);
    let kinds: Vec<_> = decision.grounds.iter().map(|ground| (ground.verdict(), ground.against().unwrap())).collect();
    assert_eq!(kinds, [(FenceVerdict::Deny, &party("amber")), (FenceVerdict::Note, &party("birch"))]);
}

fn changed(path: &str, change: Change) -> ChangedFile {
    ChangedFile { path: Some(resource(path)), change, is_below: true }
}

fn tree_act(verb: TreeVerb) -> TreeAct {
    TreeAct::plain(verb, "/w")
}

fn act(verb: TreeVerb, others: Vec<Party>, leases: Vec<ForeignLease>, work: WorkSeen) -> ActFacts {
    let (is_elsewhere, others_at_work) = (false, vec![]);
    let (act, tree) = (tree_act(verb), "/w".into());
    ActFacts { act, tree, others, leases, work, names: vec![], is_elsewhere, others_at_work, entry: None }
}

fn of_act(facts: ActFacts) -> FenceDecision {
    decide(&FenceFacts { at_ms: 2_000, observed_denies: false, writes: vec![], acts: vec![facts] })
}

/// What becomes of `verb` with `amber` in the tree, who holds `leases`, and `files` changed of which `own` are the caller's.
fn beside_amber(verb: TreeVerb, leases: &[ForeignLease], own: &[Resource], files: &[ChangedFile]) -> FenceDecision {
    let work = WorkSeen::Known(attribute(&tree_act(verb), files, leases, own));
    of_act(act(verb, vec![party("amber")], leases.to_vec(), work))
}

const ALL: [TreeVerb; 11] =
    [Stash, StashTake, StashDrop, ResetHard, Switch, RestoreAll, Clean, Merge, CommitAll, AddAll, WorktreeRemove];

#[test]
fn work_of_another_is_touched_by_what_touches_its_kind_of_change() {
    use Change::{Edited, Staged, Untracked};
    let denied = |verb, change| {
        beside_amber(verb, &[observed("amber", "src/a.rs")], &[], &[changed("src/a.rs", change)]).verdict
    };
    let (yes, no) = (FenceVerdict::Deny, FenceVerdict::Allow);
    for (verb, expected) in [
        (Stash, [yes, yes, no]),
        (StashTake, [no, no, no]),
        (StashDrop, [no, no, no]),
        (ResetHard, [yes, yes, no]),
        (Switch, [yes, yes, no]),
        (RestoreAll, [yes, no, no]),
        (Clean, [no, no, yes]),
        (Merge, [yes, yes, no]),
        (CommitAll, [yes, yes, no]),
        (AddAll, [yes, no, yes]),
        (WorktreeRemove, [yes, yes, yes]),
    ] {
        let mut found = [Edited, Staged, Untracked].map(|change| denied(verb, change));
        if verb == WorktreeRemove {
            found = found.map(|verdict| verdict.max(FenceVerdict::Note));
        }
        assert_eq!(found, expected, "{verb:?}");
    }
}

#[test]
fn own_work_and_a_clean_tree_are_let_go() {
    for verb in ALL.into_iter().filter(|verb| *verb != WorktreeRemove) {
        let own = [changed("src/a.rs", Change::Edited), changed("new", Change::Untracked)];
        let mine = [resource("src/"), resource("new")];
        let decision = beside_amber(verb, &[observed("amber", "src/other.rs")], &mine, &own);
        assert_eq!((decision.verdict, decision.grounds), (FenceVerdict::Allow, vec![]), "{verb:?}");
        assert_eq!(beside_amber(verb, &[observed("amber", "src/other.rs")], &[], &[]).verdict, FenceVerdict::Allow);
    }
}

#[test]
fn work_of_nobody_known_is_told_beside_others_and_never_refused() {
    for verb in ALL {
        let files = [changed("src/a.rs", Change::Edited), changed("x", Change::Untracked)];
        let decision = beside_amber(verb, &[], &[], &files);
        let expected = if verb.touches_work() { FenceVerdict::Note } else { FenceVerdict::Allow };
        assert_eq!(decision.verdict, expected, "{verb:?}");
        let work = WorkSeen::Known(attribute(&tree_act(verb), &files, &[], &[]));
        assert_eq!(of_act(act(verb, vec![], vec![], work)).verdict, FenceVerdict::Allow, "alone: {verb:?}");
    }
}

#[test]
fn a_file_that_no_lease_can_be_of_is_nobodys() {
    let odd = ChangedFile { path: None, change: Change::Edited, is_below: true };
    assert_eq!(beside_amber(Stash, &[declared("amber", "src/")], &[], &[odd]).verdict, FenceVerdict::Note);
}

#[test]
fn who_reads_beside_others_has_no_work_there() {
    let decision = beside_amber(CommitAll, &[reading("amber", "src/")], &[], &[changed("src/a", Change::Edited)]);
    assert_eq!(decision.verdict, FenceVerdict::Note);
}

#[test]
fn what_lies_beside_the_directory_is_not_touched_by_a_dot() {
    let beside = |change| ChangedFile { is_below: false, ..changed("src/a.rs", change) };
    let of = |verb, change| beside_amber(verb, &[observed("amber", "src/")], &[], &[beside(change)]).verdict;
    assert_eq!(of(RestoreAll, Change::Edited), FenceVerdict::Allow);
    assert_eq!(of(Clean, Change::Untracked), FenceVerdict::Allow);
    assert_eq!(of(AddAll, Change::Edited), FenceVerdict::Deny, "-A is the whole tree");
    assert_eq!(of(CommitAll, Change::Edited), FenceVerdict::Deny);
}

#[test]
fn a_part_is_refused_for_what_is_known_and_never_talked_about_for_a_guess() {
    let files = ActFiles { edited: true, untracked: true, ..ActFiles::default() };
    let part = TreeAct { files: Some(files), part: Some("/w/src".into()), ..tree_act(AddAll) };
    let verdict = |leases: &[ForeignLease], file: ChangedFile| {
        let work = WorkSeen::Known(attribute(&part, [&file], leases, &[]));
        let others = vec![party("amber")];
        of_act(ActFacts { act: part.clone(), ..act(AddAll, others, leases.to_vec(), work) }).verdict
    };
    let amber = [observed("amber", "src/a.rs")];
    let edited = changed("src/a.rs", Change::Edited);
    assert_eq!(verdict(&amber, edited.clone()), FenceVerdict::Deny);
    assert_eq!(verdict(&amber, changed("src/a.rs", Change::Untracked)), FenceVerdict::Deny);
    assert_eq!(verdict(&amber, changed("src/a.rs", Change::Staged)), FenceVerdict::Allow);
    assert_eq!(verdict(&amber, ChangedFile { is_below: false, ..edited.clone() }), FenceVerdict::Allow, "beside it");
    assert_eq!(verdict(&[], edited.clone()), FenceVerdict::Allow, "maybe somebody's");
    assert_eq!(verdict(&[declared("amber", "/")], changed("src/b.rs", Change::Staged)), FenceVerdict::Allow);
}

#[test]
fn what_a_commit_would_overwrite_is_work_and_what_it_would_rewrite_is_of_who_asked_for_it() {
    let source = Some(CommitSource { commit: CommitName::new("other").unwrap(), keeps_added: false });
    let of = |verb: TreeVerb, change: Change, lease: ForeignLease| {
        let act = TreeAct {
            source: source.clone(),
            files: Some(ActFiles { overwritten: true, ..verb.files() }),
            ..tree_act(verb)
        };
        let work = attribute(&act, &[changed("src/a.rs", change)], std::slice::from_ref(&lease), &[]);
        (work.foreign_count, work.unknown_count)
    };
    for verb in [ResetHard, Switch, RestoreAll] {
        assert_eq!(of(verb, Change::Overwritten, observed("amber", "src/a.rs")), (1, 0), "{verb:?}");
        assert_eq!(of(verb, Change::Rewritten, declared("amber", "src/")), (1, 0), "{verb:?}");
        assert_eq!(of(verb, Change::Rewritten, observed("amber", "src/a.rs")), (0, 0), "{verb:?}");
        assert_eq!(of(verb, Change::Overwritten, observed("amber", "b.rs")), (0, 1), "{verb:?}");
    }
}

#[test]
fn a_file_of_anothers_that_is_named_to_be_committed_is_told() {
    let part = TreeAct { is_named: true, part: Some("/w/src/a.rs".into()), ..tree_act(CommitAll) };
    let amber = [observed("amber", "src/a.rs")];
    let work = WorkSeen::Known(attribute(&part, &[changed("src/a.rs", Change::Edited)], &amber, &[]));
    let facts = ActFacts { act: part, ..act(CommitAll, vec![party("amber")], vec![], work) };
    assert_eq!(of_act(facts).verdict, FenceVerdict::Note);
}

#[test]
fn who_asked_for_the_stash_by_name_has_it() {
    let names = vec![declared("amber", "@stash")];
    let facts = ActFacts { names, ..act(Stash, vec![], vec![], WorkSeen::NotAsked) };
    assert_eq!(of_act(facts).verdict, FenceVerdict::Deny);
}

#[test]
fn a_tree_that_is_held_as_a_whole_is_left_as_it_is() {
    for verb in ALL {
        let decision = beside_amber(verb, &[declared("amber", "/")], &[], &[]);
        let expected = if verb.changes_files() { FenceVerdict::Deny } else { FenceVerdict::Allow };
        assert_eq!(decision.verdict, expected, "{verb:?}");
    }
}

#[test]
fn files_that_may_come_and_go_under_a_lease_are_told() {
    for verb in ALL {
        let decision = beside_amber(verb, &[declared("amber", "src/")], &[], &[]);
        let expected = if verb.moves_files() { FenceVerdict::Note } else { FenceVerdict::Allow };
        assert_eq!(decision.verdict, expected, "{verb:?}");
    }
}

#[test]
fn a_tree_that_another_lives_in_is_told_of_before_it_is_removed() {
    let decision = beside_amber(WorktreeRemove, &[], &[], &[]);
    assert_eq!(
        decision.grounds,
        [FenceGround::OthersLiveThere { verb: WorktreeRemove, others: vec![party("amber")], count: 0 }]
    );
    let work =
        |own_count: usize, unknown_count: usize| WorkSeen::Known(Work { own_count, unknown_count, ..Work::default() });
    let of = |is_elsewhere: bool, work: WorkSeen| {
        of_act(ActFacts { is_elsewhere, ..act(WorktreeRemove, vec![party("amber")], vec![], work) }).verdict
    };
    assert_eq!(of(true, work(0, 2)), FenceVerdict::Deny, "it has work that is not the caller's, who lives elsewhere");
    assert_eq!(of(true, work(2, 0)), FenceVerdict::Note);
    assert_eq!(of(false, work(0, 2)), FenceVerdict::Note, "it may be the caller's");
    let alone = act(WorktreeRemove, vec![], vec![], WorkSeen::Known(Work::default()));
    assert_eq!(of_act(alone).verdict, FenceVerdict::Allow);
}

#[test]
fn a_git_that_says_nothing_refuses_nothing() {
    for verb in ALL {
        let decision = of_act(act(verb, vec![party("amber")], vec![], WorkSeen::Silent));
        assert_eq!(
            decision.verdict,
            if verb.touches_files() { FenceVerdict::Note } else { FenceVerdict::Allow },
            "{verb:?}"
        );
        let alone = of_act(act(verb, vec![], vec![], WorkSeen::Silent));
        assert_eq!(alone.verdict, FenceVerdict::Allow, "{verb:?} alone");
    }
}

#[rstest]
#[case::none(StashEntry::Empty, FenceVerdict::Allow)]
#[case::own(StashEntry::Own, FenceVerdict::Allow)]
#[case::anothers(StashEntry::Of { who: party("amber"), since_ms: 7 }, FenceVerdict::Deny)]
#[case::unknown(StashEntry::Unknown, FenceVerdict::Note)]
fn the_stash_is_shared(#[case] entry: StashEntry, #[case] expected: FenceVerdict) {
    for verb in [StashTake, StashDrop] {
        let facts =
            ActFacts { entry: Some(entry.clone()), ..act(verb, vec![party("amber")], vec![], WorkSeen::NotAsked) };
        assert_eq!(of_act(facts.clone()).verdict, expected, "{verb:?}");
        // An entry that is known to be another's is so when that has left, too.
        let alone = of_act(ActFacts { others: vec![], ..facts }).verdict;
        assert_eq!(alone == FenceVerdict::Deny, expected == FenceVerdict::Deny, "{verb:?} alone");
        assert_ne!(alone, FenceVerdict::Note, "{verb:?} alone");
    }
}

#[test]
fn the_first_files_are_named_and_the_rest_are_counted() {
    let files: Vec<_> = (0..30).map(|at| changed(&format!("src/{at}.rs"), Change::Edited)).collect();
    let work = attribute(&tree_act(ResetHard), &files, &[declared("amber", "src/")], &[]);
    assert_eq!((work.foreign.len(), work.foreign_count), (MAX_NAMED, 30));
}

#[test]
fn the_same_denial_has_the_same_signature_however_much_later() {
    let of = |since_ms, count| FenceGround::OthersWork {
        verb: Stash,
        is_part: false,
        lease: ForeignLease { since_ms, ..observed("amber", "src/a.rs") },
        file: resource("src/a.rs"),
        count,
    };
    assert_eq!(of(1, 2).signature(), of(3, 4).signature());
    let other = FenceGround::DeclaredLease { path: resource("src/a.rs"), lease: declared("birch", "src/") };
    assert_ne!(of(1, 2).signature(), other.signature());
}

proptest::proptest! {
    /// Without another's lease or stash entry nothing is ever refused, whatever is changed.
    #[test]
    fn a_guess_never_refuses(files in proptest::collection::vec(("[a-c]/[a-c]", 0_usize..3), 0..9), verb in 0_usize..11) {
        let changes = [Change::Edited, Change::Staged, Change::Untracked];
        let files: Vec<_> = files.iter().map(|(path, change)| changed(path, changes[*change])).collect();
        let decision = beside_amber(ALL[verb], &[], &[], &files);
        proptest::prop_assert!(decision.verdict < FenceVerdict::Deny);
    }
}

#[rstest]
#[case("main", true)]
#[case("origin/main~2", true)]
#[case("@{-1}", true)]
#[case("HEAD^", true)]
#[case("", false)]
#[case("--output=/home/me/.bashrc", false)]
#[case("-q", false)]
#[case("a..b", false)]
#[case("a b", false)]
#[case("a\nb", false)]
fn a_commit_is_no_option_whoever_names_it(#[case] text: &str, #[case] is_one: bool) {
    assert_eq!(CommitName::new(text).is_some(), is_one);
    let said = serde_json::json!({"commit": text});
    assert_eq!(serde_json::from_value::<CommitSource>(said).is_ok(), is_one);
}
