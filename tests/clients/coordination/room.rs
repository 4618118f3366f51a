//! One room of five sessions of both harnesses at work on the same files: which edits are lost without the fence, and which
//! with it. An edit is lost that a tool has reported as done and that is in the end neither in the working tree, nor in a
//! commit, nor in an entry of the stash that its own session made.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use stopgate_core::env::{Env as _, ProcessEnv};
use stopgate_tests::mock_anthropic::Turn;

use super::actor::{Actor, Scene, creates, edits, reads, runs};
use super::{partner, prepare};
use crate::client::Client;
use crate::live::Asked;
use crate::site::Site;
use crate::table::Outcome;

/// How long each mode is played in the long form, in seconds; without it the short one runs.
const SECONDS_VARIABLE: &str = "STOPGATE_ROOM_SECONDS";
/// The number that the long form's acts are drawn from.
const SEED_VARIABLE: &str = "STOPGATE_ROOM_SEED";

/// Files that all work on.
const FILES: u64 = 6;
/// Lines that each has in the beginning; each tool puts its line behind one of these.
const LINES: u64 = 9;
/// Scenes that a session of the long form has: more than it gets to.
const SCENES: usize = 90;

/// A line that a session adds, and by which it is found again.
#[derive(Clone)]
struct Edit {
    mark: String,
    /// Which turn of its scene makes it.
    turn: usize,
}

/// A session.
struct Author<'a> {
    actor: Actor<'a>,
    /// What each scene edits.
    plans: Vec<Vec<Edit>>,
    played: usize,
    counts: Counts,
    done: Vec<String>,
}

/// What became of what the sessions tried.
#[derive(Clone, Copy, Default)]
struct Counts {
    done: usize,
    refused: usize,
    failed: usize,
    lost: usize,
    acts_refused: usize,
    told: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, refused, failed, lost, acts_refused, told } = self;
        write!(
            formatter,
            "{lost} of {done} edits lost, {refused} refused, {failed} failed; {acts_refused} other calls refused; {told} told"
        )
    }
}

/// Writes the scenes of one session.
struct Writer<'a> {
    site: &'a Site,
    client: Client,
    number: usize,
    edits: usize,
    random: u64,
    scene: Scene,
    plan: Vec<Edit>,
    scenes: Vec<Scene>,
    plans: Vec<Vec<Edit>>,
}

impl<'a> Writer<'a> {
    fn new(site: &'a Site, client: Client, number: usize, seed: u64) -> Self {
        let random = seed.wrapping_mul(31).wrapping_add(number as u64);
        let (scene, plan, scenes, plans) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { site, client, number, edits: 0, random, scene, plan, scenes, plans }
    }

