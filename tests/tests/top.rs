//! `stopgate top` in a real terminal: a tmux pane.

#![allow(clippy::unwrap_used, reason = "tests")]

use stopgate_core::session::state::SessionState;
use stopgate_tests::build::Said;
use stopgate_tests::reaper::Stage;
use stopgate_tests::run::eventually;
use stopgate_tests::world::binary;

/// A pane of its own, with a size, that `top` runs in.
struct Top<'a> {
    stage: &'a Stage,
    pane: String,
}

impl<'a> Top<'a> {
    fn start(stage: &'a Stage, width: &str, height: &str, variables: &str) -> Self {
        // Taken by this server for itself; a terminal takes it for its clipboard.
        let line = format!("{variables} '{}' top --interval 1", binary("stopgate").display());
        let pane = stage.tmux(&["new-session", "-d", "-P", "-F", "#{pane_id}", "-x", width, "-y", height, &line]);
        stage.tmux(&["set-option", "-s", "set-clipboard", "on"]);
        stage.tmux(&["set-option", "-g", "allow-passthrough", "on"]);
        Self { stage, pane }
    }

    fn shows(&self, flags: &[&str]) -> String {
        self.stage.tmux(&[&["capture-pane", "-p", "-t", &self.pane], flags].concat())
    }

    fn wait_for(&self, text: &str) -> String {
        self.wait_for_all(&[text])
    }

    /// Waits until one screen has all of these: a frame comes in several writes.
    fn wait_for_all(&self, texts: &[&str]) -> String {
        eventually(&format!("{texts:?}"), || {
            Some(self.shows(&[])).filter(|shown| texts.iter().all(|text| shown.contains(text)))
        })
    }

    fn press(&self, key: &str) {
        self.stage.tmux(&["send-keys", "-t", &self.pane, key]);
    }
}

/// "ok" is green where there is colour; spelled by name or by number.
fn has_green(colours: &str) -> bool {
    ["\u{1b}[32m", "38;5;2m"].iter().any(|green| colours.contains(green))
}

#[test]
fn it_shows_everything_at_80x24_and_ends_a_session_only_when_asked_twice() {
    let stage = Stage::new();
    let _authority = stage.site.world.authority();
    let one = stage.stand_in("one").is_idle();
    let top = Top::start(&stage, "80", "24", "TERM=screen NO_COLOR=1");
    let shown = top.wait_for_all(&[
        "1 sessions: 0 working, 0 waiting, 1 idle",
        "authority  ok",
        "pressure   normal",
        "reaper     off",
        "latest verdicts",
        "let go",
        "q quit",
        "> idle",
    ]);
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let colours = top.shows(&["-e"]);
    assert!(!has_green(&colours), "{colours:?}");

    top.press("Enter");
    top.wait_for_all(&["HEAD at start", "claude:one", "> idle"]);
    top.press("PageDown");
    top.wait_for("last SessionStart");
    top.press("c");
    top.wait_for("copied");
    let resume = Said::from(stage.site.world.stopgate(&["resume", "one"])).ok().out;
    eventually("the clipboard has it", || {
        let mut show = stage.tmux_command(&["show-buffer"]);
        (show.output().ok()?.stdout == resume.trim().as_bytes()).then_some(())
    });

    top.press("e");
    top.wait_for("End claude:one?");
    top.press("n");
    top.wait_for("nothing was ended");
    top.press("e");
    top.wait_for("End claude:one?");
    top.press("y");
    top.wait_for("Really?");
    top.press("x");
    top.wait_for("nothing was ended");
    assert!(!one.has_ended());
    for (key, answer) in [("e", "End claude:one?"), ("y", "Really?"), ("y", "terminated")] {
        top.press(key);
        top.wait_for(answer);
    }
    assert!(one.has_ended());
    assert_eq!(stage.row("one").state, SessionState::Ended);
    top.wait_for("0 sessions");
    top.press("q");
    eventually("it ends", || (stage.tmux_command(&["list-panes"]).output().ok()?.stdout.is_empty()).then_some(()));
}

#[test]
fn it_says_that_the_authority_is_down_and_recovers() {
    let stage = Stage::new();
    let first = stage.site.world.authority();
    let top = Top::start(&stage, "160", "50", "TERM=tmux-256color");
    top.wait_for("authority  ok");
    top.wait_for("SESSION");
    first.kill();
    top.wait_for("DOWN");
    let _second = stage.site.world.authority();
    top.wait_for("authority  ok");
    assert!(has_green(&top.shows(&["-e"])), "colour where there is some");
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let stage = Stage::new();
    Said::from(stage.site.world.stopgate(&["top"])).refused(1, &["needs a terminal", "sessions --watch"]);
    Said::from(stage.site.world.stopgate(&["top", "--interval", "0"])).refused(2, &["--interval"]);
}
