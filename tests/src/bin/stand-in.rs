//! A stand-in for a harness in a terminal: shows captured screens, writes a transcript, runs hooks as its children,
//! works or waits, as it is told on a FIFO. Started through a link called `claude` or `codex`, it is one to the kernel.
//!
//! ```text
//! claude DIR      DIR/control is the FIFO; after each command DIR/done counts one more
//! ```
//!
//! Commands, one a line: `screen FILE`, `say TEXT`, `cut`, `hook PROGRAM FILE`, `sleeper`, `burner`, `burn`, `exit`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else { return ExitCode::FAILURE };
    match serve(&dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = std::fs::write(dir.join("problem"), error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn serve(dir: &Path) -> io::Result<()> {
    // Open for writing, too: the FIFO never ends, and waiting for a line costs nothing.
    let control = OpenOptions::new().read(true).write(true).open(dir.join("control"))?;
    std::fs::write(dir.join("pid"), std::process::id().to_string())?;
    let mut children: Vec<Child> = Vec::new();
    for (number, line) in BufReader::new(control).lines().enumerate() {
        let line = line?;
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match command {
            "screen" => screen(&std::fs::read_to_string(rest)?)?,
            "say" => append(&dir.join("transcript.jsonl"), rest)?,
            "cut" => File::options().write(true).open(dir.join("transcript.jsonl"))?.set_len(1)?,
            "hook" => hook(rest)?,
            "sleeper" => children.push(quiet("sleep", &["100000"]).spawn()?),
            "burner" => children.push(quiet("sh", &["-c", "while :; do :; done"]).spawn()?),
            "burn" => drop(std::thread::spawn(burn)),
            "exit" => return end(children),
            _ => return Err(io::Error::other(format!("unknown command {command}"))),
        }
        std::fs::write(dir.join("done.new"), (number + 1).to_string())?;
        std::fs::rename(dir.join("done.new"), dir.join("done"))?;
    }
    Ok(())
}

fn end(children: Vec<Child>) -> io::Result<()> {
    for mut child in children {
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

fn burn() {
    let mut count = 0_u64;
    loop {
        count = std::hint::black_box(count.wrapping_add(1));
    }
}

fn screen(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    write!(stdout, "\x1b[H\x1b[2J\x1b[3J{}", text.trim_end_matches('\n'))?;
    stdout.flush()
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    writeln!(OpenOptions::new().create(true).append(true).open(path)?, "{text}")
}

/// `PROGRAM FILE`: as a harness runs a hook, with its own name as the argument.
fn hook(words: &str) -> io::Result<()> {
    let (program, payload) = words.split_once('\t').ok_or_else(|| io::Error::other("hook PROGRAM<tab>FILE"))?;
    let name = std::env::args_os().next().map(PathBuf::from);
    let name = name.as_deref().and_then(Path::file_name).unwrap_or_default();
    let mut command = Command::new(program);
    command.arg(name).stdin(File::open(payload)?).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().map(drop)
}

fn quiet(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