    /// A number that is drawn, below `limit`: by the generator that its authors call `SplitMix64`.
    fn below(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn mark(&mut self) -> String {
        self.edits += 1;
        format!("mark s{}-{} end", self.number, self.edits)
    }

    fn says(&mut self, turn: Turn, mark: String) {
        self.plan.push(Edit { mark, turn: self.scene.len() });
        self.scene.push(turn);
    }

    fn runs(&mut self, command: &str) {
        let turn = runs(self.client, command);
        self.scene.push(turn);
    }

    /// A line is put into a shared file by the edit tool.
    fn edits(&mut self, file: u64, line: u64) {
        let mark = self.mark();
        let path = self.site.checkout.top.join(format!("src/f{file}"));
        let old = format!("line {line} of f{file}");
        self.scene.extend(reads(self.client, &path));
        let turn = if self.client.is_codex() {
            let body = format!("*** Update File: {}\n@@\n {old}\n+{mark}", path.display());
            Turn::tool("apply_patch", json!({ "input": format!("*** Begin Patch\n{body}\n*** End Patch\n") }))
        } else {
            edits(self.client, &path, &old, &format!("{old}\n{mark}"))
        };
        self.says(turn, mark);
    }

    /// A file of its own is made.
    fn creates(&mut self) {
        let mark = self.mark();
        let name = mark.replace([' ', '-'], "_");
        let turn = creates(self.client, &self.site.checkout.top.join("src").join(name), &mark);
        self.says(turn, mark);
    }

    /// The shell does it: `of` is given the mark and the file.
    fn shell(&mut self, file: u64, of: impl Fn(&str, &str) -> String) {
        let mark = self.mark();
        let command = of(&mark, &format!("src/f{file}"));
        // A refusal may repeat the command: what it says when it is done stands nowhere in it.
        self.says(runs(self.client, &format!("{command} && echo DO''NE '{mark}'")), mark);
    }

    fn appends(&mut self, file: u64) {
        self.shell(file, |mark, file| format!("echo '{mark}' >> {file}"));
    }

    fn inserts(&mut self, file: u64, line: u64) {
        self.shell(file, |mark, path| format!("sed -i '/^line {line} of f{file}$/a {mark}' {path}"));
    }

    /// As who reads a file, thinks, and writes all of it.
    fn overwrites(&mut self, file: u64) {
        let number = self.number;
        let copy = format!("\"$TMPDIR\"/s{number}");
        let command = move |mark: &str, file: &str| {
            format!("cp {file} {copy} && sleep 0.3 && echo '{mark}' >> {copy} && cat {copy} > {file}")
        };
        self.shell(file, command);
    }

    /// Commits what it did itself, and goes on to `command` only where nothing of its own is uncommitted any more.
    fn committed_and(&mut self, command: &str) {
        let number = self.number;
        let own = "src/f* src/mark_s".to_owned() + &number.to_string() + "_*";
        self.runs(&format!(
            "for f in {own}; do grep -qs 's{number}-' \"$f\" && git add -- \"$f\"; done; git commit -qm 's{number}'; \
             ! git diff HEAD -- src | grep -q '^+mark s{number}-' && \
             ! git ls-files --others -- src | grep -q 'mark_s{number}_' && {command}"
        ));
    }

    fn ends_scene(&mut self) {
        self.scenes.push(std::mem::take(&mut self.scene));
        self.plans.push(std::mem::take(&mut self.plan));
    }

    fn has_edited(&mut self) {
        let (file, line) = (self.below(FILES), 1 + self.below(LINES));
        match self.below(10) {
            0..=3 => self.edits(file, line),
            4 | 5 => self.appends(file),
            6 | 7 => self.inserts(file, line),
            8 => self.creates(),
            _ => self.overwrites(file),
        }
    }

    /// A scene as it comes: some edits, and what an agent does to the tree around them. Two of five ask for a lease first.
    fn random_scene(&mut self) {
        let leased = self.number.is_multiple_of(3).then(|| self.below(FILES));
        if let Some(file) = leased {
            let ask = self.site.stopgate_line(&format!("lease wait src/f{file} --timeout 2"));
            self.runs(&ask);
            let line = 1 + self.below(LINES);
            self.edits(file, line);
        }
        for _ in 0..=self.below(2) {
            self.has_edited();
        }
        let number = self.number;
        match self.below(11) {
            0..=2 => self.committed_and("true"),
            3 => self.runs(&format!("git stash push -qm s{number} && sleep 0.3 && git stash pop -q")),
            4 => self.runs(&format!("git stash push -qm s{number}")),
            5 | 6 => self.runs(&format!("git add -A && git commit -qm s{number}")),
            7 => self.committed_and("git reset -q --hard"),
            8 => {
                let file = self.below(FILES);
                self.committed_and(&format!("git checkout -q -- src/f{file}"));
            }
            9 => self.committed_and("git clean -fdq"),
            _ => {}
        }
        if leased.is_some() {
            let release = self.site.stopgate_line("lease release");
            self.runs(&release);
        }
        self.ends_scene();
    }

    fn starts(self) -> Author<'a> {
        let Self { site, client, number, scenes, plans, .. } = self;
        let actor = Actor::start(site, client, &format!("s{number}"), scenes);
        Author { actor, plans, played: 0, counts: Counts::default(), done: Vec::new() }
    }
}

