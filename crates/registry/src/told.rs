//! What a client says of itself in files of its own. Their form is nobody's promise: whatever is not there, is garbled, or is
//! about another process, session or namespace says nothing.

use std::path::PathBuf;

use serde::Deserialize;
use stopgate_core::env::{self, Env as _, ProcessEnv};
use stopgate_core::fsx;
use stopgate_core::process::{Liveness, ProcessIdentity};
use stopgate_core::session::Harness;
use stopgate_core::session::resume::files_of;
use stopgate_core::session::state::ClientStatus;
use stopgate_core::text::one_line;
use stopgate_protocol::{SessionRow, ToldByClient};

/// Largest file that is read, in bytes; those seen have less than 1 KiB.
const MAX_BYTES: u64 = 64 * 1024;

/// What the client of `row` says, if its process is known to live.
pub(crate) fn read(row: &SessionRow) -> Option<ToldByClient> {
    let process = row.harness_process.as_ref().filter(|_| row.liveness == Liveness::Alive)?;
    match row.harness {
        Harness::Claude => {
            let path = directory(row)?.join("sessions").join(format!("{}.json", process.pid));
            claude(&fsx::read_regular(&path, MAX_BYTES).ok()?, process, &row.session_id)
        }
        Harness::Codex => None,
    }
}

/// Where the client keeps its files: beside the session's transcript, or else where it usually does.
fn directory(row: &SessionRow) -> Option<PathBuf> {
    let spec = row.harness.spec();
    let beside = row.transcript_path.as_deref().and_then(|path| files_of(row.harness, path));
    beside.map(PathBuf::from).or_else(|| Some(PathBuf::from(ProcessEnv.os(env::HOME)?).join(spec.directory)))
}

/// `~/.claude/sessions/<pid>.json`, seen with 2.1.329 and 2.1.332. The documented form, `claude agents --json`, says the same
/// at the price of a process.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaudeFile {
    pid: u32,
    session_id: String,
    /// Start time of the process in clock ticks since boot.
    proc_start: String,
    /// `linux:<machine>:pid:[<namespace>]`.
    pid_domain: Option<String>,
    status: String,
    status_updated_at: i64,
    waiting_for: Option<String>,
}

fn claude(bytes: &[u8], process: &ProcessIdentity, session_id: &str) -> Option<ToldByClient> {
    let file: ClaudeFile = serde_json::from_slice(bytes).ok()?;
    let is_the_process = file.pid == process.pid && file.proc_start.parse() == Ok(process.start_ticks);
    let is_here = match (&file.pid_domain, process.pid_namespace) {
        (Some(domain), Some(namespace)) => domain.ends_with(&format!(":pid:[{namespace}]")),
        _ => true,
    };
    if !is_the_process || !is_here || file.session_id != session_id {
        return None;
    }
    let status = match file.status.as_str() {
        "idle" => ClientStatus::Idle,
        "busy" => ClientStatus::Busy,
        "waiting" => ClientStatus::Waiting,
        _ => return None,
    };
    let waiting_for = file.waiting_for.map(|what| one_line(&what, 64)).filter(|what| !what.is_empty());
    Some(ToldByClient { status, waiting_for, at_ms: file.status_updated_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn process() -> ProcessIdentity {
        ProcessIdentity {
            pid: 7331,
            start_ticks: 1_322_612,
            pid_namespace: Some(4_026_531_836),
            ..ProcessIdentity::default()
        }
    }

    /// As 2.1.332 has written it.
    fn file() -> Value {
        json!({"pid": 7331, "sessionId": "ff19ccd0", "cwd": "/w", "startedAt": 1_796_009_236_176_i64,
               "procStart": "1322612", "version": "2.1.332", "peerProtocol": 1, "kind": "bg", "entrypoint": "cli",
               "pidDomain": "linux:3d1219c7c4c5404aaa1f6d2a48adfda4:pid:[4026531836]", "asksForConvertedSkills": null,
               "name": "alpha", "jobId": "ff19ccd0", "status": "waiting", "waitingFor": "permission prompt",
               "updatedAt": 1_796_009_237_087_i64, "statusUpdatedAt": 1_796_009_237_087_i64})
    }

    fn read(file: &Value) -> Option<ToldByClient> {
        claude(file.to_string().as_bytes(), &process(), "ff19ccd0")
    }

    #[test]
    fn what_it_says_of_the_very_process_and_session_is_read() {
        let told = read(&file()).unwrap();
        let expected = (ClientStatus::Waiting, Some("permission prompt"), 1_796_009_237_087);
        assert_eq!((told.status, told.waiting_for.as_deref(), told.at_ms), expected);
        for (word, status) in [("idle", ClientStatus::Idle), ("busy", ClientStatus::Busy)] {
            let mut file = file();
            (file["status"], file["waitingFor"]) = (word.into(), Value::Null);
            assert_eq!(read(&file).map(|told| (told.status, told.waiting_for)), Some((status, None)));
        }
    }

    #[test]
    fn what_is_garbled_or_about_another_one_says_nothing() {
        let another_namespace = json!("linux:3d1219c7c4c5404aaa1f6d2a48adfda4:pid:[4026532247]");
        for (field, value) in [
            ("pid", json!(7332)),
            ("procStart", json!("1322613")),
            ("procStart", json!(1_322_612)),
            ("sessionId", json!("another")),
            ("pidDomain", another_namespace),
            ("status", json!("thinking")),
            ("status", Value::Null),
            ("statusUpdatedAt", json!("now")),
        ] {
            let mut file = file();
            file[field] = value.clone();
            assert_eq!(read(&file), None, "{field}: {value}");
        }
        for bytes in [&b""[..], b"{", b"null", b"[]", b"{\"pid\":7331}"] {
            assert_eq!(claude(bytes, &process(), "ff19ccd0"), None);
        }
    }
}
