//! What a breaker is about: one way to one judge.

use stopgate_config::{JudgeConfig, JudgeKind};
use stopgate_core::redact::redact;
use stopgate_core::text::one_line;

/// Longest label, in characters.
const MAX_LABEL_CHARS: usize = 160;

/// A way to a judge: kind, endpoint or command, and model. Never a credential, so that a new key is no new judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JudgeRoute {
    /// Hash of the route.
    pub(super) key: String,
    /// The route for people, without secrets.
    pub(super) label: String,
}

impl JudgeRoute {
    pub(super) fn of(judge: &JudgeConfig) -> Self {
        let whole = match judge.kind {
            JudgeKind::None => String::new(),
            JudgeKind::Command => redact(&judge.command.join(" ")),
            JudgeKind::Http => {
                let place = redact(&without_credentials(&judge.url));
                format!("{} {place} {}", judge.wire.name(), judge.model)
            }
        };
        let whole = format!("{} {whole}", judge.kind.name());
        let key = format!("{:016x}", crate::instance::fnv1a(whole.as_bytes()));
        Self { key, label: one_line(whole.trim_end(), MAX_LABEL_CHARS) }
    }
}

/// An address without login, query and fragment: keys are put there.
pub(super) fn without_credentials(url: &str) -> String {
    let url = &url[..url.find(['?', '#']).unwrap_or(url.len())];
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let host_ends = rest.find('/').unwrap_or(rest.len());
    let host = &rest[rest[..host_ends].rfind('@').map_or(0, |at| at + 1)..];
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use stopgate_config::JudgeWire;

    use super::*;

    fn http(url: &str, model: &str, key: &str) -> JudgeConfig {
        let (url, model, api_key_env) = (url.to_owned(), model.to_owned(), key.to_owned());
        JudgeConfig { kind: JudgeKind::Http, url, model, api_key_env, ..JudgeConfig::default() }
    }

    fn command(argv: &[&str]) -> JudgeConfig {
        let command = argv.iter().map(|&word| word.to_owned()).collect();
        JudgeConfig { kind: JudgeKind::Command, command, ..JudgeConfig::default() }
    }

    #[test]
    fn another_endpoint_model_wire_or_program_is_another_route() {
        let base = http("https://a.example/v1/messages", "m", "K");
        let others = [
            http("https://b.example/v1/messages", "m", "K"),
            http("https://a.example/v1/messages", "n", "K"),
            JudgeConfig { wire: JudgeWire::ChatCompletions, ..base.clone() },
            command(&["claude", "-p"]),
            command(&["claude", "-p", "--model", "haiku"]),
        ];
        let mut keys: Vec<_> = others.iter().chain([&base]).map(|judge| JudgeRoute::of(judge).key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 6);
        assert_eq!(JudgeRoute::of(&base).label, "http messages https://a.example/v1/messages m");
    }

    #[test]
    fn a_credential_makes_no_route_and_stands_in_no_label() {
        let plain = JudgeRoute::of(&http("https://a.example/v1", "m", "K"));
        for url in ["https://me:pass@a.example/v1", "https://a.example/v1?key=x", "https://me@a.example/v1#x"] {
            assert_eq!(JudgeRoute::of(&http(url, "m", "OTHER")), plain, "{url}");
        }
        let first = JudgeRoute::of(&command(&["ask", "--api-key", "sk-a1b2c3d4e5f6a7b8"]));
        let second = JudgeRoute::of(&command(&["ask", "--api-key", "sk-ffffffffffffffff"]));
        assert_eq!(first, second);
        assert_eq!(first.label, "command ask --api-key [redacted]");
    }
}