impl Author<'_> {
    /// The next scene.
    fn plays(&mut self) {
        let asked = self.actor.plays();
        let plan = std::mem::take(&mut self.plans[self.played]);
        self.played += 1;
        // The first request brings the prompt, each further one what became of a turn.
        for (turn, asked) in asked[1..].iter().enumerate() {
            let edit = plan.iter().find(|edit| edit.turn == turn);
            self.counts.told +=
                usize::from(asked.beside.iter().chain(&asked.new).any(|text| text.contains("[stopgate]")));
            let is_refused = asked.brings("Not done");
            match edit {
                Some(edit) if is_done(asked, &edit.mark) => {
                    self.counts.done += 1;
                    self.done.push(edit.mark.clone());
                }
                Some(_) if is_refused => self.counts.refused += 1,
                Some(_) => self.counts.failed += 1,
                None => self.counts.acts_refused += usize::from(is_refused),
            }
        }
    }
}

/// Whether the tool says that it did it.
fn is_done(asked: &Asked, mark: &str) -> bool {
    let said = ["has been updated", "File created successfully", "Success. Updated the following files"];
    asked.brings(&format!("DONE {mark}")) || said.iter().any(|said| asked.brings(said))
}

/// Where lines can be in the end.
struct Places {
    tree: String,
    commits: String,
    /// The message of each entry, and its lines.
    stash: Vec<(String, String)>,
}

impl Places {
    fn look(site: &Site) -> Self {
        let git = |arguments: &[&str]| site.checkout.git(arguments);
        let files = std::fs::read_dir(site.checkout.top.join("src")).unwrap();
        let tree = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        let commits = git(&["log", "--branches", "HEAD", "-p", "--format=%H"]);
        let list = git(&["stash", "list", "--format=%gd%x09%gs"]);
        let entry = |line: &str| {
            let (id, message) = line.split_once('\t').unwrap();
            (message.to_owned(), git(&["stash", "show", "-p", "--include-untracked", id]))
        };
        let stash = list.lines().filter(|line| !line.is_empty()).map(entry).collect();
        Self { tree, commits, stash }
    }

    fn has(&self, mark: &str) -> bool {
        let session = mark.split([' ', '-']).nth(1).unwrap();
        let is_own = |message: &str| message.ends_with(&format!(": {session}"));
        self.tree.contains(mark)
            || self.commits.contains(mark)
            || self.stash.iter().any(|(message, text)| is_own(message) && text.contains(mark))
    }
}

/// All that is uncommitted or stashed is committed or gone: nothing of one mode is left to the next.
fn tidy(site: &Site) {
    site.checkout.git(&["stash", "clear"]);
    site.checkout.commit("tidied");
}

