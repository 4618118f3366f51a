//! Programs that fetch files over the network.

use super::classify::written_to;
use super::options::{Given, Grammar, Parsed};
use super::read::Reach;
use super::script::Shell;
use super::words::Word;

/// `curl` with `arguments`.
pub(super) fn curl(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    const LONG: &[&str] = &[
        "output",
        "request",
        "data",
        "header",
        "user",
        "user-agent",
        "cookie",
        "cookie-jar",
        "form",
        "url",
        "max-time",
        "connect-timeout",
        "retry",
        "retry-delay",
        "retry-max-time",
        "proxy",
        "write-out",
        "data-raw",
        "data-binary",
        "data-urlencode",
        "json",
        "cacert",
        "cert",
        "key",
        "output-dir",
        "range",
        "resolve",
        "upload-file",
        "dump-header",
        "referer",
        "limit-rate",
        "max-redirs",
        "oauth2-bearer",
        "unix-socket",
        "config",
        "interface",
        "netrc-file",
        "form-string",
    ];
    let parsed = Parsed::of(arguments, Grammar { short: "oXdHuAebcCDEFKmPQrTUwxyYz", attached: "", long: LONG });
    let directory = parsed.value(&["output-dir"]);
    let prefix = match directory.map(Word::literal) {
        None => String::new(),
        Some(Some(directory)) => format!("{}/", directory.trim_end_matches('/')),
        Some(None) => return shell.draft.opaque(),
    };
    for Given { name, value } in &parsed.options {
        match (*name, value) {
            ("o" | "output", Some(file)) if file.text != "-" => match file.literal() {
                Some(path) if !prefix.is_empty() && !path.starts_with('/') => {
                    shell.target_path(&format!("{prefix}{path}"), Reach::File);
                }
                _ => shell.target(file, Reach::File),
            },
            ("c" | "cookie-jar" | "D" | "dump-header", Some(file)) if file.text != "-" => {
                shell.target(file, Reach::File);
            }
            ("O" | "remote-name" | "remote-name-all", _) => {
                // The name that the server gives.
                if parsed.has(&["J", "remote-header-name"]) || parsed.operands.is_empty() {
                    shell.draft.opaque();
                }
                for url in &parsed.operands {
                    let name = url
                        .literal()
                        .and_then(|url| url.split(['?', '#']).next()?.split_once("://")?.1.rsplit_once('/'));
                    match name {
                        Some((_, name)) if !name.is_empty() => {
                            shell.target_path(&format!("{prefix}{name}"), Reach::File);
                        }
                        _ => shell.draft.opaque(),
                    }
                }
            }
            _ => {}
        }
    }
}

/// `wget` with `arguments`.
pub(super) fn wget(shell: &mut Shell<'_, '_>, arguments: &[Word]) {
    let long = &[
        "output-document",
        "output-file",
        "directory-prefix",
        "header",
        "user-agent",
        "post-data",
        "tries",
        "timeout",
    ];
    let parsed = Parsed::of(arguments, Grammar { short: "OoaPtTwQUeiBDRIAXl", attached: "", long });
    written_to(shell, &parsed, &["o", "output-file", "a"]);
    if parsed.has(&["O", "output-document"]) {
        written_to(shell, &parsed, &["O", "output-document"]);
    } else if !parsed.has(&["spider"]) {
        shell.draft.opaque();
    }
}
