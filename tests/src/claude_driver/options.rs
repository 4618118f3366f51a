//! The command line of `drive-claude`: written by [`super::ClaudeSession`], read by the program.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Names the native client binary.
pub const CLAUDE_VARIABLE: &str = "STOPGATE_TEST_CLAUDE";

/// One session to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Where the client is started.
    pub project: PathBuf,
    /// A [`crate::mock_anthropic::Script`] as JSON.
    pub script: PathBuf,
    /// More than one: all on one process, each sent when the one before is answered.
    pub prompts: Vec<String>,
    /// The client; without it the program looks at [`CLAUDE_VARIABLE`].
    pub claude: Option<PathBuf>,
    /// The client's `HOME`; without it `claude-home` beside the project.
    pub home: Option<PathBuf>,
    /// The session to take up again.
    pub resume: Option<String>,
    /// Further arguments of the client.
    pub args: Vec<String>,
    /// Further variables of the client.
    pub env: Vec<(String, String)>,
    /// The client is killed after this long.
    pub timeout: Duration,
    /// Where the raw stream, requests and stderr are left.
    pub keep: Option<PathBuf>,
}

impl Options {
    /// The defaults.
    pub fn new(project: impl Into<PathBuf>, script: impl Into<PathBuf>) -> Self {
        Self {
            project: project.into(),
            script: script.into(),
            prompts: Vec::new(),
            claude: None,
            home: None,
            resume: None,
            args: Vec::new(),
            env: Vec::new(),
            timeout: Duration::from_mins(1),
            keep: None,
        }
    }

    /// The arguments that [`Options::parse`] reads.
    pub fn to_args(&self) -> Vec<OsString> {
        let mut out: Vec<OsString> = Vec::new();
        let mut option = |name: &str, value: OsString| out.extend([name.into(), value]);
        option("--project", self.project.clone().into());
        option("--script", self.script.clone().into());
        self.prompts.iter().for_each(|prompt| option("--prompt", prompt.into()));
        self.claude.iter().for_each(|path| option("--claude", path.into()));
        self.home.iter().for_each(|path| option("--home", path.into()));
        self.resume.iter().for_each(|id| option("--resume", id.into()));
        self.args.iter().for_each(|argument| option("--arg", argument.into()));
        self.env.iter().for_each(|(name, value)| option("--env", format!("{name}={value}").into()));
        option("--timeout", self.timeout.as_secs_f64().to_string().into());
        self.keep.iter().for_each(|path| option("--keep", path.into()));
        out
    }

    /// Reads the arguments behind the program's name; the error is for the person at the keyboard.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut options = Self::new("", "");
        let mut args = args.into_iter();
        while let Some(name) = args.next() {
            let name = text(name)?;
            let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--project" => options.project = value.into(),
                "--script" => options.script = value.into(),
                "--prompt" => options.prompts.push(text(value)?),
                "--claude" => options.claude = Some(value.into()),
                "--home" => options.home = Some(value.into()),
                "--resume" => options.resume = Some(text(value)?),
                "--arg" => options.args.push(text(value)?),
                "--env" => {
                    let value = text(value)?;
                    let (name, value) = value.split_once('=').ok_or("--env needs NAME=VALUE")?;
                    options.env.push((name.to_owned(), value.to_owned()));
                }
                "--timeout" => {
                    let seconds = text(value)?.parse().map_err(|_| "--timeout needs seconds")?;
                    options.timeout = Duration::try_from_secs_f64(seconds).map_err(|_| "--timeout is out of range")?;
                }
                "--keep" => options.keep = Some(value.into()),
                _ => return Err(format!("unknown option {name}")),
            }
        }
        if options.project.as_os_str().is_empty() || options.script.as_os_str().is_empty() {
            return Err("--project DIR and --script FILE are needed".into());
        }
        Ok(options)
    }
}

fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("not UTF-8: {}", value.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let mut options = Options::new("/p", "/s");
        options.prompts = vec!["one".into(), "--two".into()];
        options.claude = Some("/c".into());
        options.home = Some("/h".into());
        options.resume = Some("id".into());
        options.args = vec!["--max-turns".into(), "3".into()];
        options.env = vec![("A".into(), "b=c\nd".into())];
        options.timeout = Duration::from_millis(1_500);
        options.keep = Some("/k".into());
        assert_eq!(Options::parse(options.to_args()), Ok(options));
    }

    #[test]
    fn mistakes_are_named() {
        for (args, said) in [
            (vec!["--project", "/p"], "--script FILE"),
            (vec!["--project"], "--project needs a value"),
            (vec!["--what", "x"], "unknown option --what"),
            (vec!["--timeout", "-1"], "out of range"),
            (vec!["--env", "A"], "NAME=VALUE"),
        ] {
            let error = Options::parse(args.into_iter().map(OsString::from)).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
