//! Real git repositories with a past.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A git repository in a directory of the test's own.
pub struct Checkout {
    /// Top of the working tree.
    pub top: PathBuf,
}

impl Checkout {
    /// An empty repository at `top`.
    pub fn create(top: &Path) -> Self {
        std::fs::create_dir_all(top).unwrap();
        let checkout = Self { top: top.canonicalize().unwrap() };
        checkout.git(&["init", "-q", "."]);
        checkout
    }

    /// A repository whose plan was committed long before any session of the test, with one step done and open ones.
    pub fn with_plan(top: &Path) -> Self {
        Self::planned(top, "# Plan\n\n- [x] lexer\n- [ ] write the parser\n- [ ] write the tests\n")
    }

    /// A repository whose plan says this, and was committed long before any session of the test.
    pub fn planned(top: &Path, plan: &str) -> Self {
        let checkout = Self::create(top);
        checkout.write("docs/plan.md", plan);
        checkout.git_at(&["add", "."], "2026-01-01T00:00:00Z");
        checkout.git_at(&["commit", "-q", "-m", "plan"], "2026-01-01T00:00:00Z");
        checkout
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) {
        let file = self.top.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// Commits everything, now.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "."]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Does some work: changes a file, as an agent between two stops would.
    pub fn work(&self) {
        use std::io::Write as _;
        let mut plan = std::fs::OpenOptions::new().append(true).open(self.top.join("docs/plan.md")).unwrap();
        plan.write_all(b"\nSome more words.\n").unwrap();
    }

    /// Runs git.
    pub fn git(&self, arguments: &[&str]) -> String {
        self.run(arguments, None)
    }

    fn git_at(&self, arguments: &[&str], date: &str) -> String {
        self.run(arguments, Some(date))
    }

    fn run(&self, arguments: &[&str], date: Option<&str>) -> String {
        let mut command = Command::new("git");
        command
            .args(["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "init.defaultBranch=main"])
            .args(arguments)
            .current_dir(&self.top)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null");
        if let Some(date) = date {
            command.env("GIT_AUTHOR_DATE", date).env("GIT_COMMITTER_DATE", date);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