/// What the authors came to.
fn sum(site: &Site, authors: &mut [Author<'_>]) -> (Counts, Vec<String>) {
    let places = Places::look(site);
    let (mut all, mut lost) = (Counts::default(), Vec::new());
    for author in authors {
        let counts = std::mem::take(&mut author.counts);
        all.done += counts.done;
        all.refused += counts.refused;
        all.failed += counts.failed;
        all.acts_refused += counts.acts_refused;
        all.told += counts.told;
        lost.extend(std::mem::take(&mut author.done).into_iter().filter(|mark| !places.has(mark)));
    }
    all.lost = lost.len();
    (all, lost)
}

/// Those who play, all at once.
fn play(authors: &mut [Author<'_>], plays: impl Fn(usize) -> bool) {
    std::thread::scope(|scope| {
        let playing: Vec<_> = authors
            .iter_mut()
            .enumerate()
            .filter(|(number, _)| plays(*number))
            .map(|(_, author)| scope.spawn(|| author.plays()))
            .collect();
        for thread in playing {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// Five clients: two Claude Codes, three Codexes.
fn five(client: Client, other: Client) -> [Client; 5] {
    let (claude, codex) = if client.is_codex() { (other, client) } else { (client, other) };
    [claude, codex, codex, claude, codex]
}

fn site(client: Client, other: Client) -> Site {
    let mut site = Site::bare(client);
    site.is_patient = true;
    site.init(&[]);
    site.has(other);
    site.init_for(other);
    for file in 0..FILES {
        let lines: Vec<_> = (1..=LINES).map(|line| format!("line {line} of f{file}")).collect();
        site.checkout.write(&format!("src/f{file}"), &(lines.join("\n") + "\n"));
    }
    prepare(&site, "shadow");
    site
}

fn fence(site: &Site, mode: &str) {
    let words: &[&str] = if mode == "enforce" { &["fence", mode, "--yes"] } else { &["fence", mode] };
    site.as_person(words);
}

/// Those who do something to the whole tree in the short form, without the fence: the others leave what they did.
const DESTROYING: usize = 2;

/// First all edit, then some do something to the whole tree; without the fence, and with it.
fn short_scenes(writer: &mut Writer<'_>) {
    let number = writer.number;
    for is_fenced in [false, true] {
        // Each has a file that it shares with a neighbour, and one that it shares with the other.
        writer.edits(number as u64, 1 + number as u64);
        writer.appends(number as u64 + 1);
        writer.ends_scene();
        match number {
            0 => writer.committed_and("git reset -q --hard"),
            1 => writer.runs("git stash push -qm s1"),
            2 if is_fenced => writer.runs("git add -A && git commit -qm s2"),
            3 if is_fenced => writer.runs("git stash push -qm s3 && git stash pop -q"),
            4 if is_fenced => writer.inserts(5, 9),
            _ => continue,
        }
        writer.ends_scene();
    }
}

pub(super) fn five_sessions(client: Client) -> Outcome {
    if client.has_daemon() {
        return Outcome::not_offered(
            "not tried: its sessions find their model by one file, which several that begin at once would change for each other",
        );
    }
    let other = partner(client).expect("a client of the other harness");
    if let Some(seconds) = ProcessEnv.text(SECONDS_VARIABLE) {
        let seconds = Duration::from_secs(seconds.parse().expect("seconds"));
        for (mode, observed) in [("off", "note"), ("enforce", "note"), ("enforce", "deny")] {
            long(client, other, mode, observed, seconds);
        }
        return Outcome::works([]);
    }
    let site = site(client, other);
    let start = |(number, client)| {
        let mut writer = Writer::new(&site, client, number, 0);
        short_scenes(&mut writer);
        writer.starts()
    };
    let mut authors: Vec<_> = five(client, other).into_iter().enumerate().map(start).collect();
    for mode in ["off", "enforce"] {
        fence(&site, mode);
        play(&mut authors, |_| true);
        play(&mut authors, |number| mode == "enforce" || number < DESTROYING);
        let (counts, lost) = sum(&site, &mut authors);
        match mode {
            "off" => assert!(counts.lost > 0, "nothing is lost without the fence, and so this shows nothing: {counts}"),
            _ => assert!(counts.lost == 0 && counts.done >= 10 && counts.acts_refused > 0, "{counts}: {lost:?}"),
        }
        tidy(&site);
    }
    Outcome::works([])
}

fn long(client: Client, other: Client, mode: &str, observed: &str, lasts: Duration) {
    let site = site(client, other);
    observes(&site.person.world.home.root().join("config.toml"), observed);
    fence(&site, mode);
    let seed = ProcessEnv.text(SEED_VARIABLE).map_or(1, |seed| seed.parse().expect("a number"));
    let start = |(number, client)| {
        let mut writer = Writer::new(&site, client, number, seed);
        (0..SCENES).for_each(|_| writer.random_scene());
        writer.starts()
    };
    let mut authors: Vec<_> = five(client, other).into_iter().enumerate().map(start).collect();
    let until = Instant::now() + lasts;
    std::thread::scope(|scope| {
        for author in &mut authors {
            scope.spawn(move || {
                while Instant::now() < until && author.played < SCENES {
                    author.plays();
                }
            });
        }
    });
    let scenes: usize = authors.iter().map(|author| author.played).sum();
    let (counts, lost) = sum(&site, &mut authors);
    let report = site.as_person(&["fence", "report"]);
    crate::say(&format!("{mode}, observed {observed}: {scenes} scenes; {counts}\n{lost:?}\n{report}"));
}

/// Sets `fence.observed`.
fn observes(config: &Path, observed: &str) {
    assert!(!config.exists(), "{}", config.display());
    std::fs::write(config, format!("[fence]\nobserved = \"{observed}\"\n")).unwrap();
}
