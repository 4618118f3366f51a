//! Sessions that ask a real authority for leases at random, each below an agent of its own, while the authority is killed with
//! `kill -9` at random: nothing is held by two, numbers rise, and no grant that was acknowledged is lost.
//!
//! `STOPGATE_SOAK_LEASES` and `STOPGATE_SOAK_KILLS` make it longer than its 600 requests and 4 kills; `STOPGATE_SOAK_SEED` is
//! what the sessions choose by (when they are killed is the machine's).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stopgate_core::env::{Env as _, ProcessEnv};
use stopgate_tests::build::Site;
use stopgate_tests::run::eventually;
use stopgate_tests::seat::{Seat, leases};
use stopgate_tests::world::binary;

use crate::random::Random;

const SESSIONS: usize = 5;
const RESOURCES: [&str; 6] = ["a", "b", "src/", "src/x", "@leader", "docs/"];

/// What must be true, whatever became of answers: only what was acknowledged stands here.
#[derive(Default)]
struct Truth {
    /// Who holds what by which number for certain.
    held: BTreeMap<&'static str, (usize, u64)>,
    /// The highest number that was told of.
    highest: u64,
    told: BTreeSet<u64>,
    counts: BTreeMap<&'static str, usize>,
}

fn overlap(one: &str, other: &str) -> bool {
    one == other || one.starts_with(other) && other.ends_with('/') || other.starts_with(one) && one.ends_with('/')
}

/// A session that asks.
struct Asker<'a> {
    number: usize,
    site: &'a Site,
    answers: BufReader<UnixStream>,
    requests: UnixStream,
    random: Random,
    truth: &'a Mutex<Truth>,
}

impl Asker<'_> {
    /// What is answered; `None` if nothing came.
    fn ask(&mut self, act: &Value) -> Option<Value> {
        let mut asked = act.clone();
        asked["told"] = json!([{"harness": "claude", "session_id": format!("s{}", self.number)}]);
        asked["room"] = json!(self.site.top());
        writeln!(self.requests, "{asked}").unwrap();
        let mut line = String::new();
        assert!(self.answers.read_line(&mut line).unwrap() > 0, "the client has gone");
        (!line.trim().is_empty()).then(|| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    fn claim(&self, resource: &str) -> Value {
        if resource.starts_with('@') {
            json!({"resource": resource, "mode": "write"})
        } else {
            json!({"resource": resource, "tree": self.site.top(), "mode": "write"})
        }
    }

    /// One request at random; whether it was answered.
    fn step(&mut self) -> bool {
        let resource = RESOURCES[self.random.below(RESOURCES.len())];
        let claims = [self.claim(resource)];
        let before = self.truth.lock().unwrap().highest;
        let own: Option<u64> = {
            let truth = self.truth.lock().unwrap();
            truth.held.get(resource).filter(|(who, _)| *who == self.number).map(|(_, token)| *token)
        };
        match (own, self.random.below(10)) {
            (Some(token), 0..=3) => {
                let answer = self.ask(&json!({"act": "check", "claims": claims, "token": token}));
                let Some(answer) = answer else { return false };
                assert_eq!(answer["outcome"], "granted", "s{} lost {resource}, {token}: {answer}", self.number);
                self.count("checks");
                true
            }
            (Some(_), 4) => {
                // Another one gets it, whether that is told or not.
                self.let_go(resource);
                let to = format!("s{}", (self.number + 1) % SESSIONS);
                let answer = self.ask(&json!({"act": "pass", "claims": claims, "to": to}));
                self.count("passes");
                answer.is_some()
            }
            (Some(_), _) => {
                self.let_go(resource);
                let answer = self.ask(&json!({"act": "release", "claims": claims}));
                self.count("releases");
                answer.is_some()
            }
            (None, 0..=2) => {
                let answer = self.ask(&json!({"act": "wait", "claims": claims, "timeout_ms": 20, "park": false}));
                // What comes out of the queue is taken up by saying that it was heard.
                let token =
                    answer.as_ref().filter(|answer| answer["outcome"] == "granted").map(|answer| &answer["token"]);
                match token.map(|token| json!({"act": "heard", "token": token})) {
                    Some(heard) if self.ask(&heard).is_none() => false,
                    _ => self.granted(resource, before, answer),
                }
            }
            (None, _) => {
                let answer = self.ask(&json!({"act": "acquire", "claims": claims}));
                self.granted(resource, before, answer)
            }
        }
    }

    /// From now on it is held by nobody for certain.
    fn let_go(&self, resource: &str) {
        self.truth.lock().unwrap().held.retain(|held, (who, _)| *who != self.number || !overlap(held, resource));
    }

    fn count(&self, what: &'static str) {
        *self.truth.lock().unwrap().counts.entry(what).or_default() += 1;
    }

    fn granted(&self, resource: &'static str, before: u64, answer: Option<Value>) -> bool {
        let Some(answer) = answer else { return false };
        if answer["outcome"] != "granted" {
            let code = answer["error"]["code"].as_str().unwrap_or_default();
            assert!(["held", "may_be_taken", "time_up", "would_deadlock", "conflict", ""].contains(&code), "{answer}");
            self.count("refusals");
            return true;
        }
        let token = answer["token"].as_u64().unwrap();
        let mut truth = self.truth.lock().unwrap();
        // What it was passed, or was given without having heard of it, may be older.
        let leases = answer["leases"].as_array().unwrap();
        assert!(leases.iter().all(|lease| lease["holder"]["session_id"] == format!("s{}", self.number)), "{answer}");
        if let Some((held, (who, other))) =
            truth.held.iter().find(|(held, (who, _))| *who != self.number && overlap(held, resource))
        {
            panic!("{resource} was given to s{} ({token}), and s{who} has {held} ({other})", self.number);
        }
        if truth.told.insert(token) && token <= before {
            // Given before, without an answer that arrived: its number was nobody else's.
            *truth.counts.entry("grants heard of later").or_default() += 1;
        }
        truth.highest = truth.highest.max(token);
        truth.held.insert(resource, (self.number, token));
        *truth.counts.entry("grants").or_default() += 1;
        true
    }
}

fn number(name: &str, or: usize) -> usize {
    ProcessEnv.text(name).map_or(or, |text| text.parse().unwrap())
}

/// Sets a flag when it is dropped, also by a panic.
struct Sets<'a>(&'a AtomicBool);

impl Drop for Sets<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn leases_outlive_kill_9_and_nothing_is_given_twice() {
    let _alone = super::alone();
    let (requests, kills) = (number("STOPGATE_SOAK_LEASES", 600), number("STOPGATE_SOAK_KILLS", 4));
    let seed = u64::try_from(number("STOPGATE_SOAK_SEED", 0x5EED)).unwrap();
    let site = Site::new();
    let mut authority = Some(site.world.authority());
    let seats: Vec<Seat<'_>> = (0..SESSIONS).map(|at| Seat::new(&site, &format!("s{at}"))).collect();
    let truth = Mutex::new(Truth::default());
    let (asked, over, killed) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicU64::new(0));
    let began = Instant::now();
    let askers: Vec<Asker<'_>> = seats
        .iter()
        .enumerate()
        .map(|(at, seat)| {
            let path = site.world.root().join(format!("asker-{at}"));
            let listener = UnixListener::bind(&path).unwrap();
            let client = binary("lease-client");
            let line = format!("'{}' '{}' </dev/null >/dev/null 2>&1 &", client.display(), path.display());
            seat.agent.run(&line).ok();
            let (requests, _) = listener.accept().unwrap();
            requests.set_read_timeout(Some(stopgate_tests::run::HANG)).unwrap();
            let answers = BufReader::new(requests.try_clone().unwrap());
            let random = Random(seed ^ (0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(u64::try_from(at).unwrap() + 1)));
            Asker { number: at, site: &site, answers, requests, random, truth: &truth }
        })
        .collect();
    std::thread::scope(|scope| {
        let _over = Sets(&over);
        let running: Vec<_> = askers
            .into_iter()
            .map(|mut asker| {
                let (asked, over) = (&asked, &over);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) && asked.load(Ordering::Relaxed) < requests {
                        if asker.step() {
                            asked.fetch_add(1, Ordering::Relaxed);
                        } else {
                            asker.count("without an answer");
                            // Nobody serves at this moment.
                            std::thread::sleep(Duration::from_millis(2));
                        }
                    }
                })
            })
            .collect();
        // At a share of all requests each, so that their number does not depend on how fast the machine is.
        let mut random = Random(seed);
        for kill in 1..=kills {
            let at = requests * kill / (kills + 1) + random.below(1 + requests / (kills + 1) / 2);
            while asked.load(Ordering::Relaxed) < at.min(requests) && running.iter().any(|asker| !asker.is_finished()) {
                std::thread::sleep(Duration::from_micros(200));
            }
            if let Some(one) = authority.take() {
                one.kill();
                killed.fetch_add(1, Ordering::Relaxed);
            }
            authority = Some(site.world.authority());
        }
        for asker in running {
            asker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    // Once more, and then all that was acknowledged is looked for.
    drop(authority.take());
    let _authority = site.world.authority();
    let truth = truth.into_inner().unwrap();
    let found = eventually("they are read", || leases(&site)["leases"].as_array().cloned());
    for (resource, (who, token)) in &truth.held {
        let is_it = |lease: &&Value| lease["token"] == *token && lease["holder"]["session_id"] == format!("s{who}");
        assert!(found.iter().any(|lease| is_it(&lease)), "s{who} has lost {resource}, {token}: {found:?}");
    }
    let resources: Vec<&str> = found.iter().map(|lease| lease["resource"].as_str().unwrap()).collect();
    for (at, one) in found.iter().enumerate() {
        let other = found[at + 1..].iter().find(|other| {
            other["holder"] != one["holder"]
                && overlap(one["resource"].as_str().unwrap(), other["resource"].as_str().unwrap())
        });
        assert!(other.is_none(), "held twice: {one} {other:?}");
    }
    let said = format!(
        "soak of leases: seed {seed}, {requests} requests, {} kills in {:.1} s, {:?}, highest {}, held at the end {resources:?}\n",
        killed.load(Ordering::Relaxed),
        began.elapsed().as_secs_f64(),
        truth.counts,
        truth.highest,
    );
    let _ = std::io::stderr().write_all(said.as_bytes());
    assert!(truth.counts["grants"] > requests / 20 && truth.counts["checks"] > 0, "{said}");
}
